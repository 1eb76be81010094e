"""Stage `screen`: put the invented captions through the filters of `captions`; run by `dvc repro screen`.

With `captions.judge.engine: server` it asks an OpenAI-compatible server: set SYNTHPAIRS_LLM_URL and SYNTHPAIRS_LLM_KEY.
"""

import time
from pathlib import Path

from synthpairs.captions.curation import curate
from synthpairs.captions.models import load_models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.tables import invented_captions, write_outcome
from synthpairs.params import load_params
from synthpairs.schema import digest
from synthpairs.storage import WorkStore, read_table
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Filter, count, write."""
    params = load_params(CaptionParams, "captions")
    with stage_run("screen", params) as run:
        started = time.monotonic()
        captions = invented_captions(read_table(Path("data/invented/captions.parquet"), "dvc repro invent"))
        models = load_models(params)
        with WorkStore("screen", digest(models.weights, params.batch)).locked() as store:
            curated = curate(captions, params, models, store)
            metrics = write_outcome(curated, models, Path("data/screened"), Path("reports/metrics/screen.json"))
        store.discard()
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
