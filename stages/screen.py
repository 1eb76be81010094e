"""Stage `screen`: put the invented captions through the filters of `captions`; run by `dvc repro screen`."""

import time
from pathlib import Path

from synthpairs.captions.curation import curate
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.tables import invented_captions, write_outcome
from synthpairs.language.model import load
from synthpairs.params import load_params
from synthpairs.schema import digest
from synthpairs.storage import WorkStore, file_sha256, read_table
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Filter, count, write."""
    params = load_params(CaptionParams, "captions")
    with stage_run("screen", params) as run:
        started = time.monotonic()
        captions = invented_captions(read_table(Path("data/invented/captions.parquet"), "dvc repro invent"))
        lm = load(Path(params.llm))
        with WorkStore("screen", digest(file_sha256(Path(params.llm)), params.batch)).locked() as store:
            curate(captions, params, lm, store)
        metrics = write_outcome(captions, Path("data/screened"), Path("reports/metrics/screen.json"))
        store.discard()
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
