import io
import json
import re
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages import report as stage
from synthpairs.core.schema import AUDIT, CANDIDATES, CAPTIONS, PAIRS, REJECTED, SCORES, SELECTED
from synthpairs.core.storage import read_table, write_bytes, write_json, write_table
from synthpairs.emoji.tasks.definitions import PICTURED
from synthpairs.evaluation.diversity.clusters import analyse
from synthpairs.report.params import KeyTask
from synthpairs.report.tables import FIGURES
from tests.report.conftest import ARMS, DIVERSITY, PERPLEXITY, PREFERENCE, write_answers

SAID_ONCE = pd.DataFrame({"uid": ["u"], "text": ["a dog"]})


@pytest.fixture(autouse=True)
def untracked(monkeypatch):
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")


@pytest.fixture(scope="module")
def twice(tmp_path_factory, write_project):
    """Every file that the stage wrote, after its first and after its second run."""
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    runs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("SYNTHPAIRS_TRACKING", "off")
        for _ in range(2):
            stage.main()
            folders = (root / "reports" / FIGURES, root / "reports/plots")
            written = [root / "reports/README.md", *(path for folder in folders for path in sorted(folder.iterdir()))]
            runs.append({path.name: path.read_bytes() for path in written})
            write_bytes(root / "reports" / FIGURES / "old.png", b"left by an older version")
    return runs


def test_two_runs_give_the_same_bytes(twice):
    assert twice[0] == twice[1]


def test_every_picture_is_shown_and_is_one(twice):
    files = dict(twice[0])
    page = files.pop("README.md").decode()
    shown = re.findall(rf"!\[[^\]]+\]\({FIGURES}/([^)]+)\)", page)
    assert sorted(shown) == sorted(name for name in files if name.endswith(".png"))
    for payload in (files[name] for name in shown):
        Image.open(io.BytesIO(payload)).verify()


def test_page_answers_first_and_holds_every_section(twice):
    page = twice[0]["README.md"].decode()
    assert page.index("worth training") < page.index("## Arms side by side") < page.index("## The Synth2 route")
    answer = "`rear-8` is worse on naming (-0.200 [-0.300, -0.100])"
    assert f"- *Does it pay to pick pairs by score?* Against `top-8`: {answer}." in page
    for heading in (
        "Picture against picture",
        "Is language kept?",
        "Synthetic pairs beside real ones",
        "What SSIM prefers",
        "Counts through the filters",
        "Scores",
        "The pairs",
        "Hygiene",
        "The desk models",
    ):
        assert f"\n## {heading}\n" in page
    assert "Kept of 5 captions spoilt on purpose: 1 (0 of 2 file name, 1 of 3 html)." in page
    assert "| clip heldout\\_combination | 6 | 0.500 | 0.900 | - | - |" in page
    assert not re.search(r"nan|None|\d{4}-\d{2}-\d{2}| seconds", page)


def test_desk_models_that_were_not_measured_are_a_line(project):
    (project / "models/desk/metrics.json").unlink()
    stage.main()
    assert (
        "models/desk/metrics.json is missing: `python -m desk_models.publish` writes it."
        in (project / "reports/README.md").read_text()
    )


@pytest.mark.parametrize(
    ("path", "maker"),
    [
        ("reports/metrics/captions.json", "captions"),
        ("reports/metrics/finetune/real.json", "finetune"),
        ("data/captions/rejected.parquet", "captions"),
        ("data/images/manifest.parquet", "images"),
        ("data/scores/scores.parquet", "scores"),
        ("data/selection/pairs/random.parquet", "select"),
        ("reports/benchmarks/untrained.json", "benchmark"),
        ("reports/benchmarks/items/real.parquet", "benchmark"),
    ],
)
def test_a_missing_input_names_the_stage_that_makes_it(project, path, maker):
    (project / path).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{path} is missing: run `dvc repro {maker}` first"):
        stage.main()


def test_a_missing_shard_names_the_stage_that_makes_it(project):
    for shard in (project / "data/images").glob("shard-*.tar"):
        shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"shard-.\.tar is missing: run `dvc repro images` first"):
        stage.main()


def test_a_shard_with_unreadable_pictures_costs_no_report(project):
    from synthpairs.core.storage import read_shard, shard_bytes

    for shard in (project / "data/images").glob("shard-*.tar"):
        samples = [(key, members | {"png": b"\x89PNG broken"}) for key, members in read_shard(shard)]
        write_bytes(shard, shard_bytes(samples))
    stage.main()
    assert Image.open(project / "reports" / FIGURES / "best.png").size[0] == 2 * (32 + 16)


def changed(project, **values):
    """The project with other values of these keys of params.yaml, and the page that the stage makes of it."""
    params = (project / "params.yaml").read_text()
    for key, value in values.items():
        params = re.sub(rf"\b{key}: \[.*?\]", f"{key}: {value}", params)
    (project / "params.yaml").write_text(params)
    stage.main()
    page = (project / "reports/README.md").read_text()
    assert not re.search(r"nan|None", page)
    for name in re.findall(rf"\({FIGURES}/([^)]+)\)", page):
        Image.open(project / "reports" / FIGURES / name).verify()
    return page


def test_key_tasks_must_have_a_blind_baseline(project):
    assert get_args(KeyTask) == PICTURED
    with pytest.raises(ValueError, match=r"report\.key_tasks\[0\] must be one of desk_caption, .*; got 'desk_text'"):
        changed(project, key_tasks="[desk_text]")


@pytest.mark.parametrize(
    ("tasks", "answer"),
    [
        ("[desk_sqa]", "Not asked: no arm answered any of the key tasks (desk_sqa)."),
        ("[]", "Not asked: no arm answered any of the key tasks (`report.key_tasks` is empty)."),
        ("[desk_sqa, desk_pope]", "Not asked: desk_sqa."),
    ],
)
def test_key_tasks_that_were_not_asked_are_named(project, tasks, answer):
    page = changed(project, key_tasks=tasks)
    assert answer in page.split("## The same questions")[0]
    assert answer in page.split("## The Synth2 route")[1].split("###")[0]


@pytest.mark.parametrize("arms", ["[]", "[selected]", "[random]", "[real]", "[real, random]", "[selected, real]"])
def test_any_arms_make_a_page(project, arms):
    page = changed(project, arms=arms)
    assert ("No arm was trained: `arms` is empty." in page) == (arms == "[]")
    assert (project / "reports" / FIGURES / "real.png").exists() == ("real" in arms)
    assert ("Are the picked pairs as good as real ones?" in page) == (arms == "[selected, real]")


@pytest.mark.parametrize("arms", ["[]", "[real-codes]", "[synthetic]", "[genpair, real-codes]"])
def test_any_arms_of_codes_make_a_page(project, arms):
    page = changed(project, code_arms=arms)
    assert ("No arm of codes was trained: `code_arms` is empty." in page) == (arms == "[]")
    assert ("Does it pay to mix generated pairs in?" in page) == (arms == "[genpair, real-codes]")


def test_without_benchmarks_there_is_a_page(project):
    nothing = read_table(project / "reports/benchmarks/items/real.parquet", "")[:0]
    for path in (project / "reports/benchmarks").glob("*.json"):
        write_answers(project, path.stem, nothing)
    page = changed(project)
    assert "No benchmark was asked: `benchmark.tasks.pictures` is empty." in page
    assert "No benchmark was asked: `benchmark.tasks.codes` is empty." in page


def test_a_run_of_a_single_pair_makes_a_page(project):
    """One candidate, selected; no real pair, no code, nothing rejected, no caption set that is large enough, one concept."""
    for path in sorted((project / "reports/benchmarks/items").iterdir()):
        write_answers(project, path.stem, read_table(path, "").assign(concept="cat"))
    data = project / "data"
    selected = read_table(data / "selection/selected.parquet", "")[:1]
    only = set(selected["key"])
    for path, schema in (("images/manifest", CANDIDATES), ("scores/scores", SCORES), ("audit/audit", AUDIT)):
        table = read_table(data / f"{path}.parquet", "")
        write_table(data / f"{path}.parquet", table[table["key"].isin(only)], schema)
    kept = read_table(data / "captions/kept.parquet", "")
    write_table(data / "captions/kept.parquet", kept[kept["uid"].isin(selected["uid"])], CAPTIONS)
    write_table(data / "captions/rejected.parquet", [], REJECTED)
    write_table(data / "selection/selected.parquet", selected, SELECTED)
    for arm in ARMS:
        pairs = read_table(data / f"selection/pairs/{arm}.parquet", "")
        write_table(data / f"selection/pairs/{arm}.parquet", pairs[: int(arm != "real")], PAIRS)
    write_table(data / "embedded/manifest.parquet", [], CANDIDATES)
    empty = analyse({"human": SAID_ONCE, "invented": SAID_ONCE[:0]}, DIVERSITY, lambda texts: np.zeros((len(texts), 2)))
    write_json(project / "reports/diversity.json", empty)
    write_json(
        project / "reports/preference.json", PREFERENCE | {"judges": {}, "not_asked": "1 caption with a picture"}
    )
    write_json(
        project / "reports/perplexity.json", PERPLEXITY | {"order": [], "left_out": ["models/vlm/real/finetuned"]}
    )
    page = changed(project)
    assert "Not asked: 1 caption with a picture." in page
    assert "Not asked: `models/vlm/real/finetuned` belong to arms that are not trained." in page
    assert "Too few captions to say: human (n = 1); invented (n = 0)." in page
    assert "No codes were generated" in page
    assert "### The best 1\n" in page
    assert "### A random 0 of the real pairs" in page


def test_arms_with_other_tasks_are_named(project):
    path = project / "reports/benchmarks/real.json"
    numbers = json.loads(path.read_text())
    del numbers["desk_vqa"]
    write_json(path, numbers)
    with pytest.raises(ValueError, match=r"real\.json: desk_vqa is missing, other arms have it"):
        stage.main()


def test_broken_json_names_its_stage(project):
    write_bytes(project / "reports/metrics/align/real.json", b"{")
    with pytest.raises(ValueError, match=r"real\.json: not valid JSON .* run `dvc repro align` again"):
        stage.main()
