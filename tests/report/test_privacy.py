import pytest

from synthpairs.report.privacy import privacy


def test_desk_pictures_come_from_drawings_alone():
    text = privacy({"inputs": {"model": "models/desk/generator"}}, {"human": 1200, "model": 3})
    assert "1,200 from `human`" in text
    assert "no photograph" in text
    assert "names, addresses" not in text, "no caption came from a file"


@pytest.mark.parametrize("model", ["stabilityai/sdxl@abc", "models/deskless"])
def test_other_generators_may_have_seen_people(model):
    text = privacy({"inputs": {"model": model}}, {"cc3m": 7})
    assert f"Painted by `{model}`, which learnt from what its publisher says" in text
    assert "7 from `cc3m` (a file that `captions.sources` names)" in text
    assert "not for names, addresses or numbers of people" in text
    assert "no photograph" not in text
