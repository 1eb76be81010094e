"""Stage `captions`: gather template captions, the language model's and those of files, keep the good ones; `dvc repro captions`.

With `captions.judge.engine: server` it asks an OpenAI-compatible server: set SYNTHPAIRS_LLM_URL and SYNTHPAIRS_LLM_KEY.
"""

from dataclasses import asdict
from itertools import chain
from pathlib import Path

from synthpairs.captions.curation import curate
from synthpairs.captions.models import load_models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.readers.read import read_sources
from synthpairs.captions.sources import human_captions
from synthpairs.captions.tables import write_outcome
from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore, read_table
from synthpairs.emoji.world import World
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/captions.json")
def main(captions: CaptionParams, world: World) -> Result:
    """Write data/captions: the kept and the rejected ones."""
    drawings = read_table(Path("data/art/drawings.parquet"), "dvc repro art")
    brought = read_sources(captions.sources, captions.human.side, world.concepts)  # first: it may find mistakes
    models = load_models(captions, writes=captions.model.per_concept > 0)
    fingerprint = digest(models.weights, captions.batch, asdict(captions.model.sampling))
    with WorkStore("captions", fingerprint).locked() as store:
        ours = human_captions(drawings, world.concepts, captions.human, captions.seed)
        if models.lm:
            from synthpairs.captions.writing import model_captions  # with torch

            ours += model_captions(models.lm, world.concepts, captions.model, captions.seed, captions.batch, store)
        curated = curate(chain(ours, brought), captions, models, store)
        if not curated.kept:
            raise ValueError("data/captions: every caption was rejected; widen params.yaml: captions.limits")
        metrics = write_outcome(curated, models, Path("data/captions"))
    store.discard()
    return metrics


if __name__ == "__main__":
    run_stage(main)
