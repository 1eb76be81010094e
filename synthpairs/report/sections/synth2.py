"""The section about the Synth2 route: what its arms are worth, how many pairs they saw, and the paper's figures beside ours."""

from collections.abc import Callable, Sequence

import pandas as pd

from synthpairs.core.markdown import markdown_table
from synthpairs.report import figures, grids, tables
from synthpairs.report.codes import MIXED, REAL, SYNTHETIC, Codes, couples
from synthpairs.report.findings import against_blind, differences
from synthpairs.report.inputs import DESK_MODELS
from synthpairs.report.params import Report
from synthpairs.report.sections.claims import CAPTIONING, claims, claims_table, claims_told
from synthpairs.report.sections.evidence import curves_section, speed_section
from synthpairs.report.sections.summary import SIGHT, bullets, contest, sight
from synthpairs.report.tables import folded, image, interval, literal, number

CONTESTS = {
    (MIXED, REAL): "*Does it pay to mix generated pairs in?*",
    (SYNTHETIC, REAL): "*Are generated pairs alone as good as real ones?*",
}
DRAWS = {
    "real_draws": "draws of real pairs",
    "real_pairs": "different real pairs",
    "synthetic_draws": "draws of generated pairs",
    "synthetic_pairs": "different generated pairs",
}


def synth2(
    codes: Codes, diversity: str, paint: Callable[[Sequence[str]], Sequence[bytes]], params: Report
) -> tuple[str, dict[str, bytes]]:
    """The section as Markdown and its PNGs by file name; equal inputs give equal bytes.

    `diversity` is the text about the caption sets; `paint` makes a PNG of the codes of each of these pairs, known by key.
    """
    tasks = list(dict.fromkeys([CAPTIONING, *params.key_tasks]))
    judged = against_blind(codes, tasks)
    chosen = [couple for couple in CONTESTS if set(couple) <= set(codes.arms)]
    compared = differences(codes, params, chosen)
    found = claims(codes, compared)
    shown = couples(codes.generated, codes.real, max(1, params.pictures // 2), params.seed)
    drawn: dict[str, bytes] = {}
    parts = [
        "## The Synth2 route: pictures that are never drawn",
        _summary(codes, judged, compared, tasks, params.key_tasks, claims_told(found)),
        "A language model invents captions for class names, the filters of the other route screen them, and a masked generator "
        "fills a grid of codes for each: what its own VQ tokenizer would make of the picture. The VLM has that tokenizer for "
        "an eye, so it learns from the codes and no picture is ever drawn. The real pairs are those that tokenizer and "
        "generator learnt from, and no others (the paper's controlled protocol): at desk scale scenes of emoji drawings with "
        "template captions.",
        *(_arms(codes, compared, drawn) if codes.arms else ()),
        "### The paper's figures beside ours",
        claims_table(found),
        "### Learning curves",
        curves_section(codes.curves),
        "### Speed",
        speed_section(codes.speed),
        "### From class names to pairs",
        *_funnel(codes),
        "### The masked generator",
        *_generator(codes),
        *_grid(shown, paint, params, drawn),
        "### How diverse the captions are",
        "![share of each set's captions by cluster](diversity.png)",
        diversity.strip(),
    ]
    return "\n\n".join(parts), drawn


def _arms(codes: Codes, compared: pd.DataFrame, drawn: dict[str, bytes]) -> list[str]:
    """What the arms saw, what they answered, and how they differ."""
    parts = ["### How many pairs each arm saw", *_draws(codes), "### The arms of codes side by side"]
    if codes.results.empty:
        return [*parts, "No benchmark was asked: `benchmark.tasks.codes` is empty."]
    drawn["code-arms.png"] = figures.arms_figure(codes.results, codes.fixed_answers)
    return [
        *parts,
        f"`{REAL}` learns from real pairs alone, `{SYNTHETIC}` from generated ones alone, `{MIXED}` from both. Intervals, "
        "blind rows and best fixed answers as above; the benchmarks' pictures go through the tokenizer.",
        image("code-arms.png", "a dot and its interval for every arm of codes on every task"),
        tables.arms_table(codes),
        f"Question by question, *p* corrected for these {len(compared)} comparisons:",
        tables.differences_table(compared),
        folded("By kind of question", tables.categories_table(codes)),
        folded("The trainings on codes", tables.trainings_table(codes)),
    ]


def _grid(
    shown: pd.DataFrame, paint: Callable[[Sequence[str]], Sequence[bytes]], params: Report, drawn: dict[str, bytes]
) -> list[str]:
    """Generated pairs beside real ones."""
    if shown.empty:
        return ["No codes were generated: `invent` and `screen` kept no caption, or `embed` failed for all of them."]
    drawn["codes.png"] = grids.grid(_cells(shown, paint), params.columns, params.side)
    return [
        f"Generated pairs, each followed by a real one of the same concept where there is one; both decoded from their codes "
        f"for this page only, a random {len(shown) // 2} of each:",
        image(
            "codes.png",
            "pictures decoded from generated codes beside pictures decoded from real ones, with their captions",
        ),
    ]


def _summary(
    codes: Codes,
    judged: pd.DataFrame,
    compared: pd.DataFrame,
    tasks: Sequence[str],
    key_tasks: Sequence[str],
    told: str,
) -> str:
    answers = [f"{SIGHT} {sight(judged[judged['task'].isin(key_tasks)], key_tasks)} {_captioning(judged)}"]
    for (one, other), question in CONTESTS.items():
        rows = compared[(compared["one"] == one) & (compared["other"] == other)]
        if len(rows):
            answers.append(f"{question} {contest(one, other, rows, tasks)}")
    return bullets([*answers, f"*Do the paper's claims hold here?* {told}", f"*How sure is that?* {_sizes(codes)}"])


def _sizes(codes: Codes) -> str:
    """What each arm's one training rests on."""
    if not codes.arms:
        return "No arm of codes was trained: `code_arms` is empty."
    told = []
    for arm in codes.arms:
        counts = codes.trainings["align"][arm]
        kinds = (("real_pairs", "real"), ("synthetic_pairs", "generated"))
        told.append(f"`{arm}` {' and '.join(f'{counts[key]:,} {kind}' for key, kind in kinds if counts[key])}")
    return (
        f"Each arm is one training run with one seed; it saw this many different pairs: {', '.join(told)}. Only the learning "
        "curves have more seeds."
    )


def _captioning(judged: pd.DataFrame) -> str:
    """Whether each arm's captions beat those of its blind self."""
    rows = judged[judged["task"] == CAPTIONING].to_dict("records")
    if not rows:
        return f"{CAPTIONING} was not asked."
    told = [
        f"`{row['arm']}` {'beats' if row['clear'] else 'is not shown to beat'} its blind self "
        f"({number(row['value'])}{interval(row['low'], row['high'])} against {number(row['blind_value'])}"
        f"{interval(row['blind_low'], row['blind_high'])})"
        for row in rows
    ]
    return f"On {CAPTIONING} ({rows[0]['metric']}, n = {rows[0]['n']:,}) {'; '.join(told)}."


def _draws(codes: Codes) -> list[str]:
    """How much of what every arm was trained on."""
    counts = codes.trainings["align"]
    rows = [[f"`{arm}`", *(f"**{number(counts[arm].get(name))}**" for name in DRAWS)] for arm in codes.arms]
    return [
        "A draw is one pair in one step of training, and all arms make as many draws: one that sees generated pairs sees "
        "fewer real ones. Where there are fewer different pairs than draws, pairs come round again.",
        markdown_table(["arm", *DRAWS.values()], rows, words=[0]),
    ]


def _funnel(codes: Codes) -> list[str]:
    """What became of every caption that was asked for, and where the real pairs come from."""
    invent, screen, pairs, embed = (codes.metrics[stage] for stage in ("invent", "screen", "pairs", "embed"))
    sources = screen["source"].values()
    rejected: dict[str, int] = {}
    for source in sources:
        for reason, count in source["rejected"].items():
            rejected[reason] = rejected.get(reason, 0) + count
    rows = [
        [f"captions asked for, about {invent['classes']:,} classes", invent["asked"], ""],
        ["captions that `invent` kept", invent["kept"], _lost(invent["rejected"] | {"failed": invent["failed"]})],
        ["captions that `screen` kept", screen["kept_total"], _lost(rejected)],
        ["grids of codes asked for", embed["candidates"], ""],
        ["grids that `embed` made", embed["made"], _lost({"failed": embed["failed"]})],
        ["real scenes on the list that the generator learnt from", pairs["scenes"], ""],
        ["real pairs that arms may see", pairs["used"], ""],
    ]
    return [
        "What `invent` rejected is in `data/invented/captions.parquet`, what `screen` rejected in "
        "`data/screened/rejected.parquet`, each with its reason; grids that failed in `data/embedded/failed.parquet`.",
        markdown_table(["step", "count", "lost before it"], [[a, number(b), c] for a, b, c in rows], words=[0, 2]),
    ]


def _lost(counts: dict[str, int]) -> str:
    """Reasons with their counts, most first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {literal(reason)}" for reason, count in ordered if count) or "none"


def _generator(codes: Codes) -> list[str]:
    measured = codes.desk_models or {}
    if "masked" not in measured:
        return [f"Not measured: {DESK_MODELS} has no entry `masked`; `python -m desk_models.publish` writes it."]
    shown = {name: one for name, one in measured.items() if name in ("masked", "referee_on_real")}
    return [
        "How often the independent referee of *The desk models* names what a picture decoded from generated codes was "
        "asked to show, first or among its first five, and what it makes of real drawings. `psnr_db` and `codes_used`: "
        "how well the tokenizer gives pictures of its own list back, and the share of the codebook that it needs for them.",
        tables.nested_table(shown, "measure"),
    ]


def _cells(shown: pd.DataFrame, paint: Callable[[Sequence[str]], Sequence[bytes]]) -> list[grids.Cell]:
    painted = paint(list(shown["key"]))
    return [
        grids.Cell(picture=picture, caption=text, note=("generated", "real")[place % 2])
        for place, (picture, text) in enumerate(zip(painted, shown["text"], strict=True))
    ]
