"""Dataset card of the selection in Hugging Face's format."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from synthpairs.captions.params import CaptionParams
from synthpairs.core.assets import pinned
from synthpairs.core.markdown import code, literal, markdown_table
from synthpairs.core.schema import CANDIDATES, SELECTED
from synthpairs.core.shards import shard_keys, shard_name
from synthpairs.core.storage import read_json, read_table
from synthpairs.models.language.params import GgufSource
from synthpairs.report.ingredients import MODELS, UNKNOWN, licences, licences_table, made_of
from synthpairs.report.privacy import DESK_MODELS, ORIGINS, TEMPLATE, caption_origins, privacy
from synthpairs.selection.candidate_tables import read_candidates, read_captions
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
    path:
{shards}
---

# {count} synthetic image-caption pairs

Captions were filtered, a text-to-image model generated {tried} images for them, every image was scored, and the first
{count} by the strategy `{strategy}` were selected.{marked}

## How to load it

`data/export` is the folder of this card; on the hub write `OWNER/NAME` in `load_dataset` instead. One call gives image, caption
and scores:

```python
from datasets import load_dataset

pairs = load_dataset("data/export", split="train")
print(pairs[0]["{extension}"].size, pairs[0]["txt"], pairs[0]["json"]["clip_cosine"])
```

It copies the pairs into the cache of `datasets`; with `streaming=True` they are read from the shards, one after the other.
Rows are in the order of the keys, not of the ranks.
Name the folder, not a format: `load_dataset("parquet", data_dir="data/export")` fails, for it reads `llava.json` as Parquet, too.

The shards by WebDataset, without a copy:

```python
from glob import glob

import webdataset as wds

shards = sorted(glob("data/export/shard-*.tar"))
pairs = wds.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("{extension}", "txt", "json")
for image, caption, scores in pairs:
    print(image.size, caption, scores["clip_cosine"])
```

Captions and scores alone:

```python
import pandas as pd

table = pd.read_parquet("data/export/selected.parquet")
print(table[["text", "clip_cosine", "ssim"]].describe())
```

For LLaVA, unpack the images into a folder of their own and pass `--data_path data/export/llava.json --image_folder images`:

```sh
mkdir -p images
for shard in data/export/shard-*.tar; do tar -xf "$shard" -C images; done
```

## Files and columns

| file | what it holds |
| --- | --- |
| `shard-*.tar` | pairs in WebDataset's format: `KEY.{extension}`, `KEY.txt` (the caption), `KEY.json` |
| `selected.parquet` | the pairs without their images, best first |
| `llava.json` | the pairs as conversations in LLaVA's format, each with one of ten instructions |

{columns}

## How it was made

{made}

## Counts

{counts}

## Scores

{scores}

Score of the ranking: {formula}

## Licences

{terms}

## Privacy

{privacy}

## Known limits

- What the pairs are worth is not known here: the card is written before any model is trained on them. `reports/README.md`
  in the repository of this run, which is not uploaded, has what the arms reached; quote its verdict with the pairs.
- The pairs were not reviewed by people. A high score does not guarantee that the image shows the caption.
- SSIM of an image with its own small version favours smooth images: compare the selection with the candidates before
  drawing conclusions.
- The scorer truncates captions to its context length.{desk}

## Publish it

After a look at licences and privacy, for a first and for each next version:

```
hf auth login
hf upload OWNER/NAME data/export . --repo-type dataset --private --delete "shard-*.tar"
```

Without `--private` a new data set is public; one that exists stays what it is.
`--delete` removes the shards of a former version, which `shard-*.tar` would name, too; other files are replaced.
The other ways to read it want the files: `hf download OWNER/NAME --repo-type dataset --local-dir data/export`.
The hub then shows this card and, for public data sets, a table of the pairs with their images.
"""

_MARKED = " Each image file states in XMP that a model generated it\n(IPTC DigitalSourceType `{type}`)."
_DESK_LIMIT = "\n- Images show emoji-like drawings of a few dozen concepts on plain backgrounds."
_MEANINGS = {
    "key": "id of the pair and name of its files: 24 hexadecimal digits",
    "uid": "id of the caption: 24 hexadecimal digits",
    "text": "the caption",
    "concept": "thing or class that the caption is about; empty if unknown",
    "rank": "place in the ranking, from 0, the first",
    "score": "what the strategy ranked by: the weighted sum (`top`, `bottom`), one score alone (`clip-only`, `ssim-only`), "
    "or a random number that says nothing about the pair (`random`)",
    "clip_cosine": "cosine of CLIP's embeddings of image and caption, in [-1, 1]",
    "ssim": "SSIM of the image with itself after down- and upscaling, in [-1, 1]",
    "shard": "file name of the shard in this folder that holds the pair",
    "number": "which image of its caption, from 0",
    "seed": "seed of the image's noise, 63 bits",
    "generator": "fingerprint of the generator: its weights, scheduler, steps, guidance and the like",
    "tokens": "length of the prompt in tokens, before truncation at the text encoder's limit",
    "sha256": "of the image file: 64 hexadecimal digits",
}
_EXCLUDED = {
    "unscored": "without scores",
    "beaten": "not the best image of their caption",
    "crowded_out": "beyond `select.per_concept` of their concept",
}


def dataset_card(
    params: Select, filtered_by: CaptionParams, language_model: GgufSource, arms: Sequence[str], data: Path
) -> str:
    """The card as Markdown, from the results in `data`, of whose captions `filtered_by` are the params."""
    candidates = read_candidates(data)
    pool, lost = rank_candidates(candidates, params)
    selected = read_table(data / "selection/selected.parquet", "dvc repro select")
    captions, _ = read_captions(data)
    origins = caption_origins(selected, captions)
    counts = {
        "candidates": len(candidates),
        **{_EXCLUDED[reason]: number for reason, number in lost.items()},
        "competing": len(pool),
        "asked for (`select.num_pairs`)": params.num_pairs,
        "selected": len(selected),
    }
    counts |= {f"selected, origin of the caption: {literal(origin)}": number for origin, number in origins.items()}
    for arm in arms:
        pairs = read_table(data / f"selection/pairs/{arm}.parquet", "dvc repro select")
        counts[f"training pairs of the arm `{arm}`, in `data/selection/pairs`"] = len(pairs)
    generator = read_json(data / "images/generator.json", "dvc repro images", ["inputs", "fingerprint"])
    scorer = read_json(data / "scores/scorer.json", "dvc repro scores", ["inputs"])
    inputs = generator["inputs"]
    names, terms = _licences(inputs["model"], generator.get("licences", {}), origins, filtered_by)
    return _TEMPLATE.format(
        licences="\n".join(f"- {name}" for name in names),
        # By name: `datasets` keeps what it has loaded under this text, and another version has other shards.
        shards="\n".join(f"    - {shard_name(keys)}" for keys in shard_keys(selected["key"], params.samples_per_shard)),
        size=next((name for limit, name in _SIZES if len(selected) < limit), "n>10M"),
        count=len(selected),
        tried=counts["candidates"],
        strategy=params.strategy,
        made=markdown_table(("what", "value"), made_of(filtered_by, language_model, generator, scorer).items()),
        counts=markdown_table(("what", "number"), counts.items()),
        scores=markdown_table(
            ("set", "n", "CLIP cosine: mean", "quartiles", "SSIM: mean", "quartiles"),
            [_scores("competing candidates", pool), _scores("selection", selected)],
        ),
        formula=_formula(params),
        terms=terms,
        extension=inputs["format"],
        columns=_columns(),
        privacy=privacy(generator, origins),
        desk=_DESK_LIMIT if inputs["model"].startswith(DESK_MODELS) else "",
        marked=_MARKED.format(type=generator["mark"]) if "mark" in generator else "",
    )


def _columns() -> str:
    """Table of the columns of selected.parquet and the fields of KEY.json, with the types of the schema."""
    types = {field.name: field.type for field in [*SELECTED, *CANDIDATES]}
    rows = []
    for name, type_ in types.items():
        in_json = name not in ("text", "shard")
        where = [file for file, there in (("parquet", name in SELECTED.names), ("json", in_json)) if there]
        rows.append((f"`{name}`", type_, ", ".join(where), _MEANINGS[name]))
    return markdown_table(("column", "type", "in", "what it is"), rows)


def _licences(
    model: str, hub: Mapping[str, str], origins: Mapping[str, int], captions: CaptionParams
) -> tuple[list[str], str]:
    """Hugging Face's names of the licences, `unknown` for those not known here, and paragraphs on them."""
    names, parts, other = set(), [], []
    desk = model.startswith(DESK_MODELS)
    if desk or TEMPLATE in origins:
        trained = [package for package in pinned("emoji") if package.use == "train"]
        names = {package.licence.lower() for package in trained}
        emoji = ["the images that the generator was trained on"] if desk else []
        emoji += ["the scenes that the template captions describe"] if TEMPLATE in origins else []
        parts = [
            f"{' and '.join(emoji).capitalize()} are made of the drawings of these packages. CC-BY asks whoever "
            "passes the images on to credit these authors: keep the table with the pairs.",
            markdown_table(
                ("package", "version", "style", "licence"),
                [(package.package, package.version, package.style, package.licence) for package in trained],
            ),
        ]
    if not desk:
        other.append(
            f"The generator {code(model)} has its publisher's licence, which may restrict the use of its images."
        )
        other += [licences_table(hub, MODELS)] if hub else []
    known = licences(captions, sorted(set(origins) - set(ORIGINS)))
    if known:
        names |= {licence.lower() for licence in known.values()}
        other += ["Captions from files have the licences that params.yaml states:", licences_table(known)]
    if not desk:
        names.add(UNKNOWN)
    if UNKNOWN in names:
        other.append(
            "What is not known stands as `unknown` at the top of this card: name them there before you publish it."
        )
    return sorted(names), "\n\n".join([*parts, *other])


def _formula(params: Select) -> str:
    if params.strategy in ("top", "bottom"):
        end = "highest" if params.strategy == "top" else "lowest"
        clip, ssim = f"{params.clip_scale:g} x max(cosine, 0)", "SSIM"
        if params.normalisation != "sum":
            name = {"zscore": "z-score", "rank": "rank"}[params.normalisation]
            clip, ssim = f"{name} of max(cosine, 0)", f"{name} of SSIM"
        return f"{params.clip_weight:g} x {clip} + {params.ssim_weight:g} x {ssim}, {end} first."
    return {"clip-only": "the cosine.", "ssim-only": "SSIM.", "random": f"none; random, seed {params.seed}."}[
        params.strategy
    ]


def _scores(name: str, rows: pd.DataFrame) -> tuple[str, ...]:
    cells = [name, str(len(rows))]
    for column in ("clip_cosine", "ssim"):
        quartiles = " / ".join(f"{value:.3f}" for value in rows[column].quantile([0.25, 0.5, 0.75]))
        cells += [f"{rows[column].mean():.3f}", quartiles] if len(rows) else ["-", "-"]
    return tuple(cells)
