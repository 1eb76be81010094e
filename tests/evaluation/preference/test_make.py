"""Preference from both arms to numbers, with judges that pass and fail the control.

Few captions, missing arms and models of untrained arms are results, not errors.
"""

import json
from dataclasses import replace

import pytest

from synthpairs.core.schema import PAIRS
from synthpairs.core.storage import read_table, write_table
from synthpairs.evaluation.preference.image_pairs import TABLE, draw_image_pairs, read_image_pairs
from synthpairs.evaluation.preference.make import make_preference, tracked_metrics
from synthpairs.models.language.server import Server
from synthpairs.report.sections.preference import section, trusted
from synthpairs.report.sections.votes import votes_summary
from tests.evaluation.preference.conftest import PARAMS, is_red, write_arms
from tests.evaluation.preference.test_served import shown

ARMS = ["selected", "real"]


@pytest.fixture
def judged(data, tmp_path, settings, connection, monkeypatch):
    """Runs the stage with the test's server as judge."""
    monkeypatch.setattr(Server, "from_environment", classmethod(lambda cls: connection))
    return lambda: make_preference(settings(engine="server"), ARMS, data, tmp_path)[0]


def informed_judge(data):
    """A judge that prefers a caption's own images to others, and among them the generated one."""
    pairs = {pair.text: pair for pair in draw_image_pairs(PARAMS, data)}

    def reply(name, body):
        own = [pairs[name].synthetic, pairs[name].real]
        ranks = [own.index(png) if png in own else len(own) for png in shown(body)]
        return "AB"[ranks.index(min(ranks))]

    return reply


def test_an_informed_judge_passes_the_control(data, tmp_path, judged, chat_server):
    chat_server.reply = informed_judge(data)
    results = judged()
    judge = results["judges"]["pinned-1"]
    assert judge["preference"]["rate"] == judge["control"]["real"]["rate"] == judge["control"]["synthetic"]["rate"] == 1
    assert judge["troubles"] == {"inconsistent": 0, "unclear": 0, "failed": 0}
    assert trusted(judge)
    assert {pair["verdicts"]["pinned-1"] for pair in results["couples"].values()} == {"synthetic"}
    assert set(results["couples"]) == {pair.couple for pair in read_image_pairs(tmp_path)}


def test_a_judge_of_colours_fails_the_control(judged, chat_server):
    """It prefers red images: the generated one of every pair; in control questions both have one colour."""
    answers = {(True, False): "A", (False, True): "B"}
    chat_server.reply = lambda name, body: answers.get(tuple(map(is_red, shown(body))), "tie")
    results = judged()
    judge = results["judges"]["pinned-1"]
    assert judge["preference"]["rate"] == 1
    assert not trusted(judge)
    assert "`pinned-1` fails the control" in section(results)


def test_output_is_deterministic(data, vlm, tmp_path, settings):
    one, two = (make_preference(settings(), ARMS, data, tmp_path / name)[0] for name in ("one", "two"))
    assert json.dumps(one) == json.dumps(two)
    assert (tmp_path / "one" / TABLE).read_bytes() == (tmp_path / "two" / TABLE).read_bytes()
    metrics = tracked_metrics(one)
    assert (metrics["couples"], set(metrics["judges"])) == (PARAMS.count, {str(vlm)})
    judge, tracked = one["judges"][str(vlm)], metrics["judges"][str(vlm)]
    control = {origin: judge["control"][origin]["rate"] for origin in ("real", "synthetic")}
    assert tracked == {"win_rate": judge["preference"]["rate"], "control": control} | judge["troubles"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"question": "Is it good?"}, r"preference\.local\.question must hold {caption}, got 'Is it good\?'"),
        ({"models": ["a", "a"]}, r"preference\.local\.models must be different models"),
    ],
)
def test_invalid_params_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(PARAMS.local, **changed)


@pytest.mark.parametrize(
    ("things", "arms", "reason"),
    [
        (("dog",), ARMS, "1 caption with a picture in both arms `selected` and `real`, 2 are needed"),
        (("dog", "cat"), ["selected"], "`params.yaml: arms` has no `real`"),
        (("dog", "cat"), ["genpair"], "`params.yaml: arms` has no `selected` and no `real`"),
    ],
)
def test_too_few_captions_are_a_result(things, arms, reason, tmp_path, settings):
    write_arms(tmp_path, things)
    results, _ = make_preference(settings(), arms, tmp_path, tmp_path / "preference")
    assert results["not_asked"] == reason
    assert results["judges"] == {}
    assert section(results) == f"## Generated against original images\n\nNot asked: {reason}."
    assert tracked_metrics(results) == {"couples": results["n"], "concepts": results["n"], "judges": {}}
    assert len(read_image_pairs(tmp_path / "preference")) == results["n"] == (len(things) if arms == ARMS else 0)
    assert votes_summary([], results, settings()).startswith("No votes yet")


def test_captions_about_one_thing_leave_judges_untested(tmp_path, vlm, settings):
    write_arms(tmp_path, ("dog", "cat"))
    path = tmp_path / "selection/pairs/selected.parquet"
    write_table(path, read_table(path, "").assign(concept="dog"), PAIRS)
    results, _ = make_preference(settings(), ARMS, tmp_path, tmp_path / "preference")
    judge = results["judges"][str(vlm)]
    assert (judge["preference"]["n"], judge["control"]["real"]["n"], judge["control"]["real"]["rate"]) == (2, 0, None)
    assert not trusted(judge)
    page = section(results)
    assert f"`{vlm}` was not tested" in page
    assert "| -, n = 0 | -, n = 0 |" in page
    assert "None" not in page


@pytest.mark.parametrize("another", [True, False])
def test_models_of_untrained_arms_are_left_out(another, data, vlm, tmp_path, settings):
    absent = "models/vlm/random/finetuned"
    params = settings()
    params = replace(params, local=replace(params.local, models=[absent, *([str(vlm)] if another else [])]))
    results, _ = make_preference(params, ARMS, data, tmp_path)
    assert list(results["judges"]) == ([str(vlm)] if another else [])
    assert results["left_out"] == [absent]
    page = section(results)
    if another:
        assert f"- `{absent}` was not asked: its arm is not trained." in page
    else:
        assert page.endswith("Not asked: all of `preference.local.models` belong to arms that are not trained.")
