"""The project's commands for people; `python -m synthpairs --help` lists them. The pipeline itself is `dvc repro`."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from synthpairs.core.config import PARAMS, existing, load_params
from synthpairs.generation.diffusion.params import Images
from synthpairs.scoring.params import Scores

EXAMPLES = """examples:
  python -m synthpairs doctor                      look at params, models and machine before a run
  python -m synthpairs preset smoke                write presets/smoke.yaml into params.yaml, then `dvc repro`
  python -m synthpairs preset smoke --as-flags     print it for `dvc exp run -n small $(...)`
  python -m synthpairs plan --gpu H100 --gpus 8    hours, disk and money of a run, before it runs
  python -m synthpairs preview 12                  12 captions painted and scored, to look at before a long run
  python -m synthpairs replay 0a1b2c               one picture made again and held against the stored one
  python -m synthpairs compare main random         two revisions or DVC experiments on the same questions
  python -m synthpairs vote --voter ada            generated or real? a page that asks which picture is better
  python -m synthpairs clean                       free the space of unfinished work that no run takes up again
  python -m synthpairs track sync                  record in MLflow what DVC restored from its cache
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 1 after an error of the user's, which is one line."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    options = _parser().parse_args(arguments)
    try:
        existing(PARAMS)
        options.run(options)
    except (ValueError, OSError) as error:
        logging.error("error: %s", " ".join(str(error).split()))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m synthpairs",
        description=sys.modules["synthpairs"].__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    preset = commands.add_parser("preset", help="write the values of presets/NAME.yaml into params.yaml")
    preset.add_argument("name", metavar="NAME", help="a file of presets/, without .yaml")
    preset.add_argument("--as-flags", action="store_true", help="print `-S key=value ...` instead of writing")
    preset.set_defaults(run=_preset)

    compare = commands.add_parser("compare", help="say how revisions or experiments differ, and how sure that is")
    compare.add_argument(
        "revisions", metavar="REVISION[:ARM]", nargs="+",
        help="a git revision, a DVC experiment, or `workspace`; each is compared with the first",
    )  # fmt: skip
    compare.add_argument(
        "--arm", default="selected", help="whose answers, where no :ARM says so (default: %(default)s)"
    )
    compare.add_argument(
        "--out", metavar="FILE", help="write there, for instance reports/comparison.md, instead of printing"
    )
    compare.set_defaults(run=_compare)

    doctor = commands.add_parser(
        "doctor", help="say what is wrong with params, models or machine, before a run finds out"
    )
    doctor.set_defaults(run=_doctor)

    plan = commands.add_parser(
        "plan", help="say what a run takes: device-hours, disk, memory, money, smallest difference shown"
    )
    plan.add_argument("--captions", metavar="N", type=int, help="kept captions to expect, where none are curated yet")
    plan.add_argument("--gpu", help="A100, H100, H200, RTX4090, RTX3090, or cpu (default: by the size of the images)")
    plan.add_argument("--gpus", metavar="N", type=int, default=1, help="how many (default: %(default)s)")
    plan.add_argument("--price", metavar="P", type=float, help="price of one of them for an hour")
    plan.add_argument("--measure", action="store_true", help="time a few batches of images and scores here")
    plan.add_argument("--json", action="store_true", help="for machines: seconds and bytes")
    plan.set_defaults(run=_plan)

    preview = commands.add_parser("preview", help="paint and score a few captions beside the pipeline")
    preview.add_argument("captions", metavar="N", type=int, help="how many captions")
    preview.add_argument("--out", metavar="DIR", default="preview", help="where to (default: %(default)s)")
    preview.set_defaults(run=_preview)

    replay = commands.add_parser("replay", help="make one picture again and compare it with the stored one")
    replay.add_argument(
        "key", metavar="KEY", help="of a candidate, as the manifest and the gallery show it, or its start"
    )
    replay.add_argument("--out", metavar="FILE", help="keep the new picture there")
    replay.set_defaults(run=_replay)

    vote = commands.add_parser("vote", help="write a page that asks which images show their captions better, blind")
    vote.add_argument("--voter", metavar="NAME", default="", help="kept beside each vote; order and sides are theirs")
    vote.add_argument("--out", metavar="DIR", default="vote", help="where the page goes (default: %(default)s)")
    vote.add_argument("--add", metavar="FILE", nargs="+", default=[], help="take in files that the page has saved")
    vote.add_argument("--summary", action="store_true", help="say what the votes come to and whether judges agree")
    vote.set_defaults(run=_vote)

    clean = commands.add_parser("clean", help="free the space of unfinished work that no run takes up again")
    clean.add_argument("--all", action="store_true", help="also of work that a run would take up")
    clean.set_defaults(run=_clean)

    track = commands.add_parser("track", help="look after the runs in MLflow")
    actions = track.add_subparsers(metavar="ACTION", required=True)
    sync = actions.add_parser("sync", help="record what DVC restored from its cache, and every stage's hashes")
    sync.set_defaults(run=_sync)
    return parser


def _preset(options: argparse.Namespace) -> None:
    from synthpairs.cli import presets

    if options.as_flags:
        sys.stdout.write(presets.as_flags(options.name) + "\n")
        return
    changed = presets.apply(options.name)
    for key, value in changed.items():
        logging.info("%s: %s", key, value)
    logging.info("values changed in %s: %d; `git checkout params.yaml` takes them back", presets.PARAMS, len(changed))


def _compare(options: argparse.Namespace) -> None:
    from synthpairs.core.storage import write_bytes
    from synthpairs.report.comparison.page import compare
    from synthpairs.report.comparison.revisions import resolve

    named = [revision.partition(":") for revision in options.revisions]
    page = compare([(resolve(name), arm or options.arm) for name, _, arm in named])
    if options.out:
        write_bytes(Path(options.out), page.encode())
    else:
        sys.stdout.write(page)


def _doctor(options: argparse.Namespace) -> None:
    from synthpairs.cli.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "FAIL" if finding.fault else "warn" if finding.warning else "ok  "
        sys.stdout.write(f"{mark} {finding.what}\n")
        if reason := finding.fault or finding.warning:
            sys.stdout.write(f"     {reason}\n")
    if faults := sum(finding.fault is not None for finding in findings):
        raise ValueError(f"{faults} of {len(findings)} checks failed")


def _plan(options: argparse.Namespace) -> None:
    from synthpairs.cli.estimate.estimate import Machine, as_json, estimate, report
    from synthpairs.cli.estimate.work import read_run

    if options.captions is not None and options.captions < 1:
        raise ValueError(f"--captions must be at least 1, got {options.captions}")
    run = read_run(options.captions)
    machine = Machine(gpu=options.gpu or run.device, gpus=options.gpus, price=options.price)
    rates = {}
    if options.measure:
        from synthpairs.cli.measure_rates import measured

        rates = measured(*_images_and_scores(), Path("data"))
    rows = estimate(run, machine, rates)
    text = json.dumps(as_json(run, machine, rows), indent=2) + "\n" if options.json else report(run, machine, rows)
    sys.stdout.write(text)


def _images_and_scores() -> tuple[Images, Scores]:
    return load_params(Images, "images"), load_params(Scores, "scores")


def _preview(options: argparse.Namespace) -> None:
    from synthpairs.cli.preview import preview

    made = preview(options.captions, *_images_and_scores(), Path("data"), Path(options.out))
    means = ", ".join(f"{name} {made.rows[name].mean():.3f}" for name in ("clip_cosine", "ssim"))
    sys.stdout.write(
        f"{made.sheet}: {len(made.rows)} pictures, on average {means}\n"
        f"{made.painted} of them painted now; {made.seconds:.1f} s with loading the models\n"
    )


def _replay(options: argparse.Namespace) -> None:
    from synthpairs.core.storage import write_bytes
    from synthpairs.generation.diffusion.replay import replay

    again = replay(options.key, load_params(Images, "images"), Path("data/images"))
    if options.out:
        write_bytes(Path(options.out), again.picture)
    sameness = "the same bytes" if again.equal_bytes else "other bytes"
    sys.stdout.write(
        f"{again.key}: {again.text}\n{sameness}; colour values differ by {again.largest} at most, {again.mean:.4f} on average; "
        f"{again.share:.2%} of the pixels differ\n"
    )


def _vote(options: argparse.Namespace) -> None:
    from synthpairs.evaluation.preference.image_pairs import read_image_pairs
    from synthpairs.evaluation.preference.params import Preference
    from synthpairs.evaluation.preference.vote_page import read_saved_votes, write_vote_page
    from synthpairs.evaluation.preference.votes import VOTES, add_votes, read_votes
    from synthpairs.report.inputs import read_json
    from synthpairs.report.sections.votes import votes_summary

    params = load_params(Preference, "preference")
    if options.summary:
        results = read_json(Path("reports/preference.json"), "dvc repro preference", ["judges", "couples"])
        sys.stdout.write(votes_summary(read_votes(VOTES), results, params))
        return
    image_pairs = read_image_pairs(Path("data/preference"))
    if not options.add:
        page = write_vote_page(image_pairs, options.voter, params.seed, Path(options.out))
        sys.stdout.write(
            f"{page}: open it in a browser; `python -m synthpairs vote --add FILE` takes in what it saves\n"
        )
    for file, (votes, stale) in [(file, read_saved_votes(Path(file), image_pairs)) for file in options.add]:
        note = f"; {stale} are left out, as their image pairs are no longer drawn" if stale else ""
        sys.stdout.write(f"{file}: {add_votes(VOTES, votes)} new votes of {len(votes)} go to {VOTES}{note}\n")


def _clean(options: argparse.Namespace) -> None:
    from synthpairs.cli.clean import clean

    freed, kept = clean(options.all)
    for action, stores in (("freed", freed), ("kept", kept)):
        for store in stores:
            note = ", a run works in it" if store.in_use else ""
            sys.stdout.write(f"{action} {store.size / 2**20:,.1f} MiB: {store.path}{note}\n")
    total, left = (sum(store.size for store in stores) / 2**30 for stores in (freed, kept))
    sys.stdout.write(
        f"{total:.2f} GiB freed, {left:.2f} GiB kept; DVC's own cache is `dvc gc --workspace`'s to clean\n"
    )


def _sync(options: argparse.Namespace) -> None:
    from synthpairs.runtime.mlflow_sync import sync

    sync()


if __name__ == "__main__":
    sys.exit(main())
