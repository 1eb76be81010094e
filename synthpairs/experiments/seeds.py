"""Experiment `seeds`: the main run's arms of pictures, drawn and trained again under other seeds, asked all that it asks.

Tasks beside the benchmarks: LOSS, of each token of the held-out text, in nats; PREFERENCE, of each pair of pictures of one
caption: 1 the synthetic one, 0.5 a tie, 0 the real one; CONTROL: 1 when the picture that fits the caption wins, of two real ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from synthpairs.core.arms import MODELS, UNTRAINED, Arm
from synthpairs.core.schema import digest
from synthpairs.core.storage import file_sha256
from synthpairs.evaluation.benchmarks.evaluation import answer_all
from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.evaluation.perplexity.measure import read_by, read_text, window_of_each
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.evaluation.preference.image_pairs import ImagePair, draw_image_pairs
from synthpairs.evaluation.preference.judges import comparisons
from synthpairs.evaluation.preference.local import local_answers
from synthpairs.evaluation.preference.params import Preference
from synthpairs.experiments.params import Seeds
from synthpairs.experiments.results import CONTROL, LOSS, PREFERENCE, seed_results
from synthpairs.experiments.trials import Setting, Trial, answer_rows, run_trials
from synthpairs.selection.arms import make_arm
from synthpairs.selection.candidates import read_candidates, read_captions
from synthpairs.selection.pairs import with_pictures
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates, select_top_k
from synthpairs.vlm.llava import align, finetune
from synthpairs.vlm.model import load
from synthpairs.vlm.params import Align

RUN = "run"  # stands for the main run's own seed; sorted, it follows the numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedsSetting(Setting):
    """The sections that the trials depend on."""

    seeds: Seeds
    arms: list[Arm]
    select: Select
    align: Align
    benchmark: Benchmark
    perplexity: Perplexity
    preference: Preference


def measure_seeds(setting: SeedsSetting) -> dict[str, Any]:
    """What `seed_results` gives; LOSS is asked also of `perplexity.models[0]` and UNTRAINED.

    ValueError when a seed is the main run's own, and when there are too few captions to test a judge with.
    """
    if setting.finetune.seed in setting.seeds.seeds:
        raise ValueError(
            "params.yaml: experiments.seeds.seeds must not hold the main run's own, finetune.seed "
            f"({setting.finetune.seed}), got {setting.seeds.seeds}"
        )
    image_pairs = draw_image_pairs(setting.preference, setting.data)
    if not comparisons(image_pairs)[1]["real"]:
        raise ValueError(
            f"seeds: {len(image_pairs)} captions have a picture in both arms `{setting.preference.synthetic}` and `real`, and no "
            "two of them are about different things: draw more, params.yaml: select.k"
        )
    seeds = [RUN, *map(str, setting.seeds.seeds)]
    trials = [
        Trial(set=arm, seed=seed, run=partial(_trial, arm, seed, setting, image_pairs))
        for seed in seeds
        for arm in setting.arms
    ]
    names = ("captions", "images", "scores", "tasks")
    main = [file_sha256(MODELS / arm / "finetuned") for arm in setting.arms]
    shape = replace(setting, seeds=Seeds(seeds=[0]), arms=[]).fingerprint(names)
    answers = run_trials("seeds", digest(shape, sorted(main)), trials)
    first, untrained = setting.perplexity.models[0], str(MODELS / UNTRAINED)
    losses = {Path(name).name: _losses(name, setting.perplexity) for name in (first, untrained)}  # which have no seed
    losses_by_seed = [rows.assign(set=name, seed=seed) for name, rows in losses.items() for seed in seeds]
    return seed_results(pd.concat([*losses_by_seed, answers], ignore_index=True), list(losses), setting.arms)


def _trial(arm: Arm, seed: str, setting: SeedsSetting, image_pairs: Sequence[ImagePair], work: Path) -> pd.DataFrame:
    """Everything that the main run asks of a model, as rows of ANSWERS; with pictures where there are any."""
    folder = MODELS / arm / "finetuned" if seed == RUN else _train(arm, setting.of_seed(int(seed)), work)
    model, processor = load(folder)
    params = setting.benchmark
    answers, _ = answer_all(model, processor, setting.data / "tasks", params.batch, params.tasks.pictures)
    del model
    tables = [answers[~answers["blind"]], _losses(str(folder), setting.perplexity)]
    return pd.concat([*tables, *_judge(str(folder), image_pairs, setting.preference)], ignore_index=True)


def _train(arm: Arm, setting: SeedsSetting, work: Path) -> Path:
    """The arm's model under the setting's seeds, trained in `work` as the main run trains."""
    candidates = read_candidates(setting.data)
    best = select_top_k(rank_candidates(candidates, setting.select)[0], setting.select)
    scored = candidates.dropna(subset=["clip_cosine", "ssim"])
    pairs, _ = make_arm(arm, best, scored, *read_captions(setting.data), setting.select)
    align(with_pictures(pairs, setting.data), setting.vlm, setting.align, work / "aligned")
    finetune(setting.instructions(), work / "aligned", setting.vlm, setting.finetune, work / "tuned")
    return work / "tuned"


def _losses(name: str, params: Perplexity) -> pd.DataFrame:
    """A model's losses on the held-out text, a row per token; what is resampled together is the window."""
    ids, losses = read_by(name, read_text(params), params)
    windows = window_of_each(ids)
    return answer_rows(LOSS, [f"{window}-{token}" for token, window in enumerate(windows)], windows, losses)


def _judge(name: str, image_pairs: Sequence[ImagePair], params: Preference) -> list[pd.DataFrame]:
    """The model as a judge of the pictures, and of the control questions about real ones."""
    asked, controls = comparisons(image_pairs)
    controls_of = controls["real"]
    scores = [answer.score for answer in local_answers([*asked, *controls_of.values()], name, params.local)]
    ids, clusters = [couple.couple for couple in image_pairs], [couple.cluster for couple in image_pairs]
    return [
        answer_rows(PREFERENCE, ids, clusters, scores[: len(image_pairs)]),
        answer_rows(
            CONTROL, [ids[n] for n in controls_of], [clusters[n] for n in controls_of], scores[len(image_pairs) :]
        ),
    ]
