"""Preference evaluation: every judge on every image pair, with the control questions that say how far to trust it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from synthpairs.core.arms import split_models
from synthpairs.evaluation.preference.image_pairs import ImagePair, draw_image_pairs, write_image_pairs
from synthpairs.evaluation.preference.judges import Answer, Comparison, Trouble, comparisons
from synthpairs.evaluation.preference.local import local_answers
from synthpairs.evaluation.preference.measures import CHOICES, by_cluster, won
from synthpairs.evaluation.preference.params import Preference
from synthpairs.evaluation.preference.served import served_answers
from synthpairs.models.language.server import Server

FEWEST = 2  # captions: one alone leaves no other image to test a judge with


def make_preference(
    params: Preference, arms: Sequence[str], data: Path, out: Path
) -> tuple[dict[str, Any], dict[str, int]]:
    """Write `out`/couples.parquet for people to vote on; returns what the judges say, as JSON, and what is not tracked.

    `judges` has by name `preference` (of synthetic over real), `concepts`, `control` (by origin: of the image that the
    caption is about over one that it is not) and `troubles`; `couples` what each said of each. `not_asked` is null, or the
    reason why nobody was asked. `arms`: those that are trained; models of other arms are no judges but `left_out`.
    """
    missing = [arm for arm in (params.synthetic, "real") if arm not in arms]
    image_pairs = [] if missing else draw_image_pairs(params, data)
    write_image_pairs(image_pairs, out)
    local = params.engine == "local"
    names, left_out = split_models(params.local.models, arms) if local else ([params.server.model], [])
    not_asked = _not_asked(missing, len(image_pairs), names, params)
    asked, controls = comparisons(image_pairs)
    questions = [*asked, *(comparison for part in controls.values() for comparison in part.values())]
    answers: dict[str, list[Answer]] = {}
    volatile: dict[str, int] = {}
    if not_asked is None and local:
        answers = {name: local_answers(questions, name, params.local) for name in names}
    elif not_asked is None:
        answers[params.server.model], volatile = served_answers(questions, params, Server.from_environment())
    results = {
        "synthetic": params.synthetic,
        "engine": params.engine,
        "n": len(image_pairs),
        "concepts": len({pair.cluster for pair in image_pairs}),
        "judges": {name: _numbers(given, image_pairs, controls, params) for name, given in answers.items()},
        "left_out": left_out,
        "not_asked": not_asked,
        "couples": {
            pair.couple: {
                "text": pair.text,
                "concept": pair.concept,
                "synthetic": pair.synthetic_key,
                "real": pair.real_key,
                "verdicts": {name: CHOICES[given[index].score] for name, given in answers.items()},
            }
            for index, pair in enumerate(image_pairs)
        },
    }
    return results, volatile


def _not_asked(missing: Sequence[str], count: int, judges: Sequence[str], params: Preference) -> str | None:
    """Why there is nothing to ask, or nobody; None where there is."""
    if missing:
        return f"`params.yaml: arms` has no {' and no '.join(f'`{arm}`' for arm in missing)}"
    if count < FEWEST:
        captions = f"{count} caption{'s' * (count != 1)}"
        return f"{captions} with a picture in both arms `{params.synthetic}` and `real`, {FEWEST} are needed"
    return None if judges else "all of `preference.local.models` belong to arms that are not trained"


def _numbers(
    answers: Sequence[Answer],
    image_pairs: Sequence[ImagePair],
    controls: dict[str, dict[int, Comparison]],
    params: Preference,
) -> dict[str, Any]:
    """One judge's numbers; answers to image pairs come first, then those to the controls, origin by origin."""
    scores, clusters = iter(answer.score for answer in answers), [pair.cluster for pair in image_pairs]
    preferred = [next(scores) for _ in image_pairs]
    troubles = Counter[str | None](answer.trouble for answer in answers[: len(image_pairs)])
    return {
        "preference": won(preferred, clusters, params.resamples, params.seed),
        "control": {
            origin: won(
                [next(scores) for _ in part], [clusters[index] for index in part], params.resamples, params.seed
            )
            for origin, part in controls.items()
        },
        "troubles": {name: troubles[name] for name in get_args(Trouble)},
        "concepts": by_cluster(preferred, clusters),
    }


def tracked_metrics(results: dict[str, Any]) -> dict[str, Any]:
    """What is tracked from commit to commit: each judge's win rate, the control's, and what they rest on."""
    return {
        "couples": results["n"],
        "concepts": results["concepts"],
        "judges": {
            name: {
                "win_rate": one["preference"]["rate"],
                "control": {origin: numbers["rate"] for origin, numbers in one["control"].items()},
                **one["troubles"],
            }
            for name, one in results["judges"].items()
        },
    }
