import re
from pathlib import Path

import pytest

from synthpairs.report.graph import links, mermaid, read_stages, sources, stage_table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stages(project):
    return read_stages(Path("dvc.yaml"), Path("params.yaml"))


def test_links_follow_paths_and_leave_out_what_others_imply(stages):
    assert links(stages) == [
        ("captions", "images"),
        ("images", "select"),  # captions -> select and captions -> report follow
        ("select", "align"),
        ("align", "report"),
    ]


def test_sources_are_data_that_no_stage_makes(stages):
    assert sources(stages) == [("models/desk/clip", "captions"), ("models/desk/generator", "images")]


def test_mermaid_shows_every_stage_once_and_a_matrix_as_one(stages):
    graph = mermaid(stages)
    assert graph.startswith("```mermaid\nflowchart TD\n")
    assert graph.endswith("\n```")
    assert 'stage_align["align<br/>once per arm"]' in graph
    assert 'given0(["models/desk/clip"])' in graph
    assert "stage_captions --> stage_images" in graph
    nodes = set(re.findall(r"^    (\w+)[\[(]", graph, re.MULTILINE))
    assert set(re.findall(r"(\w+) --> (\w+)", graph)) <= {(one, other) for one in nodes for other in nodes}


def test_table_names_arms_files_once(stages):
    table = stage_table(stages)
    assert "| `align` per arm |  | `data/selection/pairs/*.parquet` | `models/vlm/*/aligned` |  |" in table
    assert "| `report` |  | `data/captions`, `models/vlm/*/aligned` | `reports/figures` |  |" in table
    assert "gathers captions and keeps the good ones" in table
    assert "stages/" not in table
    assert "reports/metrics" not in table


def test_a_matrix_makes_only_its_members(project):
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(
        text.replace(
            "  report:",
            "  untrained:\n    cmd: x\n    deps: [models/vlm/untrained]\n    outs: [models/none]\n  report:",
        )
    )
    stages = read_stages(Path("dvc.yaml"), Path("params.yaml"))
    assert ("align", "untrained") not in links(stages)
    assert ("models/vlm/untrained", "untrained") in sources(stages)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("stages: [", "dvc.yaml: not valid YAML"),
        ("[]", "dvc.yaml: not a mapping"),
        ("plots: []", "dvc.yaml: stages is missing"),
        (
            "stages: {a: {cmd: x, matrix: {arm: '${no.such}'}}}",
            r"stages\.a\.matrix\.arm is no list, nor the name of one in params\.yaml",
        ),
    ],
)
def test_what_is_no_pipeline_is_named(project, text, complaint):
    Path("dvc.yaml").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_stages(Path("dvc.yaml"), Path("params.yaml"))


def test_graph_of_this_project_has_no_loose_stage():
    stages = read_stages(ROOT / "dvc.yaml", ROOT / "params.yaml")
    linked = {name for link in links(stages) for name in link}
    assert linked == {stage.name for stage in stages}
    made = {out for stage in stages for _, out in stage.writes}
    assert all(not path.startswith("data/") for path, _ in sources(stages)), "data that no stage makes"
    assert "reports/README.md" in made
