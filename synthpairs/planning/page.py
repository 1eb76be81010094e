"""A plan as people and as machines read it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from synthpairs.markdown import markdown_table
from synthpairs.planning.costs import GIB, Estimate, Machine, Total, disk, hours, memory, together
from synthpairs.planning.effects import Effect
from synthpairs.planning.rates import CPU, GPUS
from synthpairs.planning.work import Work

NOT_COUNTED = (
    "Not counted: models to download, load and write, stages of seconds, the Synth2 route but for `embed`, "
    "repairs and waiting."
)


def told(work: Work, machine: Machine, found: list[Estimate], seen: list[Effect]) -> str:
    """Tables and what to make of them, as Markdown with aligned columns."""
    parts = [
        f"{work.captions:,} captions ({work.told}), {work.candidates:,} pictures of {work.side} pixels in {work.steps} "
        f"steps, {len(work.arms)} arms; language model: {_size(work.llm_parameters)}.",
        _times(machine, found),
        *_in_words(work, machine, found),
        _sources(found),
    ]
    if machine.gpu != CPU:
        gpu = GPUS[machine.gpu]
        parts.append(f"{machine.gpu}: {gpu.speed:g} ({gpu.low:g} to {gpu.high:g}) times an A100; {gpu.source}.")
    if seen:
        parts += [
            "Smallest difference between two arms that is seen four times in five (two-sided paired test at 5%):",
            _aligned(
                ["benchmark", "items", "difference", "spread of the differences from"],
                [[one.task, f"{one.items:,}", f"{one.detectable:.3f}", one.told] for one in seen],
                {0, 3},
            ),
        ]
    return "\n\n".join(parts) + "\n"


def document(work: Work, machine: Machine, found: list[Estimate], seen: list[Effect]) -> dict[str, Any]:
    """The same for machines: seconds and bytes."""
    return {
        "work": asdict(work),
        "machine": asdict(machine),
        "stages": [asdict(one) | {"hours": hours(one.seconds, one.serial, machine.gpus)} for one in found],
        "memory": memory(work, machine),
        "disk": disk(found),
        "effects": [asdict(one) for one in seen],
    }


def _times(machine: Machine, found: Sequence[Estimate]) -> str:
    """Time, disk and money of every load and of all of them."""
    head = ["stage", "part", f"on {'2 CPU cores' if machine.gpu == CPU else f'1 {machine.gpu}'}", "at least", "at most"]
    head += [f"on {machine.gpus} of them"] if machine.gpus > 1 else []
    head += ["disk"]
    head += ["cost", "at least", "at most"] if machine.price is not None else []
    lines = [[one.stage, one.part, *_cells(one, machine)] for one in found]
    lines.append(["all", "", *_cells(together(found), machine)])
    return _aligned(head, lines, {0, 1})


def _cells(one: Estimate | Total, machine: Machine) -> list[str]:
    device_seconds = [one.seconds, one.low, one.high]
    cells = [_time(value) for value in device_seconds]
    if machine.gpus > 1:
        cells.append(_time(3600 * hours(one.seconds, one.serial, machine.gpus)))
    cells.append(_bytes(one.disk))
    if machine.price is not None:
        cells += [_short(value / 3600 * machine.price) for value in device_seconds]
    return cells


def _in_words(work: Work, machine: Machine, found: Sequence[Estimate]) -> list[str]:
    """What the table does not say: the whole machine, and what was assumed."""
    total = together(found)
    wall = hours(total.seconds, total.serial, machine.gpus)
    said = [
        f"Main memory: {memory(work, machine) / GIB:,.0f} GiB; disk: {disk(found) / GIB:,.0f} GiB with everything kept. "
        "Between `at least` and `at most` the truth is expected, which is no promise."
    ]
    if machine.gpus > 1:
        rent = wall * machine.gpus * (machine.price or 0)
        paid = f"; all {machine.gpus} for all that time cost {_short(rent)}" if machine.price else ""
        said.append(f"In {_time(total.serial)} of it one process works and the other GPUs have nothing to do{paid}.")
    said.append(NOT_COUNTED)
    if work.notes:
        said.append("\n".join(f"- {note}" for note in work.notes))
    return said


def _sources(found: Sequence[Estimate]) -> str:
    """Every rate once, under the first stage that it is used in."""
    rows: dict[int, list[str]] = {}
    for one in found:
        rate, origin = one.rate, "measured here: " if one.measured else ""
        name = f"{one.stage}, {one.part}" if one.part else one.stage
        rows.setdefault(id(rate), [name, f"{rate.seconds:.3g}", rate.piece, rate.hardware, f"{origin}{rate.source}"])
    return _aligned(["stage, part", "seconds", "for each", "on", "source"], [*rows.values()], {0, 2, 3, 4})


def _size(parameters: float | None) -> str:
    if parameters is None:
        return "size unknown, taken as the table's"
    return f"{parameters / 1e9:.3g}B parameters" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M parameters"


def _time(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    for limit, unit, name in ((100, 1, "s"), (6000, 60, "min")):
        if seconds < limit:
            return f"{_short(seconds / unit)} {name}"
    return f"{_short(seconds / 3600)} h"


def _bytes(count: float) -> str:
    """MiB or GiB; nothing for nothing."""
    if not count:
        return ""
    return f"{_short(count / GIB)} GiB" if count >= GIB else f"{_short(count / 2**20)} MiB"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.3g}"


def _aligned(head: list[str], rows: list[list[str]], words: set[int]) -> str:
    """A Markdown table whose source is aligned too."""
    table = [head, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    padded = [
        [cell.ljust(width) if place in words else cell.rjust(width) for place, (cell, width) in enumerate(line)]
        for line in (list(zip(row, widths, strict=True)) for row in table)
    ]
    return markdown_table(padded[0], padded[1:], words)
