import pytest

from synthpairs.report.codes import couples, read_codes
from tests.report.conftest import CODE_ARMS


def test_couples_are_a_generated_pair_and_a_real_one_of_its_concept(codes):
    shown = couples(codes.generated, codes.real, 5, 0)
    generated, real = shown.iloc[::2], shown.iloc[1::2]
    assert set(generated["key"]) <= set(codes.generated["key"])
    assert set(real["key"]) <= set(codes.real["key"])
    assert generated["text"].is_unique
    alike = [one == other for one, other in zip(generated["concept"], real["concept"], strict=True)]
    assert alike == [concept != "unicorn" for concept in generated["concept"]]  # of which there is no real pair


def test_couples_depend_on_keys_and_seed_alone(codes):
    shown = couples(codes.generated, codes.real, 3, 0)
    assert couples(codes.generated.iloc[::-1], codes.real.iloc[::-1], 3, 0).equals(shown)
    assert not couples(codes.generated, codes.real, 3, 1).equals(shown)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("data/embedded/manifest.parquet", "dvc repro embed"),
        ("data/pairs/pairs.parquet", "dvc repro pairs"),
        ("reports/benchmarks/genpair.json", "dvc repro benchmark-codes"),
        ("reports/benchmarks/items/real-codes.parquet", "dvc repro benchmark-codes"),
        ("reports/metrics/finetune/synthetic.json", "dvc repro finetune-codes"),
        ("reports/metrics/screen.json", "dvc repro screen"),
        ("reports/diversity.json", "dvc repro diversity"),
        ("reports/experiments/learning_curves.json", "make experiments"),
        ("reports/speed.json", "make speed"),
    ],
)
def test_a_missing_input_names_what_makes_it(project, path, command):
    (project / path).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{path} is missing: run `{command}` first"):
        read_codes(CODE_ARMS)
