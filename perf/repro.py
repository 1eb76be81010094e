"""The default pipeline in fresh clones, every stage forced: seconds, CPU seconds and peak memory, by stage and in all.

`python -m perf.repro` compares with the committed perf/repro.json, and with `--write` replaces it. `--beside REVISION` runs the
pipeline of another commit too, in turn on the same machine, for the ratio of CPU seconds.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from mlflow.client import MlflowClient

FIGURES = Path("perf/repro.json")
WORK = Path(".dvc/tmp/perf/repro")
PACKAGES = Path(".dvc/tmp/packages")
MEASURES = ("seconds", "cpu_seconds", "peak_memory_gib")


def run(revision: str) -> dict[str, Any]:
    """Figures of `dvc repro --force` in a clone at a revision; `stages` in the order in which they ran."""
    shutil.rmtree(WORK, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ".", WORK], check=True)
    subprocess.run(["git", "-C", WORK, "checkout", "--quiet", revision], check=True)
    (WORK / PACKAGES).parent.mkdir(parents=True)
    (WORK / PACKAGES).symlink_to(PACKAGES.resolve())
    before, started = _cpu_seconds(), time.monotonic()
    process = psutil.Popen(["dvc", "repro", "--force"], cwd=WORK)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _memory_gib(process))
        time.sleep(1)
    if process.returncode:
        sys.exit(f"error: dvc repro --force of {revision} ended with {process.returncode}")
    total = {"seconds": time.monotonic() - started, "cpu_seconds": _cpu_seconds() - before, "peak_memory_gib": peak}
    return {"total": _rounded(total), "stages": stages(WORK / "mlflow.db")}


def stages(database: Path) -> dict[str, dict[str, float]]:
    """What MLflow holds of each stage, in order of their starts."""
    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, order_by=["attributes.start_time"], max_results=1000)
    return {
        run.data.tags["dvc.stage"]: _rounded({name: run.data.metrics.get(f"run/{name}", 0.0) for name in MEASURES})
        for run in runs
        if "dvc.stage" in run.data.tags
    }


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory_gib(process: psutil.Process) -> float:
    """Memory of a process and its descendants; what they share is counted once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:  # it has ended
            continue
    return total / 2**30


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in figures.items()}


def table(now: dict[str, Any], before: dict[str, Any]) -> str:
    """Markdown: each stage's figures, and its CPU seconds as a ratio of those of `before`."""
    rows = [("total", now["total"], before.get("total")), *(
        (name, one, before.get("stages", {}).get(name)) for name, one in now["stages"].items()
    )]  # fmt: skip
    lines = [
        "| stage | seconds | CPU seconds | peak GiB | CPU seconds to before |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, one, other in rows:
        ratio = f"{one['cpu_seconds'] / other['cpu_seconds']:.2f}" if other and other["cpu_seconds"] else ""
        figures = f"{one['seconds']:.0f} | {one['cpu_seconds']:.0f} | {one['peak_memory_gib']:.2f}"
        lines.append(f"| {name} | {figures} | {ratio} |")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m perf.repro", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--beside", metavar="REVISION", help="another commit to run, for the ratio of CPU seconds")
    parser.add_argument("--write", action="store_true", help=f"replace {FIGURES}")
    options = parser.parse_args()
    before = json.loads(FIGURES.read_bytes()) if FIGURES.exists() else {}
    other = run(options.beside) if options.beside else None
    now = run("HEAD")
    print(table(now, before))
    if other:
        ratio = now["total"]["cpu_seconds"] / other["total"]["cpu_seconds"]
        print(f"\n{ratio:.3f} of the CPU seconds of {options.beside} ({other['total']['cpu_seconds']:.0f})")
    if options.write:
        figures = now | {"machine": f"{os.cpu_count()} cores"}
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
