"""An end to a stage's time, for machines that are there for some hours: what is finished is kept, and a rerun goes on.

The environment sets it, not params.yaml, for it changes when a result is there and not what it is: DVC takes no outs from a
stage that was stopped.
"""

import math
import os
import time
from dataclasses import dataclass

HOURS = "SYNTHPAIRS_BUDGET_HOURS"  # of each stage, from the start of its process
_started = time.monotonic()


@dataclass(frozen=True, slots=True)
class Budget:
    """Hours that this process may work; infinite without a budget."""

    hours: float

    @classmethod
    def from_environment(cls) -> "Budget":
        """ValueError for what is no positive number."""
        value = os.environ.get(HOURS, "inf")
        try:
            hours = float(value)
        except ValueError:
            hours = math.nan
        if not hours > 0:
            raise ValueError(f"{HOURS} must be a number of hours above 0, got {value!r}")
        return cls(hours)

    def check(self, done: int, total: int, what: str) -> None:
        """TimeoutError when the time is used up and not everything is done; call it when what is done is stored."""
        if done < total and time.monotonic() - _started > self.hours * 3600:
            raise TimeoutError(
                f"{HOURS}={self.hours:g} is used up: {done} of {total} {what} that were missing are made and kept; "
                "run the command again to go on"
            )
