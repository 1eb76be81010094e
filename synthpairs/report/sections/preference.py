"""Report section about stage `preference`: judges' votes between generated and original images."""

from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.preference.measures import EVEN, preferred_side
from synthpairs.evaluation.statistics import NO_DIFFERENCE, probability
from synthpairs.report.tables import bullets, folded

# SynthVLM (2407.20756): win rate of 1,000 of its images against real ones; prompts and the value of a tie are not stated.
PAPER = {"GPT-4V": 0.633, "InternVL2": 0.692, "people": 0.758}
HEADING = "## Generated against original images"
HEAD = ("judge", "n", "synthetic", "tie", "real", "win rate", "p", "control, real", "control, synthetic")
MIN_PAIRS = 2  # image pairs of a concept in the table by concept
ENGINES = {
    "local": 'A judge sees one image at a time, as in VQAScore: the image with the higher P(yes) to "does it show the caption" '
    "wins, and small differences are ties. A judge that was trained on the images of one side, these among them, may prefer what "
    "it knows.",
    "server": "A judge sees both images, in both orders: a win must come out in both, everything else is a tie.",
}


def section(results: dict[str, Any]) -> str:
    """Method, table of the judges, verdicts, and a table by concept; or the reason why no judge was asked."""
    if results["not_asked"]:
        return f"{HEADING}\n\nNot asked: {results['not_asked']}."
    judges = results["judges"]
    rows = [_row(name, judge) for name, judge in judges.items()]
    rows += [[f"*{name} in SynthVLM*", "1,000", "", "", "", f"{rate:.1%}", "", "", ""] for name, rate in PAPER.items()]
    verdicts = [
        *(_verdict(name, judge) for name, judge in judges.items()),
        *(f"`{name}` was not asked: its arm is not trained." for name in results["left_out"]),
        _overall(judges),
    ]
    return "\n\n".join(
        [
            HEADING,
            f"{results['n']:,} reference captions (at desk scale made of templates over emoji names) of "
            f"{results['concepts']:,} concepts: which image shows the caption better, the generated one (arm "
            f"`{results['synthetic']}`) or the original? "
            f"{ENGINES['local' if results['engine'] == 'local' else 'server']} *Win rate* is that of the synthetic "
            "images, with a tie as half a win and a 95% interval (concepts resampled); *p* is from the sign test. In "
            "the *control* the same judge gets two images of one origin, only one of which fits the caption; chance "
            "is 50%. A judge passes the control if the interval on real images lies above chance; the preference of "
            "other judges does not count. The control is an easier question: it tests whether a judge sees the "
            "content, not whether it sees quality.",
            markdown_table(HEAD, rows, words=[0]),
            bullets(verdicts),
            "Votes of people: `python -m synthpairs vote` writes a voting page, `python -m synthpairs vote --summary` "
            "shows the result and the agreement with the judges.",
            folded("By concept", _concepts(judges)),
        ]
    )


def trusted(judge: dict[str, Any]) -> bool:
    """Whether the judge passes the control on real images."""
    control = judge["control"]["real"]
    return bool(control["n"] and control["low"] > EVEN)


def _row(name: str, judge: dict[str, Any]) -> list[str]:
    numbers, control = judge["preference"], judge["control"]
    shares = [f"{numbers[key] / numbers['n']:.1%}" for key in ("wins", "ties", "losses")]
    controls = [f"{rate_text(control[origin])}, n = {control[origin]['n']:,}" for origin in ("real", "synthetic")]
    return [f"`{name}`", f"{numbers['n']:,}", *shares, rate_text(numbers), probability(numbers["p"]), *controls]


def _verdict(name: str, judge: dict[str, Any]) -> str:
    control, numbers = judge["control"]["real"], judge["preference"]
    if not control["n"]:
        return f"`{name}` was not tested: no caption comes with an image of another concept, so there is no control question."
    if not trusted(judge):
        return f"`{name}` fails the control: accuracy {rate_text(control)}, not above chance."
    side = preferred_side(numbers)
    verdict = f"prefers the {side} images" if side else f"{NO_DIFFERENCE} between synthetic and real images"
    invalid = ", ".join(f"{count} {kind}" for kind, count in judge["troubles"].items() if count)
    return f"`{name}`: {verdict} (win rate {rate_text(numbers)}){f'; of its ties {invalid}' if invalid else ''}."


def _overall(judges: dict[str, Any]) -> str:
    sides = {preferred_side(judge["preference"]) for judge in judges.values() if trusted(judge)}
    if not sides:
        return "No judge passes the control, so there is no result."
    if len(sides) > 1:
        return "The judges that pass the control disagree, so no preference is shown."
    side = sides.pop()
    return f"All judges that pass the control prefer the {side} images." if side else "No preference is shown."


def _concepts(judges: dict[str, Any]) -> str:
    """Wins - ties - losses of each concept with at least MIN_PAIRS image pairs, by judge."""
    rows = []
    for concept, first in next(iter(judges.values()))["concepts"].items():
        if (count := sum(first.values())) >= MIN_PAIRS:
            counts = [judge["concepts"][concept] for judge in judges.values()]
            rows.append([concept, str(count), *(f"{one['wins']} - {one['ties']} - {one['losses']}" for one in counts)])
    head = ["concept", "image pairs", *(f"`{name}`: synthetic - tie - real" for name in judges)]
    return f"Concepts with {MIN_PAIRS} image pairs or more.\n\n{markdown_table(head, rows, words=[0])}"


def rate_text(numbers: dict[str, Any]) -> str:
    """Win rate or accuracy with its interval; `-` for none."""
    return f"{numbers['rate']:.1%} [{numbers['low']:.1%}, {numbers['high']:.1%}]" if numbers["n"] else "-"
