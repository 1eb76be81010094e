import pytest

from synthpairs.core.arms import chosen_arm, split_models


@pytest.fixture(autouse=True)
def _params(project_root):
    project_root(arms=["selected", "random", "real"], token_arms=["genpair"])


def test_an_arm_of_the_lists_is_chosen():
    assert chosen_arm(["random"], "arms") == "random"
    assert chosen_arm(["genpair"], "token_arms") == "genpair"


@pytest.mark.parametrize(("arguments", "got"), [([], "none"), (["top"], "top"), (["real", "random"], "real random")])
def test_other_arguments_are_an_error(arguments, got):
    with pytest.raises(ValueError, match=f"one arm of selected, random, real .*, got {got}"):
        chosen_arm(arguments, "arms")


def test_the_list_has_known_arms_only(project_root):
    project_root(arms=["selected", "best"])
    with pytest.raises(
        ValueError, match=r"params\.yaml: arms\[1\] must be one of selected, random, real, all-real; got 'best'"
    ):
        chosen_arm(["selected"], "arms")


def test_models_of_arms_that_are_not_trained_are_split_off():
    models = ["models/llm", "models/vlm/untrained", "models/vlm/real/finetuned", "models/vlm/genpair/finetuned"]
    assert split_models(models, ["real"]) == (models[:3], models[3:])
    assert split_models(models, ["real", "genpair"]) == (models, [])
    unknown = ["models/vlm/reel/finetuned"]  # kept: loading it is an error
    assert split_models(unknown, ["real"]) == (unknown, [])
