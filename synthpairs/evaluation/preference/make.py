"""Preference evaluation: verdicts of every judge on every image pair, and on control questions that test the judge."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from synthpairs.core.arms import split_models
from synthpairs.evaluation.preference.image_pairs import ImagePair, draw_image_pairs, write_image_pairs
from synthpairs.evaluation.preference.judges import PairQuestion, Problem, Verdict, pair_questions
from synthpairs.evaluation.preference.local import local_verdicts
from synthpairs.evaluation.preference.measures import CHOICES, by_cluster, win_rate
from synthpairs.evaluation.preference.params import Preference
from synthpairs.evaluation.preference.served import served_verdicts
from synthpairs.models.language.server import Server

FEWEST = 2  # captions: a control question needs another one's image


def make_preference(
    params: Preference, arms: Sequence[str], data: Path, out: Path
) -> tuple[dict[str, Any], dict[str, int]]:
    """Write the table of the image pairs, which people vote on, to `out`; return results of the judges and volatile metrics.

    `judges` has by name `preference` (synthetic over real), `concepts`, `control` (by origin: the caption's image over
    another one) and `troubles`; each image pair has its judges' verdicts. `not_asked` is the reason if there are
    no verdicts, else None. Models of arms that are not in `arms` are `left_out`.
    """
    missing = [arm for arm in (params.synthetic, "real") if arm not in arms]
    image_pairs = [] if missing else draw_image_pairs(params, data)
    write_image_pairs(image_pairs, out)
    local = params.engine == "local"
    names, left_out = split_models(params.local.models, arms) if local else ([params.server.model], [])
    not_asked = _not_asked(missing, len(image_pairs), names, params)
    questions, controls = pair_questions(image_pairs)
    questions += [question for part in controls.values() for question in part.values()]
    verdicts: dict[str, list[Verdict]] = {}
    volatile: dict[str, int] = {}
    if not_asked is None and local:
        verdicts = {name: local_verdicts(questions, name, params.local) for name in names}
    elif not_asked is None:
        verdicts[params.server.model], volatile = served_verdicts(questions, params, Server.from_environment())
    results = {
        "synthetic": params.synthetic,
        "engine": params.engine,
        "n": len(image_pairs),
        "concepts": len({pair.cluster for pair in image_pairs}),
        "judges": {name: _numbers(given, image_pairs, controls, params) for name, given in verdicts.items()},
        "left_out": left_out,
        "not_asked": not_asked,
        "couples": {
            pair.couple: {
                "text": pair.text,
                "concept": pair.concept,
                "synthetic": pair.synthetic_key,
                "real": pair.real_key,
                "verdicts": {name: CHOICES[given[index].score] for name, given in verdicts.items()},
            }
            for index, pair in enumerate(image_pairs)
        },
    }
    return results, volatile


def _not_asked(missing: Sequence[str], count: int, judges: Sequence[str], params: Preference) -> str | None:
    """Why there are no questions or no judges, else None."""
    if missing:
        return f"`params.yaml: arms` has no {' and no '.join(f'`{arm}`' for arm in missing)}"
    if count < FEWEST:
        captions = f"{count} caption{'s' * (count != 1)}"
        return f"{captions} with a picture in both arms `{params.synthetic}` and `real`, {FEWEST} are needed"
    return None if judges else "all of `preference.local.models` belong to arms that are not trained"


def _numbers(
    verdicts: Sequence[Verdict],
    image_pairs: Sequence[ImagePair],
    controls: dict[str, dict[int, PairQuestion]],
    params: Preference,
) -> dict[str, Any]:
    """One judge's numbers; verdicts on image pairs come first, then those on the controls of each origin."""
    scores, clusters = iter(verdict.score for verdict in verdicts), [pair.cluster for pair in image_pairs]
    preferred = [next(scores) for _ in image_pairs]
    problems = Counter[str | None](verdict.problem for verdict in verdicts[: len(image_pairs)])
    return {
        "preference": win_rate(preferred, clusters, params.resamples, params.seed),
        "control": {
            origin: win_rate(
                [next(scores) for _ in part], [clusters[index] for index in part], params.resamples, params.seed
            )
            for origin, part in controls.items()
        },
        "troubles": {name: problems[name] for name in get_args(Problem)},
        "concepts": by_cluster(preferred, clusters),
    }


def tracked_metrics(results: dict[str, Any]) -> dict[str, Any]:
    """Metrics tracked by DVC: each judge's win rates on pairs and controls, and the numbers of pairs and concepts."""
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
