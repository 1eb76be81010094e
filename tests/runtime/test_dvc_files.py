"""A dvc.lock or rwlock that is cut, as a kill of DVC leaves it, is named with what to type, and nothing else is."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from voluptuous import Invalid

from synthpairs.runtime.dvc_files import damaged_dvc_files
from tests.pipeline import ROOT
from tests.runtime.conftest import SECTION, run_as

PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")
PIPELINE = Path("dvc.yaml")


def git(*arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with the pipeline and its lock file committed; returns the text of the latter."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "dvc.lock"):
        shutil.copy(ROOT / name, tmp_path)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "run")
    return Path("dvc.lock").read_text()


def lines(params=PARAMS):
    return list(damaged_dvc_files(params, PIPELINE))


def stages(text):
    """The stages that DVC reads from a dvc.lock; None where it refuses to."""
    try:
        document = YAML(typ="safe").load(text)
        COMPILED_LOCKFILE_SCHEMA(document)
    except (YAMLError, Invalid):
        return None
    return set(document.get("stages", {}))


def test_a_lock_file_that_is_cut_is_named(project):
    """At any byte: if DVC refuses to read it, and if it reads fewer stages."""
    rng = random.Random(0)
    cuts = [rng.randrange(len(project)) for _ in range(20)]
    cuts += [len(project) - rng.randrange(2000) for _ in range(40)]  # within the last stage, of 2 kB
    found = set()
    for size in cuts:
        Path("dvc.lock").write_text(project[:size])
        read = stages(project[:size])
        if read is None or read < stages(project):
            (line,) = lines()
            assert re.match(r"dvc\.lock: .*: type `git checkout dvc\.lock`; then `dvc repro` ", line)
            found.add("cut" if "is cut" in line else "missing")
    assert found == {"cut", "missing"}
    git("checkout", "dvc.lock")
    assert lines() == []


@pytest.mark.parametrize("text", ["", "\0" * 4096, "{[", "schema: '2.0'\n"])
def test_a_lock_file_that_is_none_is_named(project, text):
    Path("dvc.lock").write_text(text)
    assert re.match(r"dvc\.lock: \d+ stages of the committed one are missing", lines()[0])


def test_a_lock_file_that_dvc_has_updated_is_not(project):
    """Stages that ran again are appended or have other hashes; new ones are not in the committed file."""
    body = re.sub(r"md5: \w", "md5: 0", project)
    Path("dvc.lock").write_text(f"{body}  further:\n    cmd: python -m stages.further\n")
    assert lines() == []


def test_stages_and_arms_that_the_pipeline_no_longer_has_are_not_missed(project):
    Path("dvc.lock").write_text(re.sub(r"^  gallery:\n(    .*\n)+", "", project, flags=re.MULTILINE))
    assert "(gallery ...)" in lines()[0]
    PIPELINE.write_text(PIPELINE.read_text().replace("  gallery:\n", "  show:\n"))
    assert lines() == []
    Path("dvc.lock").write_text(re.sub(r"^  \w+@random:\n(    .*\n)+", "", project, flags=re.MULTILINE))
    assert "3 stages" in lines()[0]
    assert lines(PARAMS | {"arms": ["selected", "real"]}) == []
    assert lines({"arms": 3}) == [], "params that are not valid have no arms"


def test_without_a_committed_lock_file_nothing_is_missed(project):
    Path("dvc.lock").write_text(project[:9000])
    assert lines()
    git("rm", "--quiet", "--cached", "dvc.lock")
    git("commit", "--quiet", "-m", "without")
    assert lines() == []
    shutil.rmtree(".git")
    assert lines() == []
    git("init", "--quiet")
    assert lines() == [], "there is no commit"


def test_a_lock_file_that_was_deleted_on_purpose_is_not_missed(project):
    Path("dvc.lock").unlink()
    assert lines() == []


@pytest.mark.parametrize("text", ["", '{"write": {"/a": {"pid"', "\0\0\0"])
def test_a_cut_rwlock_is_named(project, text):
    Path(".dvc/tmp").mkdir(parents=True)
    Path(".dvc/tmp/rwlock").write_text(text)
    assert lines() == [
        ".dvc/tmp/rwlock: it is cut, as after a kill while DVC wrote it, and DVC stops at it: type `rm .dvc/tmp/rwlock`"
    ]
    Path(".dvc/tmp/rwlock").write_text('{"write": {}, "read": {}}')
    assert lines() == []


def test_a_stage_warns_of_the_lock_file_of_its_pipeline(project, monkeypatch, caplog):
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    Path("params.yaml").write_text(f"emoji: {SECTION}")
    Path("other").mkdir()
    shutil.copy("dvc.yaml", "other")
    Path("other/dvc.lock").write_text(project)
    git("add", ".")
    git("commit", "--quiet", "-m", "another pipeline")
    Path("other/dvc.lock").write_text(project[:9000])
    run_as("gallery", monkeypatch)
    assert caplog.messages == []
    run_as("other/dvc.yaml:gallery", monkeypatch)
    assert [message.split(":")[0] for message in caplog.messages] == ["other/dvc.lock"]
