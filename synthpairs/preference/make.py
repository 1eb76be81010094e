"""Couples to every judge, with the control questions that say how far to trust it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from synthpairs.language.server import Server
from synthpairs.preference.couples import Couple, draw_couples, strangers, write_couples
from synthpairs.preference.judges import Answer, Comparison, Trouble
from synthpairs.preference.local import local_answers
from synthpairs.preference.measures import CHOICES, by_cluster, won
from synthpairs.preference.params import Preference
from synthpairs.preference.served import served_answers


def make_preference(params: Preference, data: Path, out: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Write `out`/couples.parquet for people to vote on; returns what the judges say, as JSON, and what is not tracked.

    `judges` has by name `preference` (of synthetic over real), `concepts`, `control` (by origin: of the picture that the
    caption is about over one that it is not) and `troubles`; `couples` what each said of each.
    """
    _check(params)
    couples = draw_couples(params, data)
    asked, controls = comparisons(couples)
    answered, volatile = _ask([*asked, *(one for part in controls.values() for one in part.values())], params)
    write_couples(couples, out)
    judges = {name: _told(answers, couples, controls, params) for name, answers in answered.items()}
    results = {
        "synthetic": params.synthetic,
        "engine": params.engine,
        "n": len(couples),
        "concepts": len({couple.cluster for couple in couples}),
        "judges": judges,
        "couples": {
            couple.couple: {
                "text": couple.text,
                "concept": couple.concept,
                "synthetic": couple.synthetic_key,
                "real": couple.real_key,
                "verdicts": {name: CHOICES[answers[place].score] for name, answers in answered.items()},
            }
            for place, couple in enumerate(couples)
        },
    }
    return results, volatile


def comparisons(couples: Sequence[Couple]) -> tuple[list[Comparison], dict[str, dict[int, Comparison]]]:
    """The questions about couples, and the control questions by origin and place of their couple."""
    asked = [Comparison(couple.text, couple.synthetic, couple.real) for couple in couples]
    controls: dict[str, dict[int, Comparison]] = {"real": {}, "synthetic": {}}
    for place, (couple, other) in enumerate(zip(couples, strangers(couples), strict=True)):
        if other is not None:
            controls["real"][place] = Comparison(couple.text, couple.real, other.real)
            controls["synthetic"][place] = Comparison(couple.text, couple.synthetic, other.synthetic)
    if not controls["real"]:
        raise ValueError("preference: all captions are about one concept, so that no judge can be tested: draw more")
    return asked, controls


def _check(params: Preference) -> None:
    where = "params.yaml: preference.local"
    if "{caption}" not in params.local.question:
        raise ValueError(f"{where}.question must hold {{caption}}, got {params.local.question!r}")
    models = params.local.models
    if not models or len(set(models)) < len(models):
        raise ValueError(f"{where}.models must be different models, at least one; got {models}")


def _ask(asked: Sequence[Comparison], params: Preference) -> tuple[dict[str, list[Answer]], dict[str, int]]:
    """Everyone's answers, by the judge's name."""
    if params.engine == "local":
        return {name: local_answers(asked, name, params.local) for name in params.local.models}, {}
    answers, counts = served_answers(asked, params, Server.from_environment())
    return {params.server.model: answers}, counts


def _told(
    answers: Sequence[Answer],
    couples: Sequence[Couple],
    controls: dict[str, dict[int, Comparison]],
    params: Preference,
) -> dict[str, Any]:
    """One judge's numbers; answers to couples come first, then those to the controls, origin by origin."""
    scores, clusters = [answer.score for answer in answers], [couple.cluster for couple in couples]
    preferred, start = scores[: len(couples)], len(couples)
    control = {}
    for origin, part in controls.items():
        end = start + len(part)
        of_part = [clusters[place] for place in part]
        control[origin] = won(scores[start:end], of_part, params.resamples, params.seed)
        start = end
    troubles = Counter[str | None](answer.trouble for answer in answers[: len(couples)])
    return {
        "preference": won(preferred, clusters, params.resamples, params.seed),
        "control": control,
        "troubles": {name: troubles[name] for name in get_args(Trouble)},
        "concepts": by_cluster(preferred, clusters),
    }
