"""The report's files: the page, the figures that it shows, and the tables behind `dvc plots`."""

from collections.abc import Sequence
from pathlib import Path

from synthpairs.core.storage import write_bytes
from synthpairs.generation.masked.mixing import generated_pairs, real_pairs
from synthpairs.generation.vq_pairs.decoding import pictures
from synthpairs.generation.vq_pairs.params import Pairs
from synthpairs.report.codes import read_codes
from synthpairs.report.findings import Ranking, funnel
from synthpairs.report.graph import read_stages
from synthpairs.report.inputs import Inputs, read_inputs, read_json
from synthpairs.report.page import Sections, build
from synthpairs.report.params import Report
from synthpairs.report.plotted import plot_tables
from synthpairs.report.sections.distributions import section as distributions_section
from synthpairs.report.sections.diversity import markdown
from synthpairs.report.sections.noise_seeds import answers as noise_seeds_answers
from synthpairs.report.sections.perplexity import section as perplexity_section
from synthpairs.report.sections.preference import section as preference_section
from synthpairs.report.sections.seeds import answers as seeds_answers
from synthpairs.report.sections.strategies import answers as strategies_answers
from synthpairs.report.sections.synth2 import synth2
from synthpairs.report.tables import FIGURES
from synthpairs.selection.params import Select

DATA, OUT = Path("data"), Path("reports")


def write_report(
    report: Report, select: Select, pairs: Pairs, arms: Sequence[str], code_arms: Sequence[str]
) -> dict[str, int]:
    """Write reports/README.md, reports/figures and reports/plots; returns how many pictures the page has.

    Pictures of an earlier page are deleted. FileNotFoundError says which stage to run for what is not there.
    """

    def decode(keys: Sequence[str]) -> list[bytes]:
        codes = {pair.key: pair.codes for pair in (*generated_pairs(DATA / "embedded"), *real_pairs(DATA / "pairs"))}
        return pictures([codes[key] for key in keys], Path(pairs.tokenizer), "params.yaml: pairs.tokenizer")

    stages, codes = read_stages(Path("dvc.yaml"), Path("params.yaml")), read_codes(code_arms)
    route, figures = synth2(codes, markdown(codes.diversity), decode, report)
    ranking = Ranking(
        strategy=select.strategy,
        fusion=select.fusion,
        clip_weight=select.clip_weight * select.clip_scale,
        ssim_weight=select.ssim_weight,
    )
    inputs = read_inputs(arms)
    page, more = build(inputs, _sections(inputs, route), stages, ranking, report, DATA)
    figures |= more
    for stale in sorted((OUT / FIGURES).glob("*.png")):
        if stale.name not in figures:
            stale.unlink()
    for name, payload in figures.items():
        write_bytes(OUT / FIGURES / name, payload)
    for name, payload in plot_tables(inputs, funnel(inputs)).items():
        write_bytes(OUT / "plots" / name, payload)
    write_bytes(OUT / "README.md", page.encode())
    return {"pictures": len(figures)}


def _sections(inputs: Inputs, route: str) -> Sections:
    """What other packages say about the results that they have in reports/; `route` is the Synth2 route's."""
    strategies = read_json(OUT / "experiments/strategies.json", "make experiments", ["studies"])
    seeds = read_json(OUT / "experiments/seeds.json", "make experiments", ["benchmarks"])
    noise_seeds = read_json(OUT / "experiments/noise_seeds.json", "make experiments", ["paintings"])
    preference = read_json(OUT / "preference.json", "dvc repro preference", ["not_asked"])
    perplexity = read_json(OUT / "perplexity.json", "dvc repro perplexity", ["left_out"])
    distributions = read_json(OUT / "distributions.json", "dvc repro distributions", ["captions_with_both"])
    return Sections(
        strategies=strategies_answers(strategies["studies"]),
        seeds=seeds_answers(seeds),
        noise_seeds=noise_seeds_answers(noise_seeds["paintings"]),
        preference=preference_section(preference),
        perplexity=perplexity_section(perplexity, inputs.results),
        distributions=distributions_section(distributions),
        synth2=route,
    )
