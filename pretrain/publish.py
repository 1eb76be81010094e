"""Put the trained and measured desk models into models/desk, where the main pipeline uses them; `python -m pretrain.publish`.

They are committed to git, so every file must stay under GitHub's and our own limits; old weights are replaced.
"""

import hashlib
import json
import logging
import shutil
import subprocess
from pathlib import Path

from pretrain.pool import load_drawings, params, trained_concepts
from synthpairs.storage import file_sha256, write_bytes

TRAINED = Path("data/pretrain")
DESK = Path("models/desk")
PARTS = ("clip", "eye", "generator", "reader")
METRICS, PRACTICE, SAMPLES = (Path("pretrain") / name for name in ("metrics.json", "reader.json", "samples.png"))
FILE_LIMIT, TOTAL_LIMIT = 25_000_000, 90_000_000  # bytes


def card() -> str:
    """What the models are, from what they were made, and how well they do, as Markdown."""
    metrics, practised = (json.loads(file.read_text()) for file in (METRICS, PRACTICE))
    drawings = load_drawings()
    used = drawings[(drawings["split"] == "train") & drawings["name"].isin(trained_concepts())]
    licences = used.groupby("licence")["style"].unique()
    rows = [f"| {styles} | {licence} |" for licence, styles in ((n, ", ".join(sorted(s))) for n, s in licences.items())]
    pictures = hashlib.sha256(b"".join(hashlib.sha256(png).digest() for png in used["png"])).hexdigest()
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    combination, style = (metrics["clip"][split] for split in ("heldout_combination", "heldout_style"))
    made, real = metrics["generator"], metrics["referee_on_real"]
    spent = params()
    minutes = ", ".join(f"{name} {spent[name]['minutes']}" for name in ("clip", "autoencoder", "generator", "reader"))
    read = ", ".join(f"{share} ({name})" for name, share in sorted(practised["existence"].items()))
    return "\n".join(
        [
            "# The desk models",
            "",
            "Small real models of the emoji world, trained from scratch by `pretrain/` on drawings and scenes of "
            f"{len(trained_concepts())} concepts ({len(used)} drawings, none held out). Nothing else was used.",
            "",
            "- `clip`: an open_clip model (ViT, 48-pixel input, 4 x 4 patches); `eye` is its image tower for transformers.",
            "- `generator`: a StableDiffusionXLPipeline for 64-pixel pictures.",
            "- `reader`: a low-rank adapter for SmolLM2-135M-Instruct, practised on conversations in words alone. Asked whether "
            f"a thing is in a scene that tokens made of words stand for, it is right at a share of {read}; 0.5 is chance.",
            "",
            "| measure | n | @1 | @5 |",
            "| --- | --- | --- | --- |",
            f"| CLIP text-to-image recall, held-out combinations | {combination['n']} | {combination['recall_at_1']} "
            f"| {combination['recall_at_5']} |",
            f"| CLIP text-to-image recall, held-out style | {style['n']} | {style['recall_at_1']} | {style['recall_at_5']} |",
            f"| referee names the generated picture's concept | {made['n']} | {made['top_1']} | {made['top_5']} |",
            f"| referee names a held-out real drawing's concept | {real['n']} | {real['top_1']} | {real['top_5']} |",
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


def main() -> None:
    """Check the sizes, then replace models/desk."""
    files = [file for part in PARTS for file in sorted((TRAINED / part).rglob("*")) if file.is_file()]
    large = [f"{file} ({file.stat().st_size / 1e6:.1f} MB)" for file in files if file.stat().st_size > FILE_LIMIT]
    total = sum(file.stat().st_size for file in files)
    if large or total > TOTAL_LIMIT:
        raise ValueError(f"too large for git: {', '.join(large) or 'all together'} ({total / 1e6:.1f} MB)")
    for part in PARTS:
        shutil.rmtree(DESK / part, ignore_errors=True)
        shutil.copytree(TRAINED / part, DESK / part)
        logging.info("%s %s", part, file_sha256(DESK / part))
    for file in (METRICS, PRACTICE, SAMPLES):
        write_bytes(DESK / file.name, file.read_bytes())
    write_bytes(DESK / "README.md", card().encode())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
