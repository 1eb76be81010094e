"""Stage `screen`: put the invented captions through the filters of `captions`; run by `dvc repro screen`.

With `captions.judge.engine: server` it asks an OpenAI-compatible server: set SYNTHPAIRS_LLM_URL and SYNTHPAIRS_LLM_KEY.
"""

from pathlib import Path

from synthpairs.captions.curation import curate
from synthpairs.captions.models import load_models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.tables import invented_captions, write_outcome
from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore, read_table
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/screen.json")
def main(captions: CaptionParams) -> Result:
    """Write data/screened: the kept and the rejected ones."""
    invented = invented_captions(read_table(Path("data/invented/captions.parquet"), "dvc repro invent"))
    models = load_models(captions)
    with WorkStore("screen", digest(models.weights, captions.batch)).locked() as store:
        curated = curate(invented, captions, models, store)
        metrics = write_outcome(curated, models, Path("data/screened"))
    store.discard()
    return metrics


if __name__ == "__main__":
    run_stage(main)
