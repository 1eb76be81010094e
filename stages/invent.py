"""Stage `invent`: a language model writes captions about classes; run by `dvc repro invent`.

With `invent.engine: server` it asks an OpenAI-compatible server: set SYNTHPAIRS_LLM_URL and SYNTHPAIRS_LLM_KEY.
"""

import time
from pathlib import Path

from synthpairs.artwork.world import World
from synthpairs.invention.make import make_captions
from synthpairs.invention.params import Invent
from synthpairs.params import load_params
from synthpairs.storage import write_json
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Make data/invented from class names alone."""
    params, world = load_params(Invent, "invent"), load_params(World, "world")
    with stage_run("invent", params) as run:
        started = time.monotonic()
        metrics, volatile = make_captions(params, world.concepts, Path("data/invented"))
        write_json(Path("reports/metrics/invent.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started, **volatile)


if __name__ == "__main__":
    run_stage(main)
