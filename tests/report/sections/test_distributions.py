import re

from synthpairs.evaluation.distributions.results import MEASURES, tracked_metrics
from synthpairs.report.sections.distributions import section
from tests.evaluation.distributions.conftest import chosen, results, table  # noqa: F401


def test_the_page_says_what_differs(results):  # noqa: F811
    strategies = results["rankings"]["strategies"]
    for one in strategies.values():  # values must stay in their columns if JSON is sorted
        one["standardised"] = dict(sorted(one["standardised"].items()))
    results["rankings"]["strategies"] = dict(sorted(strategies.items()))
    page = section(results)
    assert "of the same captions: higher: SSIM" in page
    negative = re.search(r"SSIM correlates negatively with (.*?)\.", page)
    assert "regions of a segmentation" in negative[1]
    assert "(n = 20)" in page
    *_, row = (line for line in page.splitlines() if line.startswith("| CLIP cosine | "))
    assert row.count("|") == len(MEASURES) + 6
    cells = [cell.strip() for cell in row.split("|")[2 : 2 + len(MEASURES)]]
    assert cells == [f"{strategies['clip-only']['standardised'][measure]:+.2f}" for measure in MEASURES]
    assert not re.search("nan|None", page)


def test_paired_images_and_a_second_clip_are_optional(results):  # noqa: F811
    results |= {"coupled": {}, "captions_with_both": 1, "other": None}
    results["rankings"]["cosines"] = None
    for one in results["rankings"]["strategies"].values():
        one["other_clip"] = None
    page = section(results)
    assert "Too few to say: n = 1 caption with both images, 2 are needed." in page
    assert "No other CLIP was used" in page
    assert tracked_metrics(results)["other_clip"] == {}
