"""Experiment `seeds`: the main run's image arms under other seeds, with the main run's evaluation.

Tasks other than the benchmarks: LOSS of each token of the held-out text, in nats; PREFERENCE on each image pair, 1 for
the synthetic image, 0.5 for a tie, 0 for the real one; CONTROL on two real images, 1 for the caption's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from synthpairs.core.arms import MODELS, UNTRAINED, Arm
from synthpairs.core.schema import PAIR_SCORES, digest
from synthpairs.core.storage import file_sha256
from synthpairs.evaluation.benchmarks.answers import answer_all
from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.evaluation.perplexity.measure import model_losses, read_text, token_windows
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.evaluation.preference.image_pairs import ImagePair, draw_image_pairs
from synthpairs.evaluation.preference.judges import pair_questions
from synthpairs.evaluation.preference.local import local_verdicts
from synthpairs.evaluation.preference.params import Preference
from synthpairs.experiments.params import Seeds
from synthpairs.experiments.results import CONTROL, LOSS, PREFERENCE, seed_results
from synthpairs.experiments.trials import Trial, TrialConfig, answer_rows, run_trials
from synthpairs.selection.arms import make_training_pairs
from synthpairs.selection.candidate_tables import read_candidates, read_captions
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates
from synthpairs.selection.training_pairs import with_pictures
from synthpairs.vlm.finetuning import finetune
from synthpairs.vlm.model import load
from synthpairs.vlm.params import Pretrain
from synthpairs.vlm.pretraining import pretrain

RUN = "run"  # label of the main run's own seed, sorted after the numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedsConfig(TrialConfig):
    """Sections of params.yaml that the trials depend on."""

    seeds: Seeds
    arms: list[Arm]
    select: Select
    pretrain: Pretrain
    benchmark: Benchmark
    perplexity: Perplexity
    preference: Preference


def measure_seeds(config: SeedsConfig) -> dict[str, Any]:
    """Results of `seed_results`; LOSS is measured also for `perplexity.models[0]` and UNTRAINED.

    ValueError when a seed is the main run's own, or when there are too few captions for control questions.
    """
    if config.finetune.seed in config.seeds.seeds:
        raise ValueError(
            "params.yaml: experiments.seeds.seeds must not hold the main run's own, finetune.seed "
            f"({config.finetune.seed}), got {config.seeds.seeds}"
        )
    image_pairs = draw_image_pairs(config.preference, config.data)
    if not pair_questions(image_pairs)[1]["real"]:
        raise ValueError(
            f"seeds: {len(image_pairs)} captions have an image in both arms `{config.preference.synthetic}` and `real`, and "
            "no two of them are about different things: increase select.num_pairs in params.yaml"
        )
    seeds = [RUN, *map(str, config.seeds.seeds)]
    trials = [
        Trial(set=arm, seed=seed, run=partial(_trial, arm, seed, config, image_pairs))
        for seed in seeds
        for arm in config.arms
    ]
    names = ("captions", "images", "scores", "tasks")
    main = [file_sha256(MODELS / arm / "finetuned") for arm in config.arms]
    seedless = replace(config, seeds=Seeds(seeds=[0]), arms=[]).fingerprint(names)
    answers = run_trials("seeds", digest(seedless, sorted(main)), trials)
    first, untrained = config.perplexity.models[0], str(MODELS / UNTRAINED)
    losses = {Path(name).name: _losses(name, config.perplexity) for name in (first, untrained)}  # independent of seeds
    losses_by_seed = [rows.assign(set=name, seed=seed) for name, rows in losses.items() for seed in seeds]
    return seed_results(pd.concat([*losses_by_seed, answers], ignore_index=True), list(losses), config.arms)


def _trial(arm: Arm, seed: str, config: SeedsConfig, image_pairs: Sequence[ImagePair], work: Path) -> pd.DataFrame:
    """The main run's evaluation of a model as rows of ANSWERS, without blind answers."""
    folder = MODELS / arm / "finetuned" if seed == RUN else _train(arm, config.with_seed(int(seed)), work)
    model, processor = load(folder)
    params = config.benchmark
    answers, _ = answer_all(model, processor, config.data / "tasks", params.batch_size, params.tasks.pictures)
    del model
    tables = [answers[~answers["blind"]], _losses(str(folder), config.perplexity)]
    return pd.concat([*tables, *_judge(str(folder), image_pairs, config.preference)], ignore_index=True)


def _train(arm: Arm, config: SeedsConfig, work: Path) -> Path:
    """Train the arm's model in `work` as the main run does, under the config's seeds."""
    candidates = read_candidates(config.data)
    best = rank_candidates(candidates, config.select)[0].head(config.select.num_pairs)
    scored = candidates.dropna(subset=PAIR_SCORES)
    pairs, _ = make_training_pairs(arm, best, scored, *read_captions(config.data, arm == "all-real"), config.select)
    pretrain(with_pictures(pairs, config.data), config.vlm, config.pretrain, work / "pretrained")
    finetune(config.instructions(), work / "pretrained", config.vlm, config.finetune, work / "tuned")
    return work / "tuned"


def _losses(name: str, params: Perplexity) -> pd.DataFrame:
    """A model's losses on the held-out text, a row per token, clustered by window."""
    ids, losses = model_losses(name, read_text(params), params)
    windows = token_windows(ids)
    return answer_rows(LOSS, [f"{window}-{token}" for token, window in enumerate(windows)], windows, losses)


def _judge(name: str, image_pairs: Sequence[ImagePair], params: Preference) -> list[pd.DataFrame]:
    """The model's verdicts on image pairs, and on the control questions about real images."""
    questions, controls = pair_questions(image_pairs)
    control = controls["real"]
    scores = [verdict.score for verdict in local_verdicts([*questions, *control.values()], name, params.local)]
    ids, clusters = [pair.couple for pair in image_pairs], [pair.cluster for pair in image_pairs]
    count = len(image_pairs)
    return [
        answer_rows(PREFERENCE, ids, clusters, scores[:count]),
        answer_rows(CONTROL, [ids[n] for n in control], [clusters[n] for n in control], scores[count:]),
    ]
