import pytest

from stages import report as stage
from synthpairs.report.results import read_synthvlm_results
from synthpairs.report.samples import real_cells
from tests.memory import add_pictures, little_memory
from tests.report.conftest import ARMS


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("data/captions/rejected.parquet", "dvc repro captions"),
        ("data/images/manifest.parquet", "dvc repro images"),
        ("data/images/shard-*.tar", "dvc repro images"),
        ("data/scores/scores.parquet", "dvc repro scores"),
        ("data/selection/pairs/random.parquet", "dvc repro select"),
        ("reports/metrics/captions.json", "dvc repro captions"),
        ("reports/metrics/finetune/real.json", "dvc repro finetune"),
        ("reports/benchmarks/untrained.json", "dvc repro benchmark"),
        ("reports/benchmarks/items/real.parquet", "dvc repro benchmark"),
        ("data/generated_tokens/manifest.parquet", "dvc repro generate_tokens"),
        ("data/real_pairs/pairs.parquet", "dvc repro encode_real_pairs"),
        ("reports/benchmarks/genpair.json", "dvc repro benchmark_tokens"),
        ("reports/benchmarks/items/real-tokens.parquet", "dvc repro benchmark_tokens"),
        ("reports/metrics/finetune/synthetic.json", "dvc repro finetune_tokens"),
        ("reports/metrics/filter_captions.json", "dvc repro filter_captions"),
        ("reports/diversity.json", "dvc repro diversity"),
    ],
)
def test_a_missing_input_names_what_makes_it(project, path, command):
    for file in project.glob(path):
        file.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{path.replace('*', '.')} is missing: run `{command}` first"):
        stage.main()


@pytest.mark.parametrize(
    ("path", "spoil", "message"),
    [
        (
            "benchmarks/real",
            lambda text: text.replace("desk_vqa", "desk_pope"),
            r"real\.json: desk_vqa is missing, other arms",
        ),
        ("benchmarks/real", lambda text: text.replace('"metric"', '"m"'), r"real\.json: desk_pope has no metric; run"),
        ("metrics/pretrain/real", lambda text: "{", r"real\.json: not valid JSON .* run `dvc repro pretrain` again"),
        (
            "metrics/contamination",
            lambda text: "[]",
            r"contamination\.json: not a JSON object; .* run `dvc repro contamination` again",
        ),
        ("diversity", lambda text: "{}", r"diversity\.json: too_few is missing; run `dvc repro diversity` again"),
    ],
)
def test_invalid_json_is_named(project, path, spoil, message):
    file = project / f"reports/{path}.json"
    file.write_text(spoil(file.read_text()))
    with pytest.raises(ValueError, match=message):
        stage.main()


def test_originals_do_not_have_to_fit_into_memory(project):
    add_pictures(project / "data")
    with little_memory():
        results = read_synthvlm_results(ARMS, project)
        assert all(cell.image for cell in real_cells(results.pairs["real"], project / "data"))
