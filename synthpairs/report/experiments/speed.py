"""Page of `make speed` (perf/embeddings_vs_pixels.py): training on VQ tokens against training on pixels."""

from collections.abc import Sequence
from typing import Any

from synthpairs.core.markdown import literal, markdown_table
from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.sections.claims import HOLDS, OPPOSITE, Claim

ROUTES = ("embeddings", "pixels")
PAPER = 1.25  # times as many steps a second


def speed_page(speed: dict[str, Any]) -> str:
    """The page as Markdown: steps per second, bytes and memory of both routes, their ratio, and the time by part."""
    rows = [
        ["steps of fine-tuning a second", *(_spread(speed["steps_per_s"][route]) for route in ROUTES)],
        ["steps of pretraining a second", *(_spread(speed["pretrain"]["steps_per_s"][route]) for route in ROUTES)],
        ["bytes of a sample", *(f"{speed['bytes_per_sample'][route]:,.0f}" for route in ROUTES)],
        ["peak memory, MiB", *(f"{speed['peak_memory_mib'][route]:,.0f}" for route in ROUTES)],
    ]
    where = speed["where"]
    parts = list(dict.fromkeys(name for route in ROUTES for name in where.get(route, {})))
    times = [
        [literal(name), *(f"{where[route][name]:.1%}" if name in where[route] else "-" for route in ROUTES)]
        for name in parts
    ]
    page = [
        "# Training on VQ tokens against training on pixels",
        f"Synth2 reports 2.08 steps a second on embeddings against 1.66 on pixels, {PAPER} times as many.",
        f"**Faster training than on pixels: {verdict(speed['pretrain']['ratio'])} in projector pretraining, "
        f"{verdict(speed['ratio'])} in fine-tuning.** Steps a second on embeddings are **{speed['ratio'][0]:.2f} times** "
        f"those on pixels in fine-tuning{_brackets(speed['ratio'])}, and **{speed['pretrain']['ratio'][0]:.2f} times** in "
        f"projector pretraining{_brackets(speed['pretrain']['ratio'])}, which is the resampler's and, unlike the paper's, "
        f"leaves the language model out. Medians of n = {speed['n_runs']:,} runs of each, in turns in one process, with the same "
        "generator and captions; in brackets 95% intervals by bootstrap over the runs; "
        f"on {literal(speed['machine'])}.",
        markdown_table(["", *ROUTES], rows, words=[0]),
        "Share of the time of fine-tuning by part:",
        markdown_table(["part", *ROUTES], times, words=[0]),
        "`make speed` measures it anew.",
    ]
    return "\n\n".join(page) + "\n"


def faster(speed: dict[str, Any]) -> Claim:
    """The paper's claim of faster training, for the report."""
    ratios = {"pretraining without the language model": speed["pretrain"]["ratio"], "fine-tuning": speed["ratio"]}
    times = [f"{name} {ratio[0]:.2f} times as fast{_brackets(ratio)}" for name, ratio in ratios.items()]
    return Claim(
        claim="faster training than on pixels",
        paper=f"2.08 against 1.66 steps a second, {PAPER} times as many",
        here=f"{', '.join(times)}; n = {speed['n_runs']:,} runs of each ([measured apart from this run](experiments/speed.md))",
        verdict=", ".join(f"{verdict(ratio)} in {name}" for name, ratio in ratios.items()),
    )


def verdict(ratio: Sequence[float]) -> str:
    """Whether training on embeddings is faster, and as much as in the paper, by the ratio as [median, low, high]."""
    if ratio[1] > 1:
        return HOLDS if ratio[2] >= PAPER else f"less than {PAPER} times"
    return OPPOSITE if ratio[2] < 1 else NO_DIFFERENCE


def _spread(values: Sequence[float]) -> str:
    return f"{values[0]:.3g}{_brackets(values)}"


def _brackets(values: Sequence[float]) -> str:
    return f" [{values[1]:.3g}, {values[2]:.3g}]"
