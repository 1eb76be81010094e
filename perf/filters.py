"""Speed and agreement of five caption filters with Data-Juicer's operators: `python -m perf.filters`.

Data-Juicer is installed into an environment of its own under .dvc/tmp, with only what these five operators import.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from timm.data import ImageNetInfo

from perf.paired import at_least, ratio, spread, with_interval
from synthpairs.captions.measures import Texts, flagged_words
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.text_filters import BATCH, TEXT_FILTERS
from synthpairs.core.config import load_params
from synthpairs.runtime.stage import run_stage

VERSION = "1.6.1"
REQUIREMENTS = [
    "aiohttp==3.14.5", "beautifulsoup4==4.15.0", "bs4==0.0.2", "datasets==5.2.0", "emoji==2.16.0", "httpx==0.28.1",
    "jsonargparse==4.53.0", "loguru==0.7.3", "pillow==13.0.0", "psutil==7.2.2", "pydantic==2.14.4", "ray==2.60.0",
    "regex==2026.11.19", "requests==2.34.2", "tabulate==0.10.0", "tomli==2.5.0", "wget==3.2", "zstandard==0.25.0",
]  # fmt: skip
# By our filter: Data-Juicer's operator and its arguments in SynthVLM's supplement, table 1.
FILTERS = {
    "alnum": ("AlphanumericFilter", {"min_ratio": 0.6}),
    "char_repetition": ("CharacterRepetitionFilter", {"rep_len": 10, "max_ratio": 0.09373663}),
    "flagged": ("FlaggedWordFilter", {"max_ratio": 0.0}),
    "special": ("SpecialCharactersFilter", {"min_ratio": 0.16534802, "max_ratio": 0.42023757}),
    "word_repetition": ("WordRepetitionFilter", {"rep_len": 10, "max_ratio": 0.03085751}),
}
OURS: dict[str, Any] = {
    "alnum_min": 0.6, "char_ngram": 10, "char_repetition_max": 0.09373663, "flagged_max": 0.0, "special_min": 0.16534802,
    "special_max": 0.42023757, "word_ngram": 10, "word_repetition_max": 0.03085751,
}  # fmt: skip
ADJECTIVES = (
    "red", "small", "wooden", "bright", "rusty", "old", "striped", "enormous", "snow-covered", "hand-painted", "dark",
    "empty", "round", "shiny", "broken", "white", "yellow", "tall", "wet", "tiny", "na\u00efve", "plain", "dusty", "blue",
)  # fmt: skip
RELATIONS = ("next to", "in front of", "under", "far behind", "on top of", "surrounded by")
WEB_NOISE = (
    "{0} {0} {0} {0} {0} {0}",
    "{0}!!! $$$ 50% OFF >>> www.{1}.com/{2}",
    "IMG_20{2}_{2}.JPG",
    "{0} \U0001f600\U0001f525\u2764",
    "buy {0} {1}, cheap {0} {1}, best {0} {1}, buy {0} {1}, cheap {0} {1}, best {0} {1}, buy {0} {1}, cheap {0} {1}",
    "{0} \u2014 \u201c{1}\u201d \u00b7 \u00a9 {2}",
    "\u732b\u3068{0}\u3001{1}",
    "-- {0} -- {1} -- {2} -- ??? ...",
    "{3} {0} and {1}",
    "{0}{1}{0}{1}{0}{1}",
    "{2} {2} {2}",
)


def captions(count: int) -> list[str]:
    """Captions of one to three clauses about ImageNet's classes, every tenth with web noise; the same in every run."""
    rng = random.Random(0)
    classes = ImageNetInfo("imagenet21k_miil")
    nouns = [classes.index_to_description(index).split(",")[0] for index in range(classes.num_classes())]
    flagged = sorted(flagged_words())
    texts = []
    for _ in range(count):
        if rng.random() < 0.1:
            parts = rng.choice(nouns), rng.choice(nouns), rng.randrange(10**6), rng.choice(flagged)
            texts.append(rng.choice(WEB_NOISE).format(*parts))
            continue
        clauses = [
            f"a {rng.choice(ADJECTIVES)} {rng.choice(nouns)} {rng.choice(RELATIONS)} "
            f"the {rng.choice(ADJECTIVES)} {rng.choice(nouns)}"
            for _ in range(rng.choice((1, 1, 2, 3)))
        ]
        texts.append(", and ".join(clauses) + rng.choice(("", ".")))
    return texts


def ours(texts: list[str]) -> tuple[float, dict[str, list[bool]]]:
    """CPU seconds, and each filter's decisions on all texts."""
    limits = replace(load_params(CaptionParams, "captions").limits, **OURS)
    kept: dict[str, list[bool]] = {name: [] for name in FILTERS}
    started = time.process_time()
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        batch = Texts(part)
        for name, decisions in kept.items():
            wrong = TEXT_FILTERS[name](batch, limits).wrong
            decisions += [index not in wrong for index in range(len(part))]
    return time.process_time() - started, kept


def environment() -> Path:
    """Python interpreter of an environment with Data-Juicer, created on first use."""
    folder = Path(".dvc/tmp/perf") / f"data-juicer-{VERSION}"
    python = folder / "bin/python"
    if not (folder / "complete").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
        subprocess.run([*install, *REQUIREMENTS], check=True)
        subprocess.run([*install, "--no-deps", f"py-data-juicer=={VERSION}"], check=True)
        (folder / "complete").touch()
    return python.absolute()


def theirs(texts: list[str], rounds: int) -> tuple[list[float], dict[str, list[bool]]]:
    """As `ours`, by Data-Juicer's operators in a process of their own; seconds of each round."""
    python, work = environment(), Path(".dvc/tmp/perf/work").absolute()
    (work / "flagged").mkdir(parents=True, exist_ok=True)
    (work / "flagged/flagged_words.json").write_text(json.dumps({"en": sorted(flagged_words())}))
    (work / "texts.json").write_text(json.dumps(texts))
    (work / "filters.json").write_text(json.dumps(FILTERS))
    peer = Path(__file__).with_name("filters_peer.py")
    done = subprocess.run([python, peer, work, str(rounds)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"Data-Juicer {VERSION} failed: {done.stderr.strip().splitlines()[-1]}")
    results = json.loads((work / "results.json").read_text())
    return results["seconds"], results["kept"]


def main() -> None:
    """Measure and print one line per filter and one for the time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m perf.filters")
    parser.add_argument("--captions", type=int, default=100_000, help="how many (default: 100000)")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of either (default: 5)")
    options = parser.parse_args()
    at_least(1, captions=options.captions, rounds=options.rounds)
    texts = captions(options.captions)
    reference, expected = theirs(texts, options.rounds)
    runs = [ours(texts) for _ in range(options.rounds)]
    kept = runs[0][1]
    for name, decisions in kept.items():
        different = [text for text, one, other in zip(texts, decisions, expected[name], strict=True) if one != other]
        share = 1 - len(different) / len(texts)
        print(f"{name}: {decisions.count(False)} rejected, decisions agree for {share:.6f}", *map(repr, different[:3]))
    mine = [seconds for seconds, _ in runs]
    times = ratio(reference, mine)
    print(
        f"{len(texts)} captions: Data-Juicer/ours {with_interval(times)}, ours {with_interval(spread(mine))} CPU seconds"
    )


if __name__ == "__main__":
    run_stage(main)
