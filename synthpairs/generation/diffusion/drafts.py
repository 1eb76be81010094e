"""Draft pass: all candidates are generated in few steps, and the best of each caption then in all steps.

A draft has the key, and so the noise, of its candidate: it shows mostly what all steps would. The pass changes no picture and no
key, only which candidates there are, so runs with other draft settings reuse each other's pictures.
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
from synthpairs.generation.batch import GenerationSpec
from synthpairs.generation.candidates import make_candidates
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.params import Draft, Images
from synthpairs.models.clip import ClipScorer


class DraftScorer(Generator):
    """The generator in few steps, with the CLIP model that scores its drafts; fingerprint and keys are the generator's."""

    def __init__(self, params: Images) -> None:
        assert params.draft
        # A candidate whose draft fails is generated in all steps, and fails there if at all.
        super().__init__(replace(params, max_failed_share=1.0))
        self._steps = params.draft.num_inference_steps
        self._scorer = ClipScorer(
            "images.draft",
            params.draft.clip,
            params.draft.pretrained,
            prefix="",
            precision="fp32",
            batch=params.batch_size,
        )
        self.settings_hash = digest(self._steps, self._scorer.inputs)  # of what changes cosines but no key

    def score(self, keys: Sequence[str], texts: Sequence[str]) -> list[float]:
        """CLIP cosine of each draft with its caption, for at most one batch; NaN for pictures that are not finite."""
        pictures = self.generate_images(keys, texts, self._steps)
        pixels = (np.nan_to_num(pictures) * 255).round().astype(np.uint8)
        views = [self._scorer.view(Image.fromarray(picture)) for picture in pixels]
        cosines = (self._scorer.embed_pictures(views) * self._scorer.embed_texts(texts)).sum(1).numpy()
        return np.where(np.isfinite(pictures).all(axis=(1, 2, 3)), cosines, np.nan).tolist()


def draft_spec(params: Images) -> GenerationSpec:
    """The spec of drafts, of which only the cosines are stored."""
    scorer = DraftScorer(params)
    stage = f"drafts/{scorer.settings_hash}"
    return GenerationSpec(stage=stage, noun="draft", generator=scorer, generate=scorer.score, encode=_encode)


def make_drafts(captions: pd.DataFrame, params: Images) -> list[dict]:
    """Rows of DRAFTS, ordered by key, for all candidates of the captions."""
    assert params.draft
    out = WorkStore("drafts", "out").path
    make_candidates(captions, partial(draft_spec, params), out)
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


def _chosen(cosines: Sequence[float | None], draft: Draft) -> set[int]:
    """Numbers of a caption's candidates that get all steps; those without a cosine rank last and need no minimum."""
    ranks = [-1.0 if cosine is None else cosine for cosine in cosines]
    best = sorted(range(len(cosines)), key=ranks.__getitem__, reverse=True)[: draft.keep]
    minimum = -1.0 if draft.cosine_min is None else draft.cosine_min
    return {number for number in best if cosines[number] is None or ranks[number] >= minimum}


def _encode(cosine: Any) -> dict[str, bytes]:
    if not np.isfinite(cosine):
        raise ValueError("the draft holds values that are not finite")
    return {"cosine": f"{cosine:.6f}".encode()}
