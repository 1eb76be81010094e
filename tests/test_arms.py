import pytest

from synthpairs.arms import chosen_arm


@pytest.fixture(autouse=True)
def _params(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("arms: [selected, random, real]\ncode_arms: [genpair]\n")


def test_an_arm_is_chosen():
    assert chosen_arm(["random"], "arms") == "random"
    assert chosen_arm(["genpair"], "arms", "code_arms") == "genpair"


@pytest.mark.parametrize(("arguments", "got"), [([], "none"), (["top"], "top"), (["real", "random"], "real random")])
def test_other_arms_are_named(arguments, got):
    with pytest.raises(ValueError, match=f"one arm of selected, random, real .*, got {got}"):
        chosen_arm(arguments, "arms")


def test_the_list_is_closed(tmp_path):
    (tmp_path / "params.yaml").write_text("arms: [selected, best]\n")
    with pytest.raises(ValueError, match=r"params\.yaml: arms\[1\] must be one of selected, random, real; got 'best'"):
        chosen_arm(["selected"], "arms")
