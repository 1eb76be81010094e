"""The section about what is wrong with the pairs beside their scores, what benchmarks share with them, and about people."""

from typing import Any

import pandas as pd

from synthpairs.core.markdown import markdown_table
from synthpairs.report.inputs import Inputs
from synthpairs.report.privacy import privacy
from synthpairs.report.tables import literal, number

EXAMPLES = 6
# What each flag of `audit` says, in the order of the table.
_MEANING = {
    "near-duplicate": "another pair of the audit has nearly the same picture (perceptual hash)",
    "benchmark-picture-hash": "a benchmark has nearly the same picture (perceptual hash)",
    "benchmark-picture-cosine": "a benchmark has a picture with nearly the same CLIP embedding",
    "benchmark-caption-exact": "the caption is a benchmark's text, word for word",
    "benchmark-caption": "the caption shares word n-grams with benchmark texts",
    "text": "there is text in the picture",
    "nsfw": "a classifier takes the picture for unsafe",
    "unreadable": "the picture cannot be read",
}
_SETS = ("candidates", "selected", "real")


def hygiene(inputs: Inputs) -> str:
    """The section as Markdown: counts by set, at most EXAMPLES flagged pairs, what it means, and privacy."""
    told = inputs.metrics["audit"]
    sets, against = told["sets"], told["benchmarks"]
    rows = [[f"`{flag}`", meaning, *(_count(sets[name], flag) for name in _SETS)] for flag, meaning in _MEANING.items()]
    heads = [f"{name} (n = {sets[name]['pairs']:,})" for name in _SETS]
    chosen = sets["selected"]
    sources = inputs.selected.merge(inputs.kept[["uid", "source"]], on="uid", how="left")["source"].value_counts()
    parts = [
        "## Hygiene",
        f"Every pair was held against the {against['texts']:,} different texts and {against['pictures']:,} different pictures of "
        "the benchmarks, and against the other pairs; `data/audit/audit.parquet` has the measures of each. Nothing is dropped "
        "for a flag.",
        markdown_table(["flag", "says", *heads], rows, words=range(2)),
        _limits(told["limits"]),
        f"Of the selection's captions {chosen['short_captions']:,} are shorter than one n-gram and match only a text that says "
        f"the same. Its near duplicates make {_groups(chosen)}.",
        _meaning(sets),
    ]
    examples = _examples(inputs.audit)
    if examples:
        parts += [
            "Of each flag the worst of the selection, or else of all pairs:",
            markdown_table(["flag", "pair", "caption", "nearest", "how near"], examples),
        ]
    privacy_told = privacy(inputs.generator, {str(source): int(count) for source, count in sources.items()})
    return "\n\n".join([*parts, "### Privacy", privacy_told])


def _count(told: dict[str, Any], flag: str) -> str:
    return "not measured" if told[flag] is None else number(told[flag])


def _limits(limits: dict[str, Any]) -> str:
    cosine = (
        ""
        if limits["cosine_min"] is None
        else f" for hashes, a cosine of at least {limits['cosine_min']:g} for embeddings"
    )
    return (
        f"*Nearly the same* is at most {limits['hash_distance']} differing bits of 64{cosine}; wording is shared from "
        f"{limits['caption_share']:.0%} of a caption's sequences of {limits['caption_ngram']} words on, so that sentences on one "
        "pattern about different things do not count."
    )


def _groups(told: dict[str, Any]) -> str:
    if not told["groups"]:
        return "no group"
    return (
        f"{told['groups']:,} group{'s' * (told['groups'] > 1)}, the largest of {told['largest_group']:,}; "
        f"{told['groups_of_several_captions']:,} with different captions"
    )


def _meaning(sets: dict[str, dict[str, Any]]) -> str:
    """What hits stand for: shared captions come with shared templates, shared pictures must not be."""
    pictures = {
        name: max(sets[name]["benchmark-picture-hash"], sets[name]["benchmark-picture-cosine"] or 0) for name in _SETS
    }
    captions = {name: sets[name]["benchmark-caption"] for name in _SETS}
    if any(captions.values()):
        told = (
            "The same few sentences say what scenes of few things show, in training and in benchmarks: that captions are shared "
            "follows from how both are made, and a model that learnt them still has to see the picture to answer. The blind "
            "baseline is what the words alone are worth."
        )
    else:
        told = "No caption shares its wording with a benchmark."
    found = ", ".join(f"{count:,} of the {name}" for name, count in pictures.items() if count)
    if not found:
        return f"{told} Pictures must not be shared, and none is near a benchmark's."
    return (
        f"{told} Pictures must not be shared: {found} are near a benchmark's by one measure. Near is not the same: a new drawing "
        "of one thing in one place on one colour can come out so. The rows below say which, to be looked at."
    )


def _examples(audit: pd.DataFrame) -> list[list[str]]:
    """One row of each flag that any pair has."""
    rows = []
    order = audit.sort_values(
        ["selected", "picture_bits", "picture_cosine", "caption_share", "key"],
        ascending=[False, True, False, False, True],
    ).to_dict("records")
    for flag in _MEANING:
        row = next((row for row in order if flag in row["flags"]), None)
        if row is not None:
            item, near = _nearest(flag, row)
            rows.append([f"`{flag}`", f"`{row['key'][:10]}`", literal(row["text"]), item, near])
    return rows[:EXAMPLES]


def _nearest(flag: str, row: dict[str, Any]) -> tuple[str, str]:
    """What the flag is about, and the measure."""
    if flag == "near-duplicate":
        return f"`{row['group'][:10]}`", "same group"
    if flag == "benchmark-picture-hash":
        return f"`{row['picture_bits_item'][:24]}`", f"{int(row['picture_bits'])} of 64 bits"
    if flag == "benchmark-picture-cosine":
        return f"`{row['picture_cosine_item'][:24]}`", f"cosine {number(row['picture_cosine'])}"
    if flag.startswith("benchmark-caption"):
        return f"`{row['caption_item'][:24]}`", f"{row['caption_share']:.0%} of the n-grams"
    if flag == "text":
        return literal(row["written"]), "-"
    return "-", number(row["nsfw"]) if flag == "nsfw" else literal(str(row["error"]))
