import dataclasses

from synthpairs.report.sections.contamination import hygiene


def with_counts(inputs, **counts):
    """The same with other counts of flags in every set."""
    audit, flags = inputs.metrics["audit"], {name.replace("_", "-"): count for name, count in counts.items()}
    sets = {name: one | flags for name, one in audit["sets"].items()}
    return dataclasses.replace(inputs, metrics=inputs.metrics | {"audit": audit | {"sets": sets}})


def test_counts_stand_by_set_and_what_was_not_measured_says_so(inputs):
    page = hygiene(inputs)
    assert [part for part in (
        "50 different texts and 40 different pictures",
        "candidates (n = 120) | selected (n = 20) | real (n = 0)",
        "nearly the same picture (perceptual hash) | 2 | 2 | 0 |",
        "| `text` | there is text in the picture | not measured | not measured | 0 |",
        "3 are shorter than one n-gram",
        "1 group, the largest of 2; 1 with different captions",
        "at most 3 differing bits of 64 for hashes, a cosine of at least 0.98 for embeddings; wording",
    ) if part not in page] == []  # fmt: skip


def test_examples_are_the_flagged_ones(inputs):
    rows = hygiene(inputs).split("| flag | pair |")[1].split("\n\n")[0].splitlines()[2:]
    assert len(rows) == 2
    assert "| `ffffffffff` | same group |" in rows[0]
    assert "| `desk_caption/0123` | 75% of the n-grams |" in rows[1]
    clean = dataclasses.replace(inputs, audit=inputs.audit.assign(flags=[[]] * len(inputs.audit)))
    assert "| flag | pair |" not in hygiene(clean)


def test_shared_pictures_are_not_shared_captions(inputs):
    page = hygiene(inputs)
    assert "The same few sentences say what scenes of few things show" in page
    assert "none is near a benchmark's" in page
    page = hygiene(with_counts(inputs, benchmark_picture_cosine=2, benchmark_caption=0))
    assert "2 of the candidates, 2 of the selected, 2 of the real are near a benchmark's by one measure" in page
    assert "No caption shares its wording with a benchmark." in page
    assert "not measured" in hygiene(with_counts(inputs, benchmark_picture_cosine=None))


def test_privacy_is_that_of_the_selections_sources(inputs):
    page = hygiene(inputs).split("### Privacy")[1]
    counts = inputs.selected.merge(inputs.kept[["uid", "source"]], on="uid")["source"].value_counts()
    assert all(f"{count} from `{source}`" in page for source, count in counts.items())
    assert "no photograph" in page
