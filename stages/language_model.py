"""Stage `language_model`: unpack the pinned language model into a plain directory; `dvc repro language_model`."""

import time
from pathlib import Path

from synthpairs.language.params import GgufSource
from synthpairs.language.weights import unpack_gguf
from synthpairs.params import load_params
from synthpairs.storage import file_sha256, write_json
from synthpairs.tracking import run_stage, stage_run

OUT = Path("models/llm")


def main() -> None:
    """Unpack the weights and record their hash."""
    params = load_params(GgufSource, "language_model")
    with stage_run("language_model", params) as run:
        started = time.monotonic()
        metrics = unpack_gguf(params, OUT) | {"sha256": file_sha256(OUT / "model.safetensors")}
        write_json(Path("reports/metrics/language_model.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
