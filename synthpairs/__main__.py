"""Command line: `python -m synthpairs --help` lists the commands. The pipeline itself is `dvc repro`."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# Everything but the standard library is imported where it is used, so that `main` can say what is missing.
if TYPE_CHECKING:
    from synthpairs.generation.diffusion.params import Images
    from synthpairs.scoring.params import Scores

EXAMPLES = """examples:
  python -m synthpairs preset smoke                      write presets/smoke.yaml into params.yaml, then `dvc repro`
  python -m synthpairs preset smoke --as-flags           print it for `dvc exp run -n small $(...)`
  python -m synthpairs estimate --gpu H100 --gpus 8      hours, disk space and cost of a run
  python -m synthpairs preview 12                        images and scores of 12 captions, before a long run
  python -m synthpairs replay 0a1b2c                     the image of the candidate whose key begins so
  python -m synthpairs compare main chance               two revisions or DVC experiments on the same questions
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors that users can fix are one line and exit code 1."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it names every request to the hub
    options = _parser().parse_args(arguments)
    try:
        from synthpairs.core.config import require_file

        require_file()
        options.run(options)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "synthpairs":
            raise
        logging.error("error: no module named %s: run `make env`, then `. .venv/bin/activate`", error.name)
        return 1
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

    def command(run: Callable[[argparse.Namespace], None], name: str, summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    preset = command(_preset, "preset", "write the values of presets/NAME.yaml into params.yaml")
    preset.add_argument("name", metavar="NAME", help="a file of presets/, without .yaml")
    preset.add_argument("--as-flags", action="store_true", help="print `-S key=value ...` instead of writing")

    compare = command(_compare, "compare", "differences between revisions or experiments, with confidence intervals")
    compare.add_argument(
        "revisions", metavar="REVISION[:ARM]", nargs="+",
        help="git revision, DVC experiment or `workspace`; each is compared with the first",
    )  # fmt: skip
    compare.add_argument("--arm", default="selected", help="arm of revisions without :ARM (default: %(default)s)")
    compare.add_argument("--out", metavar="FILE", type=_file, help="write to a file, such as reports/comparison.md")

    command(_doctor, "doctor", "check params, models and machine")

    cost = command(
        _estimate, "estimate", "device-hours, disk, memory, cost and smallest detectable differences of a run"
    )
    cost.add_argument("--captions", metavar="N", type=int, help="expected number of kept captions")
    cost.add_argument("--gpu", help="A100, H100, H200, RTX4090, RTX3090, or cpu (default: by the size of the images)")
    cost.add_argument("--gpus", metavar="N", type=int, default=1, help="number of GPUs (default: %(default)s)")
    cost.add_argument("--price", metavar="P", type=float, help="price of one GPU-hour")
    cost.add_argument("--measure", action="store_true", help="time a few batches of images and scores here")
    cost.add_argument("--json", action="store_true", help="print JSON, in seconds and bytes")

    pickled = command(
        _safetensors, "safetensors", "convert a model's pickled weights, which are never loaded, to safetensors"
    )
    pickled.add_argument("model", metavar="MODEL", help="OWNER/NAME@REVISION of a hub model, or a directory")
    pickled.add_argument("out", metavar="DIR", type=_folder, help="new directory, for params to name, as models/NAME")

    preview = command(_preview, "preview", "generate and score images of a few captions, outside the pipeline")
    preview.add_argument("captions", metavar="N", type=int, help="number of captions")
    preview.add_argument("--out", metavar="DIR", type=_folder, default="preview", help="folder (default: %(default)s)")

    replay = command(_replay, "replay", "generate one image again and compare it with the stored one")
    replay.add_argument("key", metavar="KEY", help="key of a candidate (in manifest and gallery), or its beginning")
    replay.add_argument("--out", metavar="FILE", type=_file, help="write the new image there")

    vote = command(_vote, "vote", "write a page for blind votes on which image shows its caption better")
    vote.add_argument(
        "--voter", metavar="NAME", type=_name, default="", help="stored with each vote; seeds the order of the page"
    )
    vote.add_argument(
        "--out", metavar="DIR", type=_folder, default="vote", help="folder of the page (default: %(default)s)"
    )
    one = vote.add_mutually_exclusive_group()
    one.add_argument("--add", metavar="FILE", nargs="+", default=[], help="add votes from files that the page saved")
    one.add_argument("--summary", action="store_true", help="print results and agreement with the judges")

    clean = command(_clean, "clean", "delete cached work that no run can resume")
    clean.add_argument("--all", action="store_true", help="delete resumable work too")

    command(_mlflow_sync, "mlflow-sync", "record in MLflow what DVC restored, and all stages' hashes")
    return parser


def _file(text: str) -> Path:
    if Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{Path(text)} is a folder: name a file")
    return Path(text)


def _folder(text: str) -> Path:
    if Path(text).exists() and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file: name a folder")
    return Path(text)


def _name(text: str) -> str:
    if not text.isprintable():  # bytes that are not UTF-8, which no file of votes can hold; line breaks
        raise argparse.ArgumentTypeError(f"{text!r} is not printable UTF-8 text")
    return text


def _preset(options: argparse.Namespace) -> None:
    from synthpairs.cli import presets

    if options.as_flags:
        sys.stdout.write(presets.as_flags(options.name) + "\n")
        return
    changed = presets.apply(options.name)
    for key, value in changed.items():
        logging.info("%s: %s", key, value)
    logging.info("values changed in %s: %d; undo: `git checkout params.yaml`", presets.PARAMS, len(changed))
    logging.info(
        "`dvc repro` replaces the results in git too; undo after it: `git checkout params.yaml dvc.lock reports && dvc checkout`"
    )


def _compare(options: argparse.Namespace) -> None:
    from synthpairs.core.storage import write_bytes
    from synthpairs.report.comparison.page import compare
    from synthpairs.report.comparison.revisions import resolve

    parts = [revision.partition(":") for revision in options.revisions]
    page = compare([(resolve(name), arm or options.arm) for name, _, arm in parts])
    if options.out:
        write_bytes(options.out, page.encode())
    else:
        sys.stdout.write(page)


def _doctor(options: argparse.Namespace) -> None:
    from synthpairs.cli.doctor import check_all

    checks = check_all()
    for check in checks:
        status = "FAIL" if check.error else "warn" if check.warning else "ok  "
        sys.stdout.write(f"{status} {check.subject}\n")
        if reason := check.error or check.warning:
            sys.stdout.write(f"     {reason}\n")
    if failed := sum(check.error is not None for check in checks):
        raise ValueError(f"{failed} {'thing' if failed == 1 else 'things'} to mend: see FAIL above")
    sys.stdout.write("ready: `dvc repro`\n")


def _estimate(options: argparse.Namespace) -> None:
    from synthpairs.cli.estimate.estimate import Machine, as_json, estimate, report
    from synthpairs.cli.estimate.rates import CPU, GPUS
    from synthpairs.cli.estimate.work import read_run

    if options.captions is not None and options.captions < 1:
        raise ValueError(f"--captions must be at least 1, got {options.captions}")
    run = read_run(options.captions)
    gpu = run.device if options.gpu is None else options.gpu
    gpu = next((name for name in (CPU, *GPUS) if name.lower() == gpu.lower()), gpu)
    machine = Machine(gpu=gpu, gpus=options.gpus, price=options.price)
    rates = {}
    if options.measure:
        from synthpairs.cli.estimate.measure import measured_rates

        rates = measured_rates(*_images_and_scores(), Path("data"))
    rows = estimate(run, machine, rates)
    text = json.dumps(as_json(run, machine, rows), indent=2) + "\n" if options.json else report(run, machine, rows)
    sys.stdout.write(text)


def _images_and_scores() -> "tuple[Images, Scores]":
    from synthpairs.core.config import load_params
    from synthpairs.generation.diffusion.params import Images
    from synthpairs.scoring.params import Scores

    return load_params(Images, "images"), load_params(Scores, "scores")


def _preview(options: argparse.Namespace) -> None:
    from synthpairs.cli.preview import preview
    from synthpairs.core.schema import PAIR_SCORES

    result = preview(options.captions, *_images_and_scores(), Path("data"), options.out)
    means = ", ".join(f"{name} {result.rows[name].mean():.3f}" for name in PAIR_SCORES)
    sys.stdout.write(
        f"{result.sheet}: {len(result.rows)} images, means: {means}\n"
        f"{result.generated} of them generated now; {result.seconds:.1f} s, loading of models included\n"
    )


def _replay(options: argparse.Namespace) -> None:
    from synthpairs.core.storage import write_bytes
    from synthpairs.generation.diffusion.replay import replay

    again = replay(options.key, _images_and_scores()[0], Path("data/images"))
    if options.out:
        write_bytes(options.out, again.picture)
    sys.stdout.write(
        f"{again.key}: {again.text}\n{'the same bytes' if again.equal_bytes else 'other bytes'}; {again.share:.2%} of the "
        f"pixels differ, colour values by at most {again.largest}, {again.mean:.4f} on average\n"
    )


def _vote(options: argparse.Namespace) -> None:
    from synthpairs.core.config import load_params
    from synthpairs.core.storage import read_json
    from synthpairs.evaluation.preference.image_pairs import read_image_pairs
    from synthpairs.evaluation.preference.params import Preference
    from synthpairs.evaluation.preference.vote_page import read_saved_votes, write_vote_page
    from synthpairs.evaluation.preference.votes import VOTES, add_votes, read_votes
    from synthpairs.report.sections.votes import votes_summary

    params = load_params(Preference, "preference")
    if options.summary:
        results = read_json(Path("reports/preference.json"), "dvc repro preference", ["judges", "couples"])
        sys.stdout.write(votes_summary(read_votes(VOTES), results, params))
        return
    image_pairs = read_image_pairs(Path("data/preference"))
    if not options.add:
        if not image_pairs:  # the page would thank for votes that nobody gave
            raise ValueError(
                f"data/preference is empty: no caption has an image in both arms, real and {params.synthetic}; set arms, "
                "preference.synthetic or select.num_pairs in params.yaml and run `dvc repro preference`"
            )
        page = write_vote_page(image_pairs, options.voter, params.seed, options.out)
        sys.stdout.write(f"{page}: open it in a browser; add what it saves by `python -m synthpairs vote --add FILE`\n")
    for file, (votes, stale) in [(file, read_saved_votes(Path(file), image_pairs)) for file in options.add]:
        note = f"; {stale} skipped, because their image pairs are no longer in data/preference" if stale else ""
        sys.stdout.write(f"{file}: {add_votes(VOTES, votes)} of {len(votes)} votes are new in {VOTES}{note}\n")


def _safetensors(options: argparse.Namespace) -> None:
    from synthpairs.models.pickled_weights import convert_pickles

    convert_pickles(options.model, options.out)
    sys.stdout.write(f"{options.out}: name it in params.yaml in place of {options.model}\n")


def _clean(options: argparse.Namespace) -> None:
    from synthpairs.cli.clean import clean

    freed, kept = clean(options.all)
    for action, stores in (("freed", freed), ("kept", kept)):
        for store in stores:
            note = ", in use by a run" if store.in_use else ""
            sys.stdout.write(f"{action} {store.size / 2**20:,.1f} MiB: {store.path}{note}\n")
    total, left = (sum(store.size for store in stores) / 2**30 for stores in (freed, kept))
    sys.stdout.write(f"{total:.2f} GiB freed, {left:.2f} GiB kept; for DVC's own cache: `dvc gc --workspace`\n")


def _mlflow_sync(options: argparse.Namespace) -> None:
    from synthpairs.runtime.mlflow_sync import sync

    sync()


if __name__ == "__main__":
    sys.exit(main())
