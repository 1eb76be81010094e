"""Every candidate painted in few steps first, so that only the promising ones are painted in all of them.

A draft has the key, and so the noise, of its picture: what it shows is mostly where the picture would end. Choosing changes no
picture and no key, only which pictures there are, so pictures of other settings of the choice are taken over.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from synthpairs.core.schema import candidate_key, digest
from synthpairs.core.storage import WorkStore, read_shard, read_table
from synthpairs.generation.batch import Craft
from synthpairs.generation.candidates import make_candidates
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.params import Draft, Images
from synthpairs.models.clip import ClipScorer


class Drafter(Generator):
    """The generator, painting in few steps, and the CLIP model that looks at what it paints; keys are the pictures'."""

    def __init__(self, params: Images) -> None:
        assert params.draft
        # A candidate without a draft is painted in full and fails there, if at all.
        super().__init__(replace(params, max_failed_share=1.0))
        self._steps = params.draft.steps
        self._scorer = ClipScorer(
            "images.draft", params.draft.clip, params.draft.pretrained, prefix="", precision="fp32", batch=params.batch
        )
        self.choice = digest(self._steps, self._scorer.inputs)  # what makes other cosines of the same generator

    def judge(self, keys: Sequence[str], texts: Sequence[str]) -> list[float]:
        """CLIP cosine of each draft with its caption, for at most one batch; NaN where there is no picture."""
        pictures = self.paint(keys, texts, self._steps)
        pixels = (np.nan_to_num(pictures) * 255).round().astype(np.uint8)
        views = [self._scorer.view(Image.fromarray(picture)) for picture in pixels]
        cosines = (self._scorer.embed_pictures(views) * self._scorer.embed_texts(texts)).sum(1).numpy()
        return np.where(np.isfinite(pictures).all(axis=(1, 2, 3)), cosines, np.nan).tolist()


def draft_craft(params: Images) -> Craft:
    """How drafts are made: of each, its cosine is kept."""
    drafter = Drafter(params)
    stage = f"drafts/{drafter.choice}"
    return Craft(stage=stage, noun="draft", generator=drafter, make=drafter.judge, encode=_encoded, told={})


def drafted(captions: pd.DataFrame, params: Images) -> list[dict]:
    """DRAFTS rows, ordered by key, of all candidates of the captions; those that go on are `painted`."""
    assert params.draft
    out = WorkStore("drafts", "out").path
    make_candidates(captions, partial(draft_craft, params), out)
    fingerprint = json.loads((out / "generator.json").read_text())["fingerprint"]
    cosines = {key: float(files["cosine"]) for path in out.glob("*.tar") for key, files in read_shard(path)}
    errors = read_table(out / "failed.parquet", "dvc repro images").set_index("key")["error"].to_dict()
    shutil.rmtree(out)
    rows: list[dict] = []
    for uid in captions["uid"]:
        keys = [candidate_key(uid, number, fingerprint) for number in range(params.candidates)]
        chosen = _chosen([cosines.get(key) for key in keys], params.draft)
        for number, key in enumerate(keys):
            row = {"key": key, "uid": uid, "number": number, "clip_cosine": cosines.get(key), "error": errors.get(key)}
            rows.append(row | {"painted": number in chosen})
    return sorted(rows, key=lambda row: row["key"])


def _chosen(cosines: Sequence[float | None], spec: Draft) -> set[int]:
    """Numbers of a caption's candidates to paint. Those without a cosine come last and are held to no minimum."""
    ranked = sorted(
        range(len(cosines)), key=lambda number: -1.0 if (cosine := cosines[number]) is None else cosine, reverse=True
    )
    least = -1.0 if spec.cosine_min is None else spec.cosine_min
    return {number for number in ranked[: spec.keep] if (cosine := cosines[number]) is None or cosine >= least}


def _encoded(cosine: Any) -> dict[str, bytes]:
    if not np.isfinite(cosine):
        raise ValueError("the draft holds values that are not finite")
    return {"cosine": f"{cosine:.6f}".encode()}
