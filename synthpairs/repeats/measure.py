"""Every arm under every seed: trained as the main run trains, asked what it asks; what is finished is not made again."""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from synthpairs.arms import MODELS, UNTRAINED, Arm
from synthpairs.benchmarks.evaluation import answer_all
from synthpairs.benchmarks.params import Benchmark
from synthpairs.pairs import with_pictures
from synthpairs.perplexity.measure import read_by, read_text, window_of_each
from synthpairs.perplexity.params import Perplexity
from synthpairs.preference.image_pairs import ImagePair, draw_image_pairs
from synthpairs.preference.judges import comparisons
from synthpairs.preference.local import local_answers
from synthpairs.preference.params import Preference
from synthpairs.progress import progress
from synthpairs.repeats.params import CONTROL, LOSS, PREFERENCE, RUN, Repeats
from synthpairs.schema import ANSWERS, digest
from synthpairs.selection.arms import make_arm
from synthpairs.selection.make import read_candidates, read_captions
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates, select_top_k
from synthpairs.storage import WorkStore, file_sha256, read_table, write_table
from synthpairs.vlm import load
from synthpairs.vlm.llava import Align, Finetune, align, finetune
from synthpairs.vlm.model import Vlm

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The sections that a repeat depends on, and where the pipeline's data lies."""

    repeats: Repeats
    data: Path  # the pipeline's
    arms: list[Arm]
    select: Select
    vlm: Vlm
    align: Align
    finetune: Finetune
    benchmark: Benchmark
    perplexity: Perplexity
    preference: Preference

    def of_seed(self, seed: int) -> "Setting":
        """The same with everything drawn anew."""
        return replace(
            self,
            select=replace(self.select, seed=seed),
            vlm=replace(self.vlm, seed=seed),
            align=replace(self.align, seed=seed),
            finetune=replace(self.finetune, seed=seed),
        )

    def fingerprint(self) -> str:
        """Of all data and params that shape an answer but the arm and the seed."""
        parts = [self.data / name for name in ("captions", "images", "scores", "tasks")]
        parts += [MODELS / arm / "finetuned" for arm in self.arms]
        parts += [Path(part) for part in (self.vlm.eye, self.vlm.llm, self.vlm.adapter) if part]
        settings = {name: value for name, value in asdict(self).items() if name not in ("repeats", "data", "arms")}
        return digest(settings, [file_sha256(part) for part in sorted(parts)])


def measure_repeats(setting: Setting) -> pd.DataFrame:
    """Answers of all arms under all seeds, rows of ANSWERS with `set` (the arm) and `seed` (as text, RUN among them) before it.

    Beside the benchmarks there are the tasks LOSS, PREFERENCE and CONTROL; of LOSS also the sets `perplexity.models[0]` and
    UNTRAINED, which have no seed and therefore stand under each. ValueError when a seed is the main run's own, and when there
    are too few captions to test a judge with.
    """
    if setting.finetune.seed in setting.repeats.seeds:
        raise ValueError(
            f"params.yaml: repeats.seeds must not hold the main run's own, finetune.seed ({setting.finetune.seed}), "
            f"got {setting.repeats.seeds}"
        )
    seeds = [RUN, *map(str, setting.repeats.seeds)]
    couples = draw_image_pairs(setting.preference, setting.data)
    if not comparisons(couples)[1]["real"]:
        raise ValueError(
            f"repeats: {len(couples)} captions have a picture in both arms `{setting.preference.synthetic}` and `real`, and no "
            "two of them are about different things: draw more, params.yaml: select.k"
        )
    tables = []
    with (
        WorkStore("repeats", setting.fingerprint()).locked() as store,
        progress("repeats", len(seeds) * len(setting.arms), "models") as advance,
    ):
        for name in (setting.perplexity.models[0], str(MODELS / UNTRAINED)):
            losses = _losses(name, setting.perplexity)
            tables += [losses.assign(set=Path(name).name, seed=seed) for seed in seeds]
        for seed in seeds:
            for arm in setting.arms:
                file = store.path / f"{arm}-{seed}.parquet"
                if not file.exists():
                    model = MODELS / arm / "finetuned"
                    if seed != RUN:
                        model = _train(arm, setting.of_seed(int(seed)), store.path / "trial")
                    write_table(file, _ask(model, setting, couples), ANSWERS)
                    shutil.rmtree(store.path / "trial", ignore_errors=True)
                told = read_table(file, "dvc repro repeats/dvc.yaml")
                means = {task: round(float(part.mean()), 3) for task, part in told.groupby("task")["score"]}
                log.info("%s, seed %s: %s", arm, seed, json.dumps(means))
                tables.append(told.assign(set=arm, seed=seed))
                advance(1)
    return pd.concat(tables, ignore_index=True)[["set", "seed", *ANSWERS.names]]


def _train(arm: Arm, setting: Setting, work: Path) -> Path:
    """The arm's model under the setting's seeds; `work` holds it until it is removed."""
    shutil.rmtree(work, ignore_errors=True)
    select, candidates = setting.select, read_candidates(setting.data)
    best = select_top_k(rank_candidates(candidates, select)[0], select)
    scored = candidates.dropna(subset=["clip_cosine", "ssim"])
    pairs, _ = make_arm(arm, best, scored, *read_captions(setting.data), select)
    align(with_pictures(pairs, setting.data), setting.vlm, setting.align, work / "aligned")
    rows = read_table(setting.data / "tasks/instructions.parquet", "dvc repro tasks")
    finetune(rows, work / "aligned", setting.vlm, setting.finetune, work / "tuned")
    return work / "tuned"


def _ask(folder: Path, setting: Setting, couples: Sequence[ImagePair]) -> pd.DataFrame:
    """Everything that the main run asks of a model, as rows of ANSWERS; with pictures where there are any."""
    model, processor = load(folder)
    told = setting.benchmark
    answers, _ = answer_all(model, processor, setting.data / "tasks", told.batch, told.tasks.pictures)
    del model
    tables = [answers[~answers["blind"]], _losses(str(folder), setting.perplexity)]
    return pd.concat([*tables, _judged(str(folder), couples, setting.preference)], ignore_index=True)


def _losses(name: str, params: Perplexity) -> pd.DataFrame:
    """The tokens of the held-out text; `concept`, by which what is resampled together is told, is the window."""
    ids, losses = read_by(name, read_text(params), params)
    windows = window_of_each(ids)
    places = [f"{window}-{place}" for place, window in enumerate(windows)]
    return _rows(LOSS, dict(zip(places, losses, strict=True)), windows)


def _judged(name: str, couples: Sequence[ImagePair], params: Preference) -> pd.DataFrame:
    """What the model makes of the couples, and of the control questions about real pictures."""
    asked, controls = comparisons(couples)
    tested = controls["real"]
    scores = [answer.score for answer in local_answers([*asked, *tested.values()], name, params.local)]
    judged = {couple.couple: score for couple, score in zip(couples, scores, strict=False)}
    right = {couples[place].couple: score for place, score in zip(tested, scores[len(couples) :], strict=True)}
    clusters = [couple.cluster for couple in couples]
    return pd.concat(
        [_rows(PREFERENCE, judged, clusters), _rows(CONTROL, right, [clusters[place] for place in tested])]
    )


def _rows(task: str, scores: Mapping[str, float], clusters: Sequence[str]) -> pd.DataFrame:
    """Rows of ANSWERS of a task that is no benchmark."""
    told = {"uid": list(scores), "concept": list(clusters), "score": list(scores.values())}
    return pd.DataFrame(told).assign(task=task, blind=False, category=task, prediction="")
