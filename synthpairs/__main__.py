"""The project's commands for people; `python -m synthpairs --help` lists them. The pipeline itself is `dvc repro`."""

import argparse
import logging
import sys
from collections.abc import Sequence

EXAMPLES = """examples:
  python -m synthpairs preset smoke                write presets/smoke.yaml into params.yaml, then `dvc repro`
  python -m synthpairs preset smoke --as-flags     print it for `dvc exp run -n small $(...)`
  python -m synthpairs track sync                  record in MLflow what DVC restored from its cache
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 1 after an error of the user's, told in one line."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    options = _parser().parse_args(arguments)
    try:
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

    track = commands.add_parser("track", help="look after the runs in MLflow")
    actions = track.add_subparsers(metavar="ACTION", required=True)
    sync = actions.add_parser("sync", help="record what DVC restored from its cache, and every stage's hashes")
    sync.set_defaults(run=_sync)
    return parser


def _preset(options: argparse.Namespace) -> None:
    from synthpairs import presets

    if options.as_flags:
        sys.stdout.write(presets.as_flags(options.name) + "\n")
        return
    changed = presets.apply(options.name)
    for key, value in changed.items():
        logging.info("%s: %s", key, value)
    logging.info("values changed in %s: %d; `git checkout params.yaml` takes them back", presets.PARAMS, len(changed))


def _sync(options: argparse.Namespace) -> None:
    from synthpairs.sync import sync

    sync()


if __name__ == "__main__":
    sys.exit(main())
