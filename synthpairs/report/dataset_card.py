"""Dataset card of the selection in Hugging Face's format."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from synthpairs.core.assets import pinned
from synthpairs.core.markdown import markdown_table
from synthpairs.core.storage import read_table
from synthpairs.report.privacy import privacy
from synthpairs.selection.candidates import read_candidates, read_captions
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_TEMPLATE = """---
license:
{licences}
language:
- en
pretty_name: synthpairs selection
task_categories:
- image-to-text
- text-to-image
size_categories:
- {size}
tags:
- synthetic
- image-captioning
- webdataset
configs:
- config_name: pairs
  default: true
  data_files:
  - split: train
    path: shard-*.tar
---

# {count} synthetic image-caption pairs

Captions were filtered, a text-to-image model generated {tried} images for them, every image was scored, and the first
{count} by the strategy `{strategy}` were selected. The JSON of each sample holds its seed, the generator's fingerprint
and its scores.{marked}

## How it was made

{made}

## Counts

{counts}

## Scores

{scores}

Score of the ranking: {formula}

## Licences

The template captions over emoji names and the images that the desk models were trained on come from these packages:

{artwork}

An external generator, named above, adds its own licence.

## Privacy

{privacy}

## Known limits

- The pairs were not reviewed by people. A high score does not guarantee that the image shows the caption.
- SSIM of an image with its own small version favours smooth images: compare the selection with the candidates before
  drawing conclusions.
- The scorer truncates captions to its context length.
- Images at desk scale show emoji-like drawings of a few dozen concepts on plain backgrounds.

## How to load it

```python
from datasets import load_dataset

pairs = load_dataset("data/export", split="train")  # the shards; columns: {extension}, txt, json
table = load_dataset("data/export", data_files="selected.parquet", split="train")  # ranks and scores, by key
```

The directory is that of this card. The card names one format only, so the table is loaded by its file name.

Any WebDataset reader can read the shards, too. For LLaVA, unpack them into one folder:

```sh
mkdir images && for shard in shard-*.tar; do tar -xf "$shard" -C images; done
# --data_path llava.json --image_folder images
```
"""

_MARKED = " Each image file states in XMP that a model generated it\n(IPTC DigitalSourceType `{type}`)."


def dataset_card(params: Select, arms: Sequence[str], data: Path) -> str:
    """The card as Markdown, from the results in `data`."""
    candidates = read_candidates(data)
    pool, lost = rank_candidates(candidates, params)
    selected = read_table(data / "selection/selected.parquet", "dvc repro select")
    captions, _ = read_captions(data)
    sourced = selected.merge(captions[["uid", "source"]], on="uid", how="left", validate="many_to_one")
    sources = sourced["source"].value_counts().to_dict()
    counts = {
        "candidates": len(candidates),
        **lost,
        "competing": len(pool),
        "asked": params.num_pairs,
        "selected": len(selected),
    }
    counts |= {f"selected, caption source: {source}": number for source, number in sorted(sources.items())}
    for arm in arms:
        counts[f"pairs/{arm}.parquet"] = len(read_table(data / f"selection/pairs/{arm}.parquet", "dvc repro select"))
    generator = json.loads((data / "images/generator.json").read_text())
    scorer = json.loads((data / "scores/scorer.json").read_text())
    trained = [package for package in pinned("emoji") if package.use == "train"]
    inputs, clip, ssim = generator["inputs"], scorer["inputs"]["clip"], scorer["inputs"]["ssim"]
    made = {
        "generator": f"`{inputs['model']}` ({inputs['pipeline']}), fingerprint `{generator['fingerprint']}`",
        "sampling": f"{inputs['scheduler']['class']}, {inputs['steps']} steps, guidance {inputs['guidance']}",
        "image": f"{inputs['side']} x {inputs['side']} pixels, {inputs['format'].upper()}, lossless",
        "CLIP": f"`{clip['clip']}` {clip['pretrained'] or ''}".strip() + f", prefix {clip['prefix']!r}",
        "SSIM": f"{ssim['resize_to'] or inputs['side']} -> {ssim['downscale_to']} -> back, {ssim['kernel']}, {ssim['window']}, "
        f"{ssim['colour']}",
    }
    return _TEMPLATE.format(
        licences="\n".join(f"- {name}" for name in sorted({package.licence.lower() for package in trained})),
        size=next((name for limit, name in _SIZES if len(selected) < limit), "n>10M"),
        count=len(selected),
        tried=counts["candidates"],
        strategy=params.strategy,
        made=markdown_table(("what", "value"), made.items()),
        counts=markdown_table(("what", "number"), counts.items()),
        scores=markdown_table(
            ("set", "n", "CLIP cosine: mean", "quartiles", "SSIM: mean", "quartiles"),
            [_scores("competing candidates", pool), _scores("selection", selected)],
        ),
        formula=_formula(params),
        artwork=markdown_table(
            ("package", "version", "style", "licence"),
            [(package.package, package.version, package.style, package.licence) for package in trained],
        ),
        extension=inputs["format"],
        privacy=privacy(generator, sources),
        marked=_MARKED.format(type=generator["mark"]) if "mark" in generator else "",
    )


def _formula(params: Select) -> str:
    if params.strategy in ("top", "bottom"):
        end = "highest" if params.strategy == "top" else "lowest"
        clip, ssim = f"{params.clip_scale} x max(cosine, 0)", "SSIM"
        if params.normalisation != "sum":
            name = {"zscore": "z-score", "rank": "rank"}[params.normalisation]
            clip, ssim = f"{name} of max(cosine, 0)", f"{name} of SSIM"
        return f"{params.clip_weight} x {clip} + {params.ssim_weight} x {ssim}, {end} first."
    return {"clip-only": "the cosine.", "ssim-only": "SSIM.", "random": f"none; random, seed {params.seed}."}[
        params.strategy
    ]


def _scores(name: str, rows: pd.DataFrame) -> tuple[str, ...]:
    cells = [name, str(len(rows))]
    for column in ("clip_cosine", "ssim"):
        quartiles = " / ".join(f"{value:.3f}" for value in rows[column].quantile([0.25, 0.5, 0.75]))
        cells += [f"{rows[column].mean():.3f}", quartiles] if len(rows) else ["-", "-"]
    return tuple(cells)
