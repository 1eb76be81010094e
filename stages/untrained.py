"""Stage `untrained`: the model before any training, the benchmarks' baseline; run by `dvc repro untrained`."""

from synthpairs.core.arms import MODELS, UNTRAINED
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.vlm.model import write_untrained
from synthpairs.vlm.params import Vlm


@stage(metrics="reports/metrics/untrained.json")
def main(vlm: Vlm) -> Result:
    """Write models/vlm/untrained, the model that `pretrain` starts from; its sizes are the metrics."""
    return write_untrained(vlm, MODELS / UNTRAINED)


if __name__ == "__main__":
    run_stage(main)
