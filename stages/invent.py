"""Stage `invent`: a language model writes captions about classes; run by `dvc repro invent`.

With `invent.engine: server` it asks an OpenAI-compatible server: set SYNTHPAIRS_LLM_URL and SYNTHPAIRS_LLM_KEY.
"""

from pathlib import Path

from synthpairs.captions.class_prompting.make import make_captions
from synthpairs.captions.class_prompting.params import Invent
from synthpairs.emoji.world import World
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/invent.json")
def main(invent: Invent, world: World) -> Result:
    """Write data/invented, from class names alone."""
    return make_captions(invent, world.concepts, Path("data/invented"))


if __name__ == "__main__":
    run_stage(main)
