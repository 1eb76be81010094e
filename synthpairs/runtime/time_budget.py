"""Time limit of a stage, for machines that are available for some hours: what is finished is kept, and a rerun resumes.

It is a setting of the machine, not of params.yaml: DVC takes no outs from a stage that was stopped, so no result depends on it.
"""

import time

from synthpairs.runtime.settings import origin

_started = time.monotonic()


def check_budget(hours: float | None, done: int, total: int, what: str) -> None:
    """TimeoutError when `hours` are used up before everything is done; None: no limit. Call it when what is done is stored."""
    if hours is not None and done < total and time.monotonic() - _started > hours * 3600:
        raise TimeoutError(
            f"{origin('budget_hours')} {hours:g} is used up: {done} of {total} missing {what} are made and stored; "
            "run the command again to resume"
        )
