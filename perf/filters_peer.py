"""Data-Juicer's part of perf.filters, for an environment with Data-Juicer and without this project.

`python filters_peer.py FOLDER ROUNDS` reads texts.json and filters.json there and writes results.json.
"""

import importlib
import json
import re
import sys
import time
from pathlib import Path

BATCH = 1000  # samples, Data-Juicer's default


def main() -> None:
    """Run all operators on all texts ROUNDS times, after one round to warm up."""
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    texts = json.loads((folder / "texts.json").read_text())
    stats = importlib.import_module("data_juicer.utils.constant").Fields.stats
    operators = {}
    for name, (kind, arguments) in json.loads((folder / "filters.json").read_text()).items():
        file = {"FlaggedWordFilter": "flagged_words_filter"}.get(kind) or re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
        more = {"lang": "en", "flagged_words_dir": str(folder / "flagged")} if name == "flagged" else {}
        module = importlib.import_module(f"data_juicer.ops.filter.{file}")
        operators[name] = getattr(module, kind)(**arguments, **more)
    seconds: list[float] = []
    kept: dict[str, list[bool]] = {}
    for _ in range(rounds + 1):
        kept = {name: [] for name in operators}
        started = time.process_time()
        for start in range(0, len(texts), BATCH):
            part = texts[start : start + BATCH]
            samples = {"text": part, stats: [{} for _ in part]}
            for name, operator in operators.items():
                samples = operator.compute_stats_batched(samples)
                kept[name] += list(operator.process_batched(samples))
        seconds.append(time.process_time() - started)
    results = {"seconds": seconds[1:], "kept": {name: list(map(bool, decisions)) for name, decisions in kept.items()}}
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
