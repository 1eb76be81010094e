"""A plan as people and as machines read it."""

from dataclasses import asdict
from typing import Any

from synthpairs.markdown import markdown_table
from synthpairs.planning.costs import GIB, Estimate, Machine, disk, hours, memory, together
from synthpairs.planning.effects import Effect
from synthpairs.planning.rates import CPU, GPUS
from synthpairs.planning.work import Work


def told(work: Work, machine: Machine, found: list[Estimate], seen: list[Effect]) -> str:
    """Tables and what to make of them, as Markdown with aligned columns."""
    device = "2 CPU cores" if machine.gpu == CPU else f"{machine.gpus} x {machine.gpu}"
    head = ["stage", "device-hours", "low", "high", f"hours on {device}", "GiB of disk"]
    head += ["cost", "low", "high"] if machine.price is not None else []
    lines = [_row(one, machine) for one in [*found, together(found)]]
    sources = [[one.stage, _short(one.rate.seconds), one.rate.piece, one.rate.hardware, _source(one)] for one in found]
    parts = [
        f"{work.captions:,} captions ({work.told}), {work.candidates:,} pictures of {work.side} pixels in {work.steps} "
        f"steps, {len(work.arms)} arms; language model: {_size(work.llm_parameters)}.",
        _aligned(head, lines, {0}),
        f"Main memory: {memory(work, machine) / GIB:.0f} GiB; disk: {disk(found) / GIB:.0f} GiB with everything kept. "
        "low and high are where the truth is expected, not a promise; models are not downloaded, nor written, in these hours.",
        _aligned(["stage", "seconds", "for each", "on", "source"], sources, {0, 2, 3, 4}),
    ]
    if machine.gpu != CPU:
        gpu = GPUS[machine.gpu]
        parts.append(f"{machine.gpu}: {gpu.speed:g} ({gpu.low:g} to {gpu.high:g}) times an A100; {gpu.source}.")
    rows = [[one.task, one.items, f"{one.detectable:.3f}", one.told] for one in seen]
    parts += [
        "Smallest difference between two arms that is seen four times in five (two-sided paired test at 5%):",
        _aligned(["benchmark", "items", "difference", "spread of the differences from"], rows, {0, 3}),
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


def _row(one: Estimate, machine: Machine) -> list[str]:
    device_hours = [value / 3600 for value in (one.seconds, one.low, one.high)]
    cells = [one.stage, *map(_short, device_hours), _short(hours(one.seconds, one.serial, machine.gpus))]
    cells.append(_short(one.disk / GIB))
    if machine.price is not None:
        cells += [_short(value * machine.price) for value in device_hours]
    return cells


def _source(one: Estimate) -> str:
    return f"{'measured here: ' if one.measured else ''}{one.rate.source}"


def _size(parameters: float | None) -> str:
    return "size unknown, taken as the table's" if parameters is None else f"{parameters / 1e9:.3g}B parameters"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1e-6 else "0"


def _aligned(head: list[str], rows: list[list[Any]], words: set[int]) -> str:
    """A Markdown table whose source is aligned too."""
    table = [head, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    padded = [
        [cell.ljust(width) if place in words else cell.rjust(width) for place, (cell, width) in enumerate(line)]
        for line in (list(zip(row, widths, strict=True)) for row in table)
    ]
    return markdown_table(padded[0], padded[1:], words)
