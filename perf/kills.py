"""Kills at random moments: stages of the smoke preset are killed and resumed, and must make the bytes of an undisturbed run.

`python -m perf.kills --times 100` runs the preset once in a clone; `--keep` takes the clone of the last time. Then it starts
the stages in turn, each again and again until it ends by itself, and kills what it started at a random moment: a stage run by
`python -m`, a `dvc repro` alone, as the kernel does when memory is short, or that and its stage. It counts what each kill
leaves after `GRACE_S` seconds. Nothing but kills and other load on the machine makes two runs of it differ.
"""

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from synthpairs.cli.clean import work_stores
from synthpairs.core.config import read_mapping
from synthpairs.core.storage import file_sha256
from synthpairs.runtime.dvc_files import damaged_dvc_files

WORK = Path(".dvc/tmp/perf/kills")
PACKAGES = Path(".dvc/tmp/packages")
LONG = ("captions", "images", "class_captions", "encode_real_pairs", "generate_tokens", "finetune@real", "perplexity")
GRACE_S = 10.0  # in which a stage whose `dvc` was killed unwinds
IN_A_ROW = 6  # kills of one run of a stage; then it may end
WAYS = ("stage", "dvc", "both")  # what is killed
COLUMNS = ("kills", "processes", "locks", "cut files of DVC", "partial files", "failed runs", "other bytes")
ENVIRONMENT = os.environ | {"SHELL": shutil.which("bash") or "/bin/sh", "SYNTHPAIRS_TRACKING": "off"}


def prepare() -> None:
    """A clone at HEAD in which the smoke preset has run to its end and is committed."""
    shutil.rmtree(WORK, ignore_errors=True)
    _run(Path(), "git", "clone", "--quiet", ".", str(WORK))
    (WORK / PACKAGES).parent.mkdir(parents=True)
    PACKAGES.mkdir(parents=True, exist_ok=True)
    (WORK / PACKAGES).symlink_to(PACKAGES.resolve())
    _run(WORK, sys.executable, "-m", "synthpairs", "preset", "smoke")
    _run(WORK, "dvc", "repro", "--quiet")
    _run(WORK, "git", "-c", "user.name=kills", "-c", "user.email=kills@localhost", "commit", "--quiet", "-am", "smoke")


def disturbed(project: Path, stages: Sequence[str], times: int, seed: int) -> dict[str, Counter[str]]:
    """Kill the stages, which must have run, until that was done so often; the counts of COLUMNS by stage."""
    rng, counts = random.Random(seed), {stage: Counter[str]() for stage in stages}
    seconds: dict[str, float] = {}
    while sum(count["kills"] for count in counts.values()) < times:
        for stage, count in counts.items():
            files = _files(project, stage)
            if stage not in seconds:
                started = time.monotonic()
                count["failed runs"] += _start(project, stage, rng.choice(WAYS)).wait() != 0
                seconds[stage] = time.monotonic() - started
            shutil.rmtree(project / ".dvc/tmp/work" / stage.partition("@")[0], ignore_errors=True)  # no finished pieces
            limits: list[float | None] = [rng.uniform(0, seconds[stage]) for _ in range(IN_A_ROW)]
            for limit in [*limits, None]:
                if _ended(project, stage, rng.choice(WAYS), limit, count):
                    break
            count["partial files"] += len(list(project.rglob(".*.partial")))
            count["other bytes"] += _files(project, stage) != files
    return counts


def _ended(project: Path, stage: str, way: str, limit: float | None, count: Counter[str]) -> bool:
    """Whether a run ends within the limit; else it is killed, and what that leaves is counted."""
    process = _start(project, stage, way)
    try:
        count["failed runs"] += process.wait(limit) != 0
        return True
    except psutil.TimeoutExpired:
        for victim in [*(process.children() if way == "both" else []), process]:
            victim.kill()
        process.wait()
    left = _processes(project)
    for one in left:
        one.kill()
    deadline = time.monotonic() + GRACE_S
    with contextlib.chdir(project):
        # A killed process is gone from the list a moment before its locks are.
        while (locks := sum(store.in_use for store in work_stores())) and time.monotonic() < deadline:
            time.sleep(0.05)
        count.update({"kills": 1, "processes": len(left), "locks": locks})
        for line in damaged_dvc_files(read_mapping(), Path("dvc.yaml")):
            count["cut files of DVC"] += 1
            subprocess.run(line.split("`")[1], shell=True, check=True)  # as the line says
    return False


def _start(project: Path, stage: str, way: str) -> psutil.Popen:
    module, _, arm = stage.partition("@")
    dvc = ["dvc", "repro", "--single-item", "--force", "--no-run-cache", stage]
    command = dvc if way != "stage" else [sys.executable, "-m", f"stages.{module}", *filter(None, [arm])]
    with (project / ".dvc/tmp/kills.log").open("a") as log:
        return psutil.Popen(command, cwd=project, env=ENVIRONMENT, stdout=log, stderr=log)


def _processes(project: Path) -> list[psutil.Process]:
    """Processes in the project that have not ended after GRACE_S seconds."""
    deadline = time.monotonic() + GRACE_S
    while True:
        running = [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(project.resolve())]
        if not running or time.monotonic() > deadline:
            return running
        time.sleep(0.05)


def _files(project: Path, stage: str) -> dict[str, str]:
    """SHA-256 of each out of a stage, with those that dvc.lock names."""
    outs = read_mapping(project / "dvc.lock")["stages"][stage]["outs"]
    return {out["path"]: file_sha256(project / out["path"]) for out in outs if (project / out["path"]).exists()}


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m perf.kills", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=100, help="kills in all (default: 100)")
    parser.add_argument("--stages", nargs="+", default=LONG, metavar="STAGE", help=f"default: {' '.join(LONG)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help=f"take {WORK} as it is")
    options = parser.parse_args()
    if not options.keep:
        prepare()
    counts = disturbed(WORK, options.stages, options.times, options.seed)
    print(f"| stage | {' | '.join(COLUMNS)} |\n| --- | {' | '.join(['---:'] * len(COLUMNS))} |")
    for stage, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        print(f"| {stage} | {' | '.join(str(count[column]) for column in COLUMNS)} |")


if __name__ == "__main__":
    main()
