"""Report section on contamination and duplicates: pairs that benchmarks or other pairs share; and on privacy."""

from typing import Any

import pandas as pd

from synthpairs.core.markdown import code, literal, markdown_table
from synthpairs.report.privacy import caption_origins, privacy
from synthpairs.report.results import SynthVLMResults
from synthpairs.report.tables import number

EXAMPLES = 6
# Flags of stage `contamination` with their meaning, in the order of the table.
FLAGS = {
    "near-duplicate": "another pair has a near-duplicate image (perceptual hash)",
    "benchmark-picture-hash": "a benchmark has a near-duplicate image (perceptual hash)",
    "benchmark-picture-cosine": "a benchmark has a near-duplicate image (cosine of CLIP embeddings)",
    "benchmark-caption-exact": "the caption equals a text of a benchmark",
    "benchmark-caption": "the caption shares word n-grams with benchmark texts",
    "text": "there is text in the image",
    "nsfw": "a classifier calls the image unsafe",
    "unreadable": "the image cannot be decoded",
}
SETS = ("candidates", "selected", "real")


def contamination(results: SynthVLMResults) -> str:
    """Counts of each flag by set, thresholds, at most EXAMPLES flagged pairs, and privacy, as Markdown."""
    sets, benchmarks, limits = (results.contamination_metrics[name] for name in ("sets", "benchmarks", "limits"))
    rows = []
    for flag, meaning in FLAGS.items():
        by_set = [sets[name][flag] for name in SETS]
        rows.append([f"`{flag}`", meaning, *("not measured" if count is None else number(count) for count in by_set)])
    heads = [f"{name} (n = {sets[name]['pairs']:,})" for name in SETS]
    cosine = limits["cosine_min"]
    examples = _examples(results.contamination)
    parts = [
        "## Contamination and duplicates",
        f"Every pair was compared with the {benchmarks['texts']:,} different texts and {benchmarks['pictures']:,} "
        f"different images of the benchmarks of stage `tasks`{_not_compared(results)}, and with the other pairs; "
        "`data/contamination/contamination.parquet` has the measures of each pair. Flagged pairs are not removed.",
        markdown_table(["flag", "meaning", *heads], rows, words=range(2)),
        f"*Near duplicates* have at most {limits['hash_distance']} differing bits of 64 by hash"
        f"{'' if cosine is None else f' or a cosine of at least {cosine:g} by embedding'}. A caption is flagged if it shares at "
        f"least {limits['caption_share']:.0%} of its sequences of {limits['caption_ngram']} words with benchmark texts, so that "
        "sentences of one pattern about different concepts do not count.",
        f"Of the selected captions, {sets['selected']['short_captions']:,} are shorter than one n-gram and are "
        f"compared for equality only. The near duplicates of the selection form {_groups(sets['selected'])}.",
        _interpretation(sets),
    ]
    if examples:
        parts += [
            "The strongest case of each flag, from the selection if there is one:",
            markdown_table(["flag", "pair", "caption", "nearest", "measure"], examples),
        ]
    origins = caption_origins(results.selected, results.kept)
    return "\n\n".join([*parts, "### Privacy", privacy(results.generator, origins)])


def _not_compared(results: SynthVLMResults) -> str:
    """The external benchmarks, whose questions only their harness sees."""
    tasks = {task for numbers in results.benchmarks.values() for task in numbers if "engine" in numbers[task]}
    return f" (not of {', '.join(map(code, sorted(tasks)))}, which only their harness reads)" if tasks else ""


def _groups(selected: dict[str, Any]) -> str:
    if not selected["groups"]:
        return "no group"
    return (
        f"{selected['groups']:,} group{'s' * (selected['groups'] > 1)}, the largest of {selected['largest_group']:,}; "
        f"{selected['groups_of_several_captions']:,} with different captions"
    )


def _interpretation(sets: dict[str, dict[str, Any]]) -> str:
    """Shared captions follow from shared templates; shared images are contamination."""
    images = {
        name: max(sets[name]["benchmark-picture-hash"], sets[name]["benchmark-picture-cosine"] or 0) for name in SETS
    }
    if any(sets[name]["benchmark-caption"] for name in SETS):
        text = (
            "Training and benchmarks share captions because scenes of few things are described by few sentences. A "
            "model that has memorised them still needs the image to answer; the results without the image show what "
            "the words alone are worth."
        )
    else:
        text = "No caption shares its wording with a benchmark."
    near = ", ".join(f"{count:,} of the {name}" for name, count in images.items() if count)
    if not near:
        return f"{text} Images must not be shared, and none is a near duplicate of a benchmark's."
    return (
        f"{text} Images must not be shared. By one measure near duplicates of a benchmark's: {near}. That may be chance: two "
        "drawings of one thing at the same position on the same colour are nearly equal. See the rows below."
    )


def _examples(contamination: pd.DataFrame) -> list[list[str]]:
    """One row of each flag that any pair has."""
    rows = []
    order = contamination.sort_values(
        ["selected", "picture_bits", "picture_cosine", "caption_share", "key"],
        ascending=[False, True, False, False, True],
    ).to_dict("records")
    for flag in FLAGS:
        row = next((row for row in order if flag in row["flags"]), None)
        if row is not None:
            rows.append([f"`{flag}`", f"`{row['key'][:10]}`", literal(row["text"]), *_nearest(flag, row)])
    return rows[:EXAMPLES]


def _nearest(flag: str, row: dict[str, Any]) -> tuple[str, str]:
    """The nearest item and the measure of a flag."""
    if flag == "near-duplicate":
        return f"`{row['group'][:10]}`", "same group"
    if flag == "benchmark-picture-hash":
        return f"`{row['picture_bits_item'][:24]}`", f"{int(row['picture_bits'])} of 64 bits"
    if flag == "benchmark-picture-cosine":
        return f"`{row['picture_cosine_item'][:24]}`", f"cosine {number(row['picture_cosine'])}"
    if flag.startswith("benchmark-caption"):
        shared = "equal" if row["caption_exact"] else f"{row['caption_share']:.0%} of the n-grams"
        return f"`{row['caption_item'][:24]}`", shared
    if flag == "text":
        return literal(row["written"]), "-"
    return "-", number(row["nsfw"]) if flag == "nsfw" else literal(str(row["error"]))
