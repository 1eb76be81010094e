"""From both arms to numbers: a judge that looks is trusted, one that guesses is not, and what is written is the same twice.

Few captions, missing arms and models of arms that nobody trains are results, not errors.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages import preference as stage
from synthpairs.language.server import Server
from synthpairs.preference.couples import TABLE, draw_couples, read_couples
from synthpairs.preference.make import make_preference
from synthpairs.preference.page import headline, section, trusted
from synthpairs.preference.params import LocalJudges, Preference
from synthpairs.preference.votes import summary
from synthpairs.schema import PAIRS
from synthpairs.storage import read_table, write_table
from tests.chat import ChatServer
from tests.preference.conftest import PARAMS, is_red, write_arms
from tests.preference.test_served import shown

ARMS = ["selected", "real"]


@pytest.fixture
def served(connection: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the test's server."""
    monkeypatch.setattr(Server, "from_environment", classmethod(lambda cls: connection))


def knowing(data: Path) -> Callable[[str, dict[str, Any]], str]:
    """A judge that recognises every picture of a caption, and among those the generated one as better."""
    couples = {couple.text: couple for couple in draw_couples(PARAMS, data)}

    def say(name: str, body: dict[str, Any]) -> str:
        worth = [couples[name].synthetic, couples[name].real]
        ranks = [worth.index(png) if png in worth else len(worth) for png in shown(body)]
        return "AB"[ranks.index(min(ranks))]

    return say


@pytest.mark.usefixtures("served")
def test_a_judge_that_knows_passes_the_control(
    data: Path, tmp_path: Path, settings: Callable[..., Preference], chat_server: ChatServer
) -> None:
    chat_server.say = knowing(data)
    results, counts = make_preference(settings(engine="server"), ARMS, data, tmp_path)
    told = results["judges"]["pinned-1"]
    assert counts == {"cached": 0, "attempts_in_vain": 0}
    assert told["preference"]["rate"] == told["control"]["real"]["rate"] == told["control"]["synthetic"]["rate"] == 1
    assert told["troubles"] == {"inconsistent": 0, "unclear": 0, "failed": 0}
    assert trusted(told)
    assert {one["verdicts"]["pinned-1"] for one in results["couples"].values()} == {"synthetic"}
    assert set(results["couples"]) == {couple.couple for couple in read_couples(tmp_path)}


@pytest.mark.usefixtures("served")
def test_a_judge_of_colours_fails_the_control(
    data: Path, tmp_path: Path, settings: Callable[..., Preference], chat_server: ChatServer
) -> None:
    """It likes red pictures: always the generated one of a couple, and within one origin it cannot tell."""
    chat_server.say = lambda name, body: {(1, 0): "A", (0, 1): "B"}.get(
        tuple(int(is_red(png)) for png in shown(body)), "tie"
    )
    results, _ = make_preference(settings(engine="server"), ARMS, data, tmp_path)
    told = results["judges"]["pinned-1"]
    assert told["preference"]["rate"] == 1
    assert not trusted(told)
    assert "`pinned-1` cannot tell" in section(results)


def test_the_stage_writes_the_same_twice(
    data: Path, vlm: Path, tmp_path: Path, settings: Callable[..., Preference], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    sections = {"preference": settings(), "arms": ARMS, "code_arms": []}
    monkeypatch.setattr(stage, "load_params", lambda kind, name: sections[name])
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").symlink_to(tmp_path / f"{name}-data")
        (tmp_path / f"{name}-data").mkdir()
        for part in ("captions", "images", "selected"):
            (tmp_path / f"{name}-data" / part).symlink_to(data / part)
        monkeypatch.chdir(tmp_path / name)
        stage.main()
        files = [
            Path("data/preference") / TABLE,
            Path("reports/preference.json"),
            Path("reports/metrics/preference.json"),
        ]
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
    told = json.loads(written[0][2])
    assert told["couples"] == PARAMS.count
    assert set(told["judges"]) == {str(vlm)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"question": "Is it good?"}, r"preference\.local\.question must hold {caption}, got 'Is it good\?'"),
        ({"models": []}, r"preference\.local\.models must be different models"),
        ({"models": ["a", "a"]}, r"preference\.local\.models must be different models"),
    ],
)
def test_params_that_cannot_be_meant_are_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalJudges(**{"models": ["m"], "question": "{caption}?", "margin": 0.0, "batch": 1} | changed)


@pytest.mark.parametrize(
    ("things", "arms", "reason"),
    [
        ((), ARMS, "0 captions with a picture in both arms `selected` and `real`, 2 are needed"),
        (("dog",), ARMS, "1 caption with a picture in both arms `selected` and `real`, 2 are needed"),
        (("dog", "cat"), ["selected"], "`params.yaml: arms` has no `real`"),
        (("dog", "cat"), ["genpair"], "`params.yaml: arms` has no `selected` and no `real`"),
    ],
)
def test_too_little_to_ask_is_a_result(
    things: tuple[str, ...], arms: list[str], reason: str, tmp_path: Path, settings: Callable[..., Preference]
) -> None:
    write_arms(tmp_path, things)
    results, _ = make_preference(settings(), arms, tmp_path, tmp_path / "preference")
    assert results["not_asked"] == reason
    assert results["judges"] == {}
    assert section(results) == f"## Picture against picture\n\nNot asked: {reason}."
    assert headline(results) == {"couples": results["n"], "concepts": results["n"], "judges": {}}
    assert len(read_couples(tmp_path / "preference")) == results["n"] == (len(things) if arms == ARMS else 0)
    assert summary([], results, settings()).startswith("No votes yet")


def test_captions_about_one_thing_leave_judges_untested(
    tmp_path: Path, vlm: Path, settings: Callable[..., Preference]
) -> None:
    write_arms(tmp_path, ("dog", "cat"))
    path = tmp_path / "selected/pairs/selected.parquet"
    write_table(path, read_table(path, "").assign(concept="dog"), PAIRS)
    results, _ = make_preference(settings(), ARMS, tmp_path, tmp_path / "preference")
    one = results["judges"][str(vlm)]
    assert (one["preference"]["n"], one["control"]["real"]["n"], one["control"]["real"]["rate"]) == (2, 0, None)
    assert not trusted(one)
    page = section(results)
    assert f"`{vlm}` was not tested" in page
    assert "| -, n = 0 | -, n = 0 |" in page
    assert "None" not in page


@pytest.mark.parametrize("beside", [True, False])
def test_models_of_arms_that_nobody_trains_are_no_judges(
    beside: bool, data: Path, vlm: Path, tmp_path: Path, settings: Callable[..., Preference]
) -> None:
    absent = "models/vlm/random/finetuned"
    params = settings()
    params = replace(params, local=replace(params.local, models=[absent, *([str(vlm)] if beside else [])]))
    results, _ = make_preference(params, ARMS, data, tmp_path)
    assert list(results["judges"]) == ([str(vlm)] if beside else [])
    assert results["left_out"] == [absent]
    page = section(results)
    if beside:
        assert f"- `{absent}` was not asked: its arm is not trained." in page
    else:
        assert page.endswith("Not asked: all of `preference.local.models` belong to arms that are not trained.")
