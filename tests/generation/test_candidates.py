"""Candidates are byte-identical for any workers and after any kills; a bad caption fails alone."""

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.core.schema import CANDIDATES, caption_uid, noise_seed
from synthpairs.core.storage import read_shard
from synthpairs.generation import candidates
from synthpairs.generation.batch import files_hash
from synthpairs.generation.candidates import make_candidates
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.masked.make import make_token_grids
from tests.conftest import children, killed_with_work, start_python
from tests.generation.conftest import captions_of, contents
from tests.generation.diffusion.conftest import settings as images  # noqa: F401
from tests.generation.masked.conftest import settings as embed  # noqa: F401
from tests.generation.masked.conftest import tiny_masked  # noqa: F401
from tests.generation.scribbles import Scribbles, inconsistent_spec, scribble_spec

TEXTS = [f"scribble {number}" for number in range(14)]


def made(out, texts=TEXTS, **settings):
    return make_candidates(captions_of(texts), partial(scribble_spec, Scribbles(**settings)), out)


def manifests(folder, *names):
    return [pd.read_parquet(folder / name / "manifest.parquet") for name in names]


def descriptions(folder, *names):
    return [json.loads((folder / name / "generator.json").read_text()) for name in names]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The test's folder, with a work store in `here`."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "here"))
    return tmp_path


def use(monkeypatch, root, **settings):
    """Another work store, and settings of the engine."""
    monkeypatch.setenv("DVC_ROOT", str(root))
    for name, value in settings.items():
        monkeypatch.setenv(f"SYNTHPAIRS_{name.upper()}", str(value))


def test_any_number_of_workers_gives_the_same_bytes(project, monkeypatch):
    made(project / "good")
    use(monkeypatch, project / "first")
    texts = [*TEXTS[:6], "bad egg", *TEXTS[6:]]
    metrics, _ = made(project / "alone", texts, max_failed_share=0.1)
    assert metrics == {"captions": 15, "candidates": 30, "made": 28, "failed": 2, "prompts_truncated": 0}
    failed = pd.read_parquet(project / "alone/failed.parquet")
    assert failed["key"].is_monotonic_increasing
    assert set(failed["error"]) == {"RuntimeError: cannot draw this"}
    good, rest = manifests(project, "good", "alone")
    assert good.equals(rest), "other candidates in the batch of a bad caption are unchanged"
    for workers in (1, 3):
        use(monkeypatch, project / f"{workers}", workers=workers)
        assert made(project / f"out{workers}", texts, max_failed_share=0.1) == (metrics, {"reused": 0})
        assert contents(project / f"out{workers}") == contents(project / "alone")
    use(monkeypatch, project / "first")
    _, volatile = made(project / "reused", texts, max_failed_share=0.1)
    assert volatile == {"reused": 28}, "workers reuse what this process made"
    assert contents(project / "reused") == contents(project / "alone")
    message = r"\d of \d+ scribbles failed, more than scribbles.max_failed_share .* cannot draw"
    with pytest.raises(ValueError, match=message):
        made(project / "strict", ["bad egg"])
    assert not (project / "strict").exists()


def test_neither_batch_nor_shard_nor_order_changes_a_key_or_its_noise(project):
    made(project / "out")
    made(project / "other", TEXTS[::-1], batch_size=3, samples_per_shard=5)
    one, two = (table.drop(columns="shard") for table in manifests(project, "out", "other"))
    assert one.equals(two)
    assert one["sha256"].is_unique
    rows = one.set_index("key")
    for shard in [*(project / "out").glob("*.tar"), *(project / "other").glob("*.tar")]:
        for key, files in read_shard(shard):
            expected = files["txt"].decode(), hashlib.sha256(files["png"]).hexdigest()
            assert (rows["text"][key], rows["sha256"][key]) == expected


PROGRAM = """
from functools import partial
from pathlib import Path
from synthpairs.generation.candidates import make_candidates
from tests.generation.scribbles import Scribbles, scribble_spec
from tests.generation.test_candidates import TEXTS, captions_of
make_candidates(captions_of(TEXTS), partial(scribble_spec, Scribbles(batch_size=1, seconds=0.05)), Path({out!r}))
"""


@pytest.mark.slow
def test_runs_and_workers_killed_at_random_change_nothing(project, monkeypatch):
    made(project / "undisturbed", batch_size=1)
    use(monkeypatch, project / "killed", workers=2)
    program, work = PROGRAM.format(out=str(project / "out")), project / "killed/.dvc/tmp/work/scribbles"
    stored = 0
    for _ in range(3):  # the run
        stored = len(killed_with_work(program, work, stored + random.randint(1, 5)))
        assert stored < 28
    assert not (project / "out").exists()
    run = start_python(program, stderr=subprocess.PIPE, text=True)
    for _ in range(2):  # single workers
        stored += random.randint(1, 3)
        while len(list(work.glob("*/*/*.tar"))) < stored and run.poll() is None:
            time.sleep(0.002)
        workers = [child for child in children(run.pid) if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
        if workers:
            os.kill(random.choice(workers), signal.SIGKILL)
    output = run.stderr.read()
    assert run.wait() == 0, output
    assert "signal 9 (SIGKILL)" in output
    assert contents(project / "out") == contents(project / "undisturbed")


def test_captions_that_kill_workers_fail_and_are_not_tried_again(project, monkeypatch, caplog):
    made(project / "good", TEXTS[:5], candidates=1)
    use(monkeypatch, project / "bad", workers=1, tries=1)
    texts, settings = ["deadly dull", *TEXTS[:5]], {"candidates": 1, "max_failed_share": 0.2}
    metrics, _ = made(project / "out", texts, **settings)
    assert (metrics["made"], metrics["failed"]) == (5, 1)
    (row,) = pd.read_parquet(project / "out/failed.parquet").to_dict("records")
    assert row["uid"] == caption_uid("deadly dull", "model")
    assert row["error"] == "1 workers ended over it, the last by signal 9 (SIGKILL)"
    good, rest = (table.drop(columns="shard") for table in manifests(project, "good", "out"))
    assert good.equals(rest), "other candidates in its batch are unchanged"
    caplog.clear()
    assert made(project / "again", texts, **settings) == (metrics, {"reused": 5})
    assert contents(project / "again") == contents(project / "out")
    assert "1 scribbles are not tried again" in caplog.text
    assert "worker 0 ended" not in caplog.text


def test_on_out_of_memory_the_batch_size_is_halved(project, monkeypatch, caplog):
    made(project / "plenty")
    use(monkeypatch, project / "there")
    metrics, _ = made(project / "short", memory=1)
    assert (metrics["made"], metrics["failed"]) == (28, 0)
    assert caplog.text.count("memory is short") == 1
    plenty, short = descriptions(project, "plenty", "short")
    assert short == plenty | {"smallest_batch": 1}
    made(project / "again")
    assert contents(project / "again") == contents(project / "short"), "the batch size of reused candidates is recorded"
    use(monkeypatch, project / "elsewhere")
    with pytest.raises(ValueError, match=r"max_failed_share .*: OutOfMemoryError: CUDA out of memory"):
        made(project / "none", memory=0)


def test_settings_that_change_low_bits_are_recorded_and_reuse_nothing(project, monkeypatch):
    made(project / "plain")
    use(monkeypatch, project / "here", channels_last="true")
    assert made(project / "other")[1] == {"reused": 0}
    plain, other = descriptions(project, "plain", "other")
    assert other == plain | {"channels_last": True}


def test_a_broken_accelerator_costs_a_worker_and_a_differing_worker_ends_the_run(project, monkeypatch, caplog):
    use(monkeypatch, project / "there", workers=1)
    metrics, _ = made(project / "out", [f"breaking {project}/broken", *TEXTS[:3]])
    assert (metrics["made"], metrics["failed"]) == (8, 0)
    assert "worker 0 ended (exit code 1)" in caplog.text
    with pytest.raises(ValueError, match=r"a worker would make other scribbles than those that were planned"):
        make_candidates(captions_of(TEXTS), partial(inconsistent_spec, Scribbles()), project / "out")


def test_damaged_pieces_are_made_again(project):
    made(project / "out")
    whole = contents(project / "out")
    pieces = sorted((project / "here/.dvc/tmp/work/scribbles").glob("*/*/*.tar"))
    payload = bytearray(pieces[0].read_bytes())
    payload[700] ^= 1  # inside the first picture
    zeros = bytes(pieces[3].stat().st_size)
    for piece, damaged in zip(pieces, (payload, b"", pieces[2].read_bytes()[:1024], zeros), strict=False):
        piece.write_bytes(damaged)
    (pieces[0].parent / "smallest_batch.json").touch()
    for piece, listed in zip(pieces[4:], ("{}", '{"keys": 3, "stat": []}', "[]"), strict=True):
        piece.with_suffix(".tar.json").write_text(listed)  # these pieces are whole
    made(project / "other", ["another scribble"])
    assert all(listed.with_suffix("").exists() for listed in pieces[0].parent.glob("*.tar.json"))
    assert made(project / "out")[1] == {"reused": 28 - 4 * 4}
    assert contents(project / "out") == whole


def test_pieces_as_they_were_listed_are_not_hashed_again(project, monkeypatch):
    """Neither those that were listed when they were made nor those that were when they were checked."""
    made(project / "out")
    whole = contents(project / "out")
    hashed = []
    monkeypatch.setattr(candidates, "files_hash", lambda files: hashed.append(files) or files_hash(files))
    for touched, count in ((False, 0), (True, 4), (False, 0)):
        piece = min((project / "here/.dvc/tmp/work/scribbles").glob("*/*/*.tar"))
        if touched:
            piece.touch()
        assert made(project / "out")[1] == {"reused": 28}
        assert len(hashed) == count
        hashed.clear()
    assert contents(project / "out") == whole


@pytest.fixture(params=["images", "hard", "soft"])
def stage(request, images, embed):  # noqa: F811
    """Package, function and params of each stage that makes candidates."""
    if request.param == "images":
        return "diffusion", make_images, images()
    return "masked", make_token_grids, embed(vectors=request.param)


def test_manifest_and_shards_of_every_stage_agree(stage, captions, tmp_path):
    package, make, params = stage
    metrics, volatile = make(captions, params, tmp_path / "out")
    assert metrics == {"captions": 8, "candidates": 16, "made": 16, "failed": 0, "prompts_truncated": 0}
    assert volatile == {"reused": 0}
    (manifest,), (generator,) = manifests(tmp_path, "out"), descriptions(tmp_path, "out")
    assert list(manifest.columns) == CANDIDATES.names
    assert manifest["key"].is_monotonic_increasing
    assert manifest["seed"].is_unique
    assert manifest["seed"].tolist() == manifest["key"].map(noise_seed).tolist()
    assert manifest["sha256"].is_unique, "two candidates have the same noise"
    assert manifest.groupby("uid")["number"].agg(sorted).tolist() == [[0, 1]] * 8
    assert set(manifest["generator"]) == {generator["fingerprint"]}
    samples = {path.name: dict(read_shard(path)) for path in (tmp_path / "out").glob("shard-*.tar")}
    assert sum(map(len, samples.values())) == len(manifest)
    soft = getattr(params, "vectors", "hard") == "soft"
    extensions = ["png"] if package == "diffusion" else ["tokens", "vectors"] if soft else ["tokens"]
    for row in manifest.itertuples():
        files = samples[row.shard][row.key]
        assert set(files) == {*extensions, "txt", "json"}
        assert files["txt"].decode() == row.text
        assert caption_uid(row.text, "model") == row.uid
        assert hashlib.sha256(b"".join(files[extension] for extension in extensions)).hexdigest() == row.sha256
        document = json.loads(files["json"])
        assert (document["key"], document["uid"], document["number"]) == (row.key, row.uid, row.number)


def test_every_stage_writes_the_same_bytes_until_its_recipe_changes(stage, captions, tmp_path, monkeypatch, edit_code):
    package, make, params = stage
    make(captions, params, tmp_path / "one")
    first = set(pd.read_parquet(tmp_path / "one/manifest.parquet")["key"])
    edit_code()
    assert make(captions, params, tmp_path / "one")[1] == {"reused": len(first)}
    use(monkeypatch, tmp_path / "elsewhere")
    make(captions.sample(frac=1, random_state=1), params, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    for module in ("generator", "make"):
        monkeypatch.setattr(f"synthpairs.generation.{package}.{module}.RECIPE", 2)
    assert make(captions, params, tmp_path / "two")[1] == {"reused": 0}
    assert first.isdisjoint(pd.read_parquet(tmp_path / "two/manifest.parquet")["key"])
