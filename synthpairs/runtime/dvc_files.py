"""Damage to the files that DVC writes in place, `dvc.lock` and `.dvc/tmp/rwlock`, as a kill meanwhile leaves it: cut files.

DVC reads a dvc.lock that is cut between two values as if the stages behind the cut had never run.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synthpairs.runtime.git import git_output

_STAGE = re.compile(r"^  (\S+):$", re.MULTILINE)


def arm_names(params: Mapping[str, Any]) -> list[str]:
    """Names of the arms of both routes as params.yaml lists them, unchecked."""
    lists = params.get("arms"), params.get("token_arms")
    return [str(arm) for names in lists if isinstance(names, list) for arm in names]


def damaged_dvc_files(params: Mapping[str, Any], *pipelines: Path) -> Iterator[str]:
    """A line for each damaged file of DVC, with what to type. `params` are those of params.yaml, `pipelines` files dvc.yaml.

    The dvc.lock of a pipeline is damaged if it lacks stages that the committed one and the pipeline have, or if its last
    stage, where a cut would be, is not whole. Without a committed one there is nothing to compare with, or to go back to.
    """
    for pipeline in pipelines:
        lock = pipeline.with_suffix(".lock")
        committed = git_output("show", f"HEAD:./{lock.as_posix()}") if lock.exists() and pipeline.exists() else ""
        text = lock.read_text(encoding="utf-8", errors="replace").strip() if committed else ""
        if text == committed:
            continue
        declared, present = _STAGE.findall(pipeline.read_text(encoding="utf-8")), _STAGE.findall(text)
        expected = {f"{name}{arm and '@'}{arm}" for name in declared for arm in ("", *arm_names(params))}
        lost = [name for name in _STAGE.findall(committed) if name in expected.difference(present)]
        if lost or not _ends_whole(text):
            what = f"{len(lost)} stages of the committed one are missing ({lost[0]} ...)" if lost else "it is cut"
            yield (
                f"{lock}: {what}, as after a kill while DVC wrote it: type `git checkout {lock}`; then `dvc repro` takes "
                "what was made since from its cache"
            )
    locks = Path(os.environ.get("DVC_ROOT", "."), ".dvc/tmp/rwlock")
    try:
        json.loads(locks.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError:
        yield f"{locks}: it is cut, as after a kill while DVC wrote it, and DVC stops at it: type `rm {locks}`"


def _ends_whole(text: str) -> bool:
    """Whether the last stage of a dvc.lock is one that DVC accepts."""
    from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA  # 0.2 s, for a changed file alone
    from voluptuous import Invalid

    try:
        (stage,) = YAML(typ="safe").load(re.split(r"^(?=  \S)", text, flags=re.MULTILINE)[-1]).values()
        return bool(COMPILED_LOCK_FILE_STAGE_SCHEMA(stage))
    except (YAMLError, Invalid, AttributeError, TypeError, ValueError):
        return False
