"""The section's verdicts follow from the numbers."""

from synthpairs.report.sections.preference import section

WON = {"n": 100, "wins": 60, "ties": 20, "losses": 20, "rate": 0.7, "low": 0.6, "high": 0.8, "p": 0.001}
LOST = WON | {"wins": 20, "losses": 60, "rate": 0.3, "low": 0.2, "high": 0.4}
EVEN = WON | {"rate": 0.52, "low": 0.45, "high": 0.6, "p": 0.4}


def judge(preference, control=WON):
    return {
        "preference": preference,
        "control": {"real": control, "synthetic": WON},
        "troubles": {"inconsistent": 3, "unclear": 0, "failed": 0},
        "concepts": {"dog": {"wins": 2, "ties": 1, "losses": 0}, "cat": {"wins": 1, "ties": 0, "losses": 0}},
    }


def results(**judges):
    return {"synthetic": "selected", "engine": "local", "n": 100, "concepts": 40, "judges": judges, "couples": {},
            "left_out": [], "not_asked": None}  # fmt: skip


def test_judges_that_agree_show_a_preference():
    page = section(results(one=judge(WON), two=judge(WON)))
    assert "| `one` | 100 | 60.0% | 20.0% | 20.0% | 70.0% [60.0%, 80.0%] | 0.001 | 70.0% [60.0%, 80.0%], " in page
    assert "- `one`: prefers the synthetic images (win rate 70.0% [60.0%, 80.0%]); of its ties 3 inconsistent." in page
    assert "All judges that pass the control prefer the synthetic images." in page
    assert "| *GPT-4V in SynthVLM* | 1,000 |" in page
    assert "| dog | 3 | 2 - 1 - 0 | 2 - 1 - 0 |" in page
    assert "| cat |" not in page, "concepts with one image pair are not listed"


def test_judges_that_disagree_show_none():
    for other in (LOST, EVEN):
        assert "The judges that pass the control disagree" in section(results(one=judge(WON), two=judge(other)))
    assert "- No preference is shown." in section(results(one=judge(EVEN)))


def test_a_judge_at_chance_has_no_say():
    page = section(results(one=judge(LOST), two=judge(WON, control=EVEN)))
    assert "`two` fails the control: accuracy 52.0% [45.0%, 60.0%]" in page
    assert "All judges that pass the control prefer the real images." in page
    assert "No judge passes the control, so there is no result." in section(results(two=judge(WON, control=EVEN)))
