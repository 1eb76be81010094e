from synthpairs.evaluation.diversity.clusters import measure_diversity, tracked_metrics
from synthpairs.report.sections.diversity import markdown
from tests.evaluation.diversity.test_clusters import EVEN, SKEWED, TOPICS, captions, embed, settings


def test_the_table_has_every_set_and_k_beside_the_paper():
    sets = {"skewed": captions(SKEWED), "even": captions(EVEN), "also even": captions(EVEN)}
    results = measure_diversity(sets, settings(clusters=[3, TOPICS]), embed)
    lines = markdown(results).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert [row.split(" | ")[:2] for row in rows[2:4]] == [["| 3", "skewed"], ["| 3", "even"]]
    assert "| 8 | even | 160 (160) | 2.08 ± 0.00 [" in rows[6]
    assert "62.5% ± 0.0%" in rows[6]
    assert "57.7%" in rows[-2]
    assert "69.8% to 83.0%" in rows[-1]
    assert "160 captions of each set, drawn by hash" in lines[0]
    assert "3 k-means seeds" in lines[0]
    verdict = "k = 8: also even has a higher entropy than skewed; no difference shown between also even and even."
    assert verdict in lines[-1]
    numbers = tracked_metrics(results)
    assert (numbers["captions_per_set"], numbers["clusters"]) == (160, TOPICS)
    assert list(numbers["entropy"]) == ["also even", "even", "skewed"]
    assert numbers["top5_share"]["skewed"] == 1


def test_a_single_set_has_nothing_to_be_compared_with():
    assert "- k = 8: even is the only set." in markdown(measure_diversity({"even": captions(EVEN)}, settings(), embed))
