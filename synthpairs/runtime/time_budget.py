"""Time limit of a stage, for machines that are available for some hours: what is finished is kept, and a rerun resumes.

It is a setting of the machine, not of params.yaml: DVC takes no outs from a stage that was stopped, so no result depends on it.
"""

import time
from dataclasses import dataclass

from synthpairs.runtime.settings import load_runtime, origin

_started = time.monotonic()


@dataclass(frozen=True, slots=True)
class Budget:
    """Hours that this process may work; None: no limit."""

    hours: float | None

    @classmethod
    def from_settings(cls) -> "Budget":
        """The limit that is set."""
        return cls(load_runtime().budget_hours)

    def check(self, done: int, total: int, what: str) -> None:
        """TimeoutError when the time is used up before everything is done; call it when what is done is stored."""
        if self.hours is not None and done < total and time.monotonic() - _started > self.hours * 3600:
            raise TimeoutError(
                f"{origin('budget_hours')} {self.hours:g} is used up: {done} of {total} missing {what} are made and stored; "
                "run the command again to resume"
            )
