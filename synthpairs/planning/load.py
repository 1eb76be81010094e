"""The unit of a plan: so much work of one kind."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many pieces of one rate; a stage has one or several."""

    stage: str
    part: str = ""  # of the stage, for people; empty: all of it
    rate: str  # its name in the tables
    pieces: float  # as the rate counts them
    items: float = 0.0  # that take the rate's fixed seconds
    size: float | None = None  # of a piece, in the unit of the rate's reference; None: as the rate has it
    starts: int = 0  # processes that load a model
    disk: float = 0.0  # bytes that stay
