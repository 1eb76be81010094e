"""Stage `filter_captions`: put the class captions through the filters of `captions`; run by `dvc repro filter_captions`.

With `captions.judge.engine: server` it asks an OpenAI-compatible server: set SYNTHPAIRS_LLM_URL and SYNTHPAIRS_LLM_KEY.
"""

from pathlib import Path

from synthpairs.captions.filtering import filter_captions
from synthpairs.captions.models import load_models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.tables import kept_class_captions, write_filtered
from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore, read_table
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/filter_captions.json")
def main(captions: CaptionParams) -> Result:
    """Write data/filtered_captions: the kept and the rejected ones."""
    invented = kept_class_captions(read_table(Path("data/class_captions/captions.parquet"), "dvc repro class_captions"))
    models = load_models(captions)
    with WorkStore("filter_captions", digest(models.weights, captions.batch_size)).locked() as store:
        curated = filter_captions(invented, captions, models, store)
        metrics = write_filtered(curated, models, Path("data/filtered_captions"))
    store.discard()
    return metrics


if __name__ == "__main__":
    run_stage(main)
