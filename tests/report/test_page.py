import io
import json
import re

import pytest
from PIL import Image

from stages import report as stage
from synthpairs.report.tables import FIGURES
from synthpairs.schema import REJECTED
from synthpairs.storage import read_table, write_bytes, write_json, write_table


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
        "models/desk/metrics.json is missing: `python -m pretrain.publish` writes it."
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
        ("data/selected/pairs/random.parquet", "select"),
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
    from synthpairs.storage import read_shard, shard_bytes

    for shard in (project / "data/images").glob("shard-*.tar"):
        samples = [(key, members | {"png": b"\x89PNG broken"}) for key, members in read_shard(shard)]
        write_bytes(shard, shard_bytes(samples))
    stage.main()
    assert Image.open(project / "reports" / FIGURES / "best.png").size[0] == 2 * (32 + 16)


def test_nothing_rejected_is_fine(project):
    write_table(project / "data/captions/rejected.parquet", [], REJECTED)
    stage.main()
    kept = len(read_table(project / "data/captions/kept.parquet", ""))
    assert f"| captions read | {kept // 2} | {kept // 2} | {kept} |" in (project / "reports/README.md").read_text()


def test_key_tasks_must_have_a_blind_baseline(project):
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("[desk_vqa, desk_pope]", "[desk_text]"))
    with pytest.raises(ValueError, match=r"report\.key_tasks must name .*desk_pope, desk_vqa.*, got desk_text"):
        stage.main()


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


def test_one_arm_alone_is_reported_without_contests(project):
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("arms: [selected, random, real]\n", "arms: [random]\n"))
    stage.main()
    page = (project / "reports/README.md").read_text()
    assert "against" not in page.split("*How sure is that?*")[0].split("blind).")[1]
    assert not (project / "reports" / FIGURES / "real.png").exists()
