"""Stage `captions`: gather template captions, the language model's and those of files, keep the good ones; `dvc repro captions`.

With `captions.judge.engine: server` it asks an OpenAI-compatible server: set SYNTHPAIRS_LLM_URL and SYNTHPAIRS_LLM_KEY.
"""

from dataclasses import asdict
from itertools import chain
from pathlib import Path

from synthpairs.captions.filtering import filter_captions
from synthpairs.captions.models import load_models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.readers.read import read_sources
from synthpairs.captions.tables import write_filtered
from synthpairs.captions.templates import template_captions
from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore, read_table
from synthpairs.emoji.params import EmojiWorld
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/captions.json")
def main(captions: CaptionParams, world: EmojiWorld) -> Result:
    """Write data/captions: the kept and the rejected ones."""
    drawings = read_table(Path("data/emoji/drawings.parquet"), "dvc repro emoji")
    brought = read_sources(
        captions.sources, captions.reference.image_size, world.concepts
    )  # first: it may find mistakes
    models = load_models(captions, writes=captions.generated.per_concept > 0)
    fingerprint = digest(models.weights, captions.batch_size, asdict(captions.generated.sampling))
    with WorkStore("captions", fingerprint).locked() as store:
        ours = template_captions(drawings, world.concepts, captions.reference, captions.seed)
        if models.lm:
            from synthpairs.captions.generated import generated_captions  # with torch

            ours += generated_captions(
                models.lm, world.concepts, captions.generated, captions.seed, captions.batch_size, store
            )
        curated = filter_captions(chain(ours, brought), captions, models, store)
        if not curated.kept:
            raise ValueError("data/captions: every caption was rejected; widen params.yaml: captions.limits")
        metrics = write_filtered(curated, models, Path("data/captions"))
    store.discard()
    return metrics


if __name__ == "__main__":
    run_stage(main)
