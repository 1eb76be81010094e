"""Stage `class_captions`: a language model writes captions about classes; run by `dvc repro class_captions`.

With `class_captions.engine: server` it asks an OpenAI-compatible server: set SYNTHPAIRS_LLM_URL and SYNTHPAIRS_LLM_KEY.
"""

from pathlib import Path

from synthpairs.captions.class_prompting.make import make_captions
from synthpairs.captions.class_prompting.params import ClassCaptions
from synthpairs.emoji.params import EmojiWorld
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/class_captions.json")
def main(class_captions: ClassCaptions, world: EmojiWorld) -> Result:
    """Write data/class_captions, from class names alone."""
    return make_captions(class_captions, world.concepts, Path("data/class_captions"))


if __name__ == "__main__":
    run_stage(main)
