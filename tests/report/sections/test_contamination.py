import dataclasses

from synthpairs.report.sections.contamination import contamination


def with_counts(results, **counts):
    """Results with other counts of flags in every set."""
    contamination, flags = (
        results.contamination_metrics,
        {name.replace("_", "-"): count for name, count in counts.items()},
    )
    sets = {name: one | flags for name, one in contamination["sets"].items()}
    return dataclasses.replace(results, contamination_metrics=contamination | {"sets": sets})


def test_counts_stand_by_set_and_what_was_not_measured_says_so(results):
    page = contamination(results)
    assert [part for part in (
        "50 different texts and 40 different images",
        "candidates (n = 120) | selected (n = 20) | real (n = 0)",
        "another pair has a near-duplicate image (perceptual hash) | 2 | 2 | 0 |",
        "| `text` | there is text in the image | not measured | not measured | 0 |",
        "3 are shorter than one n-gram",
        "1 group, the largest of 2; 1 with different captions",
        "at most 3 differing bits of 64 by hash or a cosine of at least 0.98 by embedding",
    ) if part not in page] == []  # fmt: skip


def test_examples_are_the_flagged_ones(results):
    rows = contamination(results).split("| flag | pair |")[1].split("\n\n")[0].splitlines()[2:]
    assert len(rows) == 2
    assert "| `ffffffffff` | same group |" in rows[0]
    assert "| `desk_caption/0123` | 75% of the n-grams |" in rows[1]
    clean = dataclasses.replace(
        results, contamination=results.contamination.assign(flags=[[]] * len(results.contamination))
    )
    assert "| flag | pair |" not in contamination(clean)


def test_shared_images_are_distinguished_from_shared_captions(results):
    page = contamination(results)
    assert "Training and benchmarks share captions" in page
    assert "none is a near duplicate of a benchmark's" in page
    page = contamination(with_counts(results, benchmark_picture_cosine=2, benchmark_caption=0))
    assert (
        "By one measure near duplicates of a benchmark's: 2 of the candidates, 2 of the selected, 2 of the real."
        in page
    )
    assert "No caption shares its wording with a benchmark." in page
    assert "not measured" in contamination(with_counts(results, benchmark_picture_cosine=None))


def test_privacy_is_that_of_the_selections_sources(results):
    page = contamination(results).split("### Privacy")[1]
    counts = results.selected.merge(results.kept[["uid", "source"]], on="uid")["source"].value_counts()
    assert all(f"{count} from `{source}`" in page for source, count in counts.items())
    assert "no photograph" in page


def test_external_benchmarks_are_said_not_to_be_compared(results):
    assert "which only their harness reads" not in contamination(results)
    scored = {arm: numbers | {"mme": {"engine": "lmms-eval 0.7.3"}} for arm, numbers in results.benchmarks.items()}
    assert "(not of `mme`, which only their harness reads)" in contamination(
        dataclasses.replace(results, benchmarks=scored)
    )
