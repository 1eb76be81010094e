import re
from pathlib import Path

import pytest

from synthpairs.report.graph import links, mermaid, read_stages, sources, stage_table
from tests.report.conftest import DVC_YAML

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stages_of(tmp_path):
    """Reads a dvc.yaml next to a params.yaml with the arms."""
    (tmp_path / "params.yaml").write_text("arms: [selected, real]")

    def read(text=DVC_YAML):
        (tmp_path / "dvc.yaml").write_text(text)
        return read_stages(tmp_path / "dvc.yaml", tmp_path / "params.yaml")

    return read


def test_links_follow_paths_and_leave_out_what_others_imply(stages_of):
    assert links(stages_of()) == [
        ("captions", "images"),
        ("images", "select"),  # captions -> select and captions -> report follow
        ("select", "pretrain"),
        ("pretrain", "report"),
    ]
    assert sources(stages_of()) == [("models/desk/clip", "captions"), ("models/desk/generator", "images")]


def test_mermaid_shows_every_stage_once_and_a_matrix_as_one(stages_of):
    graph = mermaid(stages_of())
    assert graph.startswith("```mermaid\nflowchart TD\n")
    assert graph.endswith("\n```")
    assert 'stage_pretrain["pretrain<br/>once per arm"]' in graph
    assert 'given0(["models/desk/clip"])' in graph
    assert "stage_captions --> stage_images" in graph
    nodes = set(re.findall(r"^    (\w+)[\[(]", graph, re.MULTILINE))
    assert {node for link in re.findall(r"(\w+) --> (\w+)", graph) for node in link} <= nodes


def test_table_names_arms_files_once(stages_of):
    table = stage_table(stages_of())
    assert "| `pretrain` per arm |  | `data/selection/pairs/*.parquet` | `models/vlm/*/pretrained` |  |" in table
    assert "| `report` |  | `data/captions`, `models/vlm/*/pretrained` | `reports/figures` |  |" in table
    assert "gathers captions and keeps the good ones" in table
    assert "stages/" not in table
    assert "reports/metrics" not in table


def test_a_matrix_makes_only_its_members(stages_of):
    stages = stages_of(DVC_YAML + "  untrained: {deps: [models/vlm/untrained], outs: [models/none]}\n")
    assert ("pretrain", "untrained") not in links(stages)
    assert ("models/vlm/untrained", "untrained") in sources(stages)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("stages: [", "dvc.yaml: not valid YAML"),
        ("[]", "dvc.yaml: not a mapping"),
        ("plots: []", "dvc.yaml: stages is missing"),
        ("stages: {a: {matrix: {arm: '${no.such}'}}}", r"stages\.a\.matrix\.arm must be a list or .* params\.yaml"),
    ],
)
def test_what_is_no_pipeline_is_named(stages_of, text, complaint):
    with pytest.raises(ValueError, match=complaint):
        stages_of(text)


def test_graph_of_this_project_has_no_loose_stage():
    stages = read_stages(ROOT / "dvc.yaml", ROOT / "params.yaml")
    assert {name for link in links(stages) for name in link} == {stage.name for stage in stages}
    assert all(not path.startswith("data/") for path, _ in sources(stages)), "data that no stage makes"
    assert "reports/README.md" in {out for stage in stages for _, out in stage.writes}
