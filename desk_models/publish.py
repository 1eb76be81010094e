"""Copy trained and evaluated desk models to models/desk, where the main pipeline uses them.

Run as `python -m desk_models.publish [PART ...]`, without a part for all of them. The models are in git, so their size is
limited.
"""

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from desk_models.pool import CLIPS, chosen, load_drawings, params, trained_concepts
from synthpairs.core.storage import file_sha256, write_bytes
from synthpairs.generation.vq_pairs.listing import RECORD

TRAINED = Path("desk_models/trained")
DESK = Path("models/desk")
PARTS = (*CLIPS, "vision_tower", "generator", "masked", "adapter")
METRICS = Path("desk_models/metrics.json")
ADAPTER_METRICS = Path("desk_models/adapter.json")
SHOWN = {"generator": "samples.png", "masked": "masked_samples.png", "adapter": ADAPTER_METRICS.name}  # in desk_models/
HELD_OUT = {"heldout_combination": "held-out combinations", "heldout_style": "held-out style"}  # splits of drawings
FILE_LIMIT, TOTAL_LIMIT = 25_000_000, 90_000_000  # bytes


def card() -> str:
    """Model card of models/desk as Markdown: training data, licences, metrics."""
    metrics, adapter = (json.loads(file.read_text()) for file in (METRICS, ADAPTER_METRICS))
    drawings = load_drawings()
    known = drawings[drawings["name"].isin(trained_concepts())]
    used, combination, style = (known[known["split"] == split] for split in ("train", *HELD_OUT))
    licences = used.groupby("licence")["style"].unique()
    rows = [f"| {styles} | {licence} |" for licence, styles in ((n, ", ".join(sorted(s))) for n, s in licences.items())]
    pictures = hashlib.sha256(b"".join(hashlib.sha256(png).digest() for png in used["png"])).hexdigest()
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    masked = (DESK / "masked").is_dir()
    spent = params()
    trained = (*CLIPS, "autoencoder", "generator", *(("tokenizer", "masked") if masked else ()), "adapter")
    minutes = ", ".join(f"{name} {spent[name]['minutes']}" for name in trained)
    read = ", ".join(f"{share} ({name})" for name, share in sorted(adapter["existence"].items()))
    return "\n".join(
        [
            "# The desk models",
            "",
            "Small real models of the emoji world, trained from scratch by `desk_models/` on drawings and scenes of "
            f"{len(trained_concepts())} concepts ({len(used)} drawings). Nothing else was used. Held out from every "
            f"training: of each concept one drawing in a training style ({len(combination)}, held-out combinations), and all in "
            f"{', '.join(style['style'].unique())} ({len(style)}, held-out style).",
            "",
            "- `clip`: an open_clip model (ViT, 48-pixel input, 4 x 4 patches); `vision_tower` is its image tower.",
            "- `second_clip`: another one (60-pixel input, 5 x 5 patches, another seed), a second opinion on scores.",
            "- `generator`: a StableDiffusionXLPipeline for 64-pixel pictures.",
            *([_masked(metrics["masked"])] if masked else []),
            "- `adapter`: a low-rank adapter for SmolLM2-135M-Instruct, trained on conversations in words alone. Asked whether "
            f"a thing is in a scene that tokens made of words stand for, it is right at a share of {read}; 0.5 is chance.",
            "",
            "| measure | n | @1 | @5 |",
            "| --- | --- | --- | --- |",
            *(
                _row(f"`{name}` text-to-image recall, {text}", metrics[name][split], "recall_at")
                for name in CLIPS
                for split, text in HELD_OUT.items()
            ),
            _row("referee names the generated picture's concept", metrics["generator"], "top"),
            *([_row("referee names the decoded tokens' concept", metrics["masked"], "top")] if masked else []),
            _row("referee names a held-out real drawing's concept", metrics["referee_on_real"], "top"),
            "",
            f"Minutes of training: {minutes}, decoder alone {spent['autoencoder']['decoder']['minutes']}. Seed {spent['seed']}.",
            f"SHA-256 of the training drawings: `{pictures}`. Code revision: `{revision}`.",
            "",
            "| artwork | licence |",
            "| --- | --- |",
            *rows,
            "",
        ]
    )


def _masked(measured: dict[str, float]) -> str:
    pairs = json.loads((DESK / "masked" / RECORD).read_text())
    return (
        "- `masked`: an AmusedPipeline, its VQ tokenizer and a masked transformer over its VQ tokens. The tokenizer gives "
        f"training pictures back at {measured['psnr_db']} dB (PSNR), with a share of {measured['codes_used']} of its codebook in "
        f"use. Both learnt from the {pairs['scenes']} pairs whose list has the SHA-256 `{pairs['sha256']}`."
    )


def _row(measure: str, values: dict[str, float], key: str) -> str:
    return f"| {measure} | {values['n']} | {values[f'{key}_1']} | {values[f'{key}_5']} |"


def check(parts: Sequence[str]) -> None:
    """FileNotFoundError for a part that was not trained; ValueError without its metrics, or if models/desk gets too large."""
    if missing := [part for part in parts if not (TRAINED / part).is_dir()]:
        raise FileNotFoundError(f"{TRAINED / missing[0]} is missing: run `dvc --cd desk_models repro` first")
    for part in (*CLIPS, "generator", "masked"):
        if part in parts and part not in json.loads(METRICS.read_text()):
            raise ValueError(f"{METRICS} has no metrics of {part}: run `python -m desk_models.measure {part}` first")
    folders = [(TRAINED if part in parts else DESK) / part for part in PARTS]
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()]
    large = [f"{file} ({file.stat().st_size / 1e6:.1f} MB)" for file in files if file.stat().st_size > FILE_LIMIT]
    total = sum(file.stat().st_size for file in files)
    if large or total > TOTAL_LIMIT:
        raise ValueError(f"too large for git: {', '.join(large) or 'all together'} ({total / 1e6:.1f} MB)")


def main(parts: Sequence[str]) -> None:
    """Check the named parts, or all, then replace them in models/desk, with their metrics and the card."""
    parts = chosen("publish", parts, PARTS)
    check(parts)
    for part in parts:
        shutil.rmtree(DESK / part, ignore_errors=True)
        shutil.copytree(TRAINED / part, DESK / part)
        logging.info("%s %s", part, file_sha256(DESK / part))
    for file in (METRICS, *(METRICS.with_name(SHOWN[part]) for part in parts if part in SHOWN)):
        write_bytes(DESK / file.name, file.read_bytes())
    write_bytes(DESK / "README.md", card().encode())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(sys.argv[1:])
