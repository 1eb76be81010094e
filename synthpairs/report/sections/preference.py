"""The comparison in words and numbers, beside those that SynthVLM reports."""

from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.preference.measures import EVEN, ahead
from synthpairs.evaluation.statistics import NO_DIFFERENCE, probability

# SynthVLM (2407.20756): how often 1,000 of its pictures beat real ones; it states neither prompts nor what ties count.
PAPER = {"GPT-4V": 0.633, "InternVL2": 0.692, "people": 0.758}
HEADING = "## Picture against picture"
HEAD = ("judge", "n", "synthetic", "tie", "real", "win rate", "p", "control, real", "control, synthetic")
FEWEST = 2  # image pairs of a concept that the table by concept names


def section(results: dict[str, Any]) -> str:
    """The section of the report: what was compared, the table, the verdict, and each concept folded; or why nobody was asked."""
    if results["not_asked"]:
        return f"{HEADING}\n\nNot asked: {results['not_asked']}."
    judges = results["judges"]
    rows = [_row(name, one) for name, one in judges.items()]
    rows += [[f"*{name} in SynthVLM*", "1,000", "", "", "", f"{rate:.1%}", "", "", ""] for name, rate in PAPER.items()]
    return "\n\n".join(
        [
            HEADING,
            f"{results['n']:,} reference captions (at desk scale templates over emoji names), of {results['concepts']:,} "
            f"concepts: the picture that was generated for the caption (arm `{results['synthetic']}`) and its original picture, "
            f"and which shows it better. {_engine(results['engine'])} *Win rate* is of the synthetic pictures, ties as half a "
            "win, with a 95% "
            "interval (concepts resampled); *p* is of the sign test. The *control* asks the same judge about two pictures "
            "of one origin, of which only one fits the caption: 50% is guessing. A judge that the control on real "
            "pictures does not show to be above that cannot tell, whatever it prefers. The control is the easier question: it "
            "says whether a judge sees what is there, not whether it sees how well it is drawn.",
            markdown_table(HEAD, rows, words=[0]),
            "\n".join(
                f"- {line}"
                for line in [
                    *(_verdict(name, one) for name, one in judges.items()),
                    *(f"`{name}` was not asked: its arm is not trained." for name in results["left_out"]),
                    _overall(judges),
                ]
            ),
            "People's votes: `python -m synthpairs vote` asks for them, `python -m synthpairs vote --summary` says what they "
            "come to and how far they agree with the judges.",
            f"<details><summary>By concept</summary>\n\n{_concepts(judges)}\n\n</details>",
        ]
    )


def win_line(numbers: dict[str, Any]) -> str:
    """Counts and win rate of synthetic images in a sentence."""
    p = probability(numbers["p"])
    return (
        f"synthetic {numbers['wins']}, tie {numbers['ties']}, real {numbers['losses']} (n = {numbers['n']:,}); win rate "
        f"{_rate(numbers)}, sign test p {p if p.startswith('<') else f'= {p}'}."
    )


def agreement_table(judges: dict[str, dict[str, Any]]) -> str:
    """How far votes agree with each judge."""
    rows = []
    for name, one in judges.items():
        kappa = "-" if one["kappa"] is None else f"{one['kappa']:.2f}"
        rows.append([f"`{name}`", f"{one['n']:,}", f"{one['agreement']:.1%}", kappa])
    return markdown_table(["judge", "votes", "agreement", "Cohen's kappa"], rows, words=[0])


def trusted(judge: dict[str, Any]) -> bool:
    """Whether the control on real images shows that the judge can tell an image that fits from one that does not."""
    control = judge["control"]["real"]
    return bool(control["n"] and control["low"] > EVEN)


def _row(name: str, one: dict[str, Any]) -> list[str]:
    numbers, control = one["preference"], one["control"]
    shares = [f"{numbers[key] / numbers['n']:.1%}" for key in ("wins", "ties", "losses")]
    controls = [f"{_rate(control[origin])}, n = {control[origin]['n']:,}" for origin in ("real", "synthetic")]
    return [f"`{name}`", f"{numbers['n']:,}", *shares, _rate(numbers), probability(numbers["p"]), *controls]


def _engine(engine: str) -> str:
    if engine == "local":
        return (
            'A judge sees one picture at a time, as VQAScore does: the picture with the higher P(yes) to "does it show the '
            'caption" wins, and near ones tie.'
        )
    return "The judge sees both at once, in both orders: a win must come out in both, all else is a tie."


def _verdict(name: str, one: dict[str, Any]) -> str:
    control, numbers, troubles = one["control"]["real"], one["preference"], one["troubles"]
    if not control["n"]:
        return f"`{name}` was not tested: no caption comes with a picture of something else, so there is no control question."
    if not trusted(one):
        return f"`{name}` cannot tell: on the control it is right in {_rate(control)}, which does not exclude guessing."
    side = ahead(numbers)
    verdict = f"prefers the {side} pictures" if side else f"{NO_DIFFERENCE} between synthetic and real pictures"
    involuntary = ", ".join(f"{count} {trouble}" for trouble, count in troubles.items() if count)
    return f"`{name}`: {verdict} (win rate {_rate(numbers)}){f'; of its ties {involuntary}' if involuntary else ''}."


def _overall(judges: dict[str, Any]) -> str:
    """What holds whoever is asked."""
    sides = {ahead(one["preference"]) for one in judges.values() if trusted(one)}
    if not sides:
        return "No judge can tell, so nothing follows."
    if len(sides) > 1:
        return "Who is asked decides: the judges that can tell do not agree, so no preference is shown."
    side = sides.pop()
    return f"All judges that can tell prefer the {side} pictures." if side else "No preference is shown."


def _concepts(judges: dict[str, Any]) -> str:
    """Wins - ties - losses of each concept with at least FEWEST image pairs, under each judge."""
    rows = []
    for concept, first in next(iter(judges.values()))["concepts"].items():
        if (count := sum(first.values())) >= FEWEST:
            counts = [one["concepts"][concept] for one in judges.values()]
            rows.append([concept, str(count), *(f"{one['wins']} - {one['ties']} - {one['losses']}" for one in counts)])
    head = ["concept", "couples", *(f"`{name}`: synthetic - tie - real" for name in judges)]
    return f"Concepts with {FEWEST} couples or more.\n\n{markdown_table(head, rows, words=[0])}"


def _rate(numbers: dict[str, Any]) -> str:
    return f"{numbers['rate']:.1%} [{numbers['low']:.1%}, {numbers['high']:.1%}]" if numbers["n"] else "-"
