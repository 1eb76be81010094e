"""Couples to every judge, with the control questions that say how far to trust it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from synthpairs.arms import split_models
from synthpairs.language.server import Server
from synthpairs.preference.couples import Couple, draw_couples, strangers, write_couples
from synthpairs.preference.judges import Answer, Comparison, Trouble
from synthpairs.preference.local import local_answers
from synthpairs.preference.measures import CHOICES, by_cluster, won
from synthpairs.preference.params import Preference
from synthpairs.preference.served import served_answers

FEWEST = 2  # captions: one alone leaves no other picture to test a judge with


def make_preference(
    params: Preference, arms: Sequence[str], data: Path, out: Path
) -> tuple[dict[str, Any], dict[str, int]]:
    """Write `out`/couples.parquet for people to vote on; returns what the judges say, as JSON, and what is not tracked.

    `judges` has by name `preference` (of synthetic over real), `concepts`, `control` (by origin: of the picture that the
    caption is about over one that it is not) and `troubles`; `couples` what each said of each. `not_asked` is null, or the
    reason why nobody was asked. `arms`: those that are trained; models of other arms are no judges but `left_out`.
    """
    missing = [arm for arm in (params.synthetic, "real") if arm not in arms]
    couples = [] if missing else draw_couples(params, data)
    names, left_out = (
        split_models(params.local.models, arms) if params.engine == "local" else ([params.server.model], [])
    )
    not_asked = _not_asked(missing, len(couples), names, params)
    asked, controls = comparisons(couples)
    answered: dict[str, list[Answer]] = {}
    volatile: dict[str, int] = {}
    if not_asked is None:
        every = [*asked, *(one for part in controls.values() for one in part.values())]
        answered, volatile = _ask(every, names, params)
    write_couples(couples, out)
    judges = {name: _told(answers, couples, controls, params) for name, answers in answered.items()}
    results = {
        "synthetic": params.synthetic,
        "engine": params.engine,
        "n": len(couples),
        "concepts": len({couple.cluster for couple in couples}),
        "judges": judges,
        "left_out": left_out,
        "not_asked": not_asked,
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
    """The questions about couples, and the control questions by origin and place of their couple.

    There is no control question where all captions are about one thing.
    """
    asked = [Comparison(couple.text, couple.synthetic, couple.real) for couple in couples]
    controls: dict[str, dict[int, Comparison]] = {"real": {}, "synthetic": {}}
    for place, (couple, other) in enumerate(zip(couples, strangers(couples), strict=True)):
        if other is not None:
            controls["real"][place] = Comparison(couple.text, couple.real, other.real)
            controls["synthetic"][place] = Comparison(couple.text, couple.synthetic, other.synthetic)
    return asked, controls


def _not_asked(missing: Sequence[str], count: int, judges: Sequence[str], params: Preference) -> str | None:
    """Why there is nothing to ask, or nobody; None where there is."""
    if missing:
        return f"`params.yaml: arms` has no {' and no '.join(f'`{arm}`' for arm in missing)}"
    if count < FEWEST:
        captions = f"{count} caption{'s' * (count != 1)}"
        return f"{captions} with a picture in both arms `{params.synthetic}` and `real`, {FEWEST} are needed"
    if not judges:
        return "all of `preference.local.models` belong to arms that are not trained"
    return None


def _ask(
    asked: Sequence[Comparison], names: Sequence[str], params: Preference
) -> tuple[dict[str, list[Answer]], dict[str, int]]:
    """Everyone's answers, by the judge's name."""
    if params.engine == "local":
        return {name: local_answers(asked, name, params.local) for name in names}, {}
    answers, counts = served_answers(asked, params, Server.from_environment())
    return dict.fromkeys(names, answers), counts


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
