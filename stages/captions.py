"""Stage `captions`: gather captions of people, of the language model and from files, keep the good ones; `dvc repro captions`."""

import time
from dataclasses import asdict
from pathlib import Path

from synthpairs.artwork.world import World
from synthpairs.captions.curation import curate
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.reading.read import read_sources
from synthpairs.captions.sources import human_captions
from synthpairs.captions.tables import write_outcome
from synthpairs.captions.writing import model_captions
from synthpairs.language.model import load
from synthpairs.params import load_params
from synthpairs.schema import digest
from synthpairs.storage import WorkStore, file_sha256, read_table
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Gather, filter, count, write."""
    params, world = load_params(CaptionParams, "captions"), load_params(World, "world")
    with stage_run("captions", params) as run:
        started = time.monotonic()
        drawings = read_table(Path("data/art/drawings.parquet"), "dvc repro art")
        brought = list(read_sources(params.sources, params.human.side, world.concepts))  # first: it may find mistakes
        lm = load(Path(params.llm))
        fingerprint = digest(file_sha256(Path(params.llm)), params.batch, asdict(params.model.sampling))
        with WorkStore("captions", fingerprint).locked() as store:
            captions = human_captions(drawings, world.concepts, params.human, params.seed)
            captions += model_captions(lm, world.concepts, params.model, params.seed, params.batch, store)
            captions += brought
            curate(captions, params, lm, store)
        metrics = write_outcome(captions, Path("data/captions"), Path("reports/metrics/captions.json"))
        store.discard()
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
