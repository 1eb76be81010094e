"""Pictures made ready: the same in threads, in processes and on their way to a GPU; broken ones alone are told."""

import subprocess

import pytest
import torch
from synthpairs.scoring.opening import Opened, opened, openers, worker_processes

from synthpairs.models.clip import ClipScorer
from synthpairs.scoring.batched import self_similarities
from synthpairs.scoring.params import Ssim
from tests.conftest import kill_with_workers, start_python
from tests.scoring.conftest import SSIM, photo, png

SPEC = Ssim(**SSIM)
PROGRAM = f"""
import time
from synthpairs.scoring.opening import openers
from synthpairs.scoring.params import Ssim
with openers(print, Ssim(**{SSIM}), False, 1) as begin:
    begin([None])[0].result()
    print("ready", flush=True)
    time.sleep(100)
"""


def test_threads_and_processes_give_the_same(settings):
    params = settings()
    scorer = ClipScorer("scores", params.clip, None, prefix="", precision="fp32", batch=4)
    payloads = [*(png(photo(side, seed=side)) for side in (40, 64, 50)), b"no picture", None]
    results = []
    for processes in (0, 2):
        with openers(scorer.preprocess, SPEC, False, processes) as begin:
            results.append([future.result() for future in begin(payloads)])
    threads, processes = results
    assert threads[3:] == processes[3:]
    assert threads[3].startswith("UnidentifiedImageError: ")
    for one, other in zip(threads[:3], processes[:3], strict=True):
        assert one.ssim == other.ssim
        assert (one.view == other.view).all()


def test_for_a_gpu_the_pixels_are_kept_and_small_pictures_told():
    def view(picture):
        return torch.zeros(3, 2, 2)

    picture = photo(64, seed=1)
    here, there = (opened(png(picture), view, SPEC, on_gpu) for on_gpu in (False, True))
    assert isinstance(here, Opened)
    assert isinstance(there, Opened)
    assert (here.pixels, there.ssim) == (None, None)
    assert self_similarities(torch.from_numpy(there.pixels)[None], SPEC).item() == pytest.approx(here.ssim, abs=2e-6)
    small = png(photo(6, seed=0))
    assert opened(small, view, SPEC, True) == opened(small, view, SPEC, False)
    assert "at least 7 x 7 pixels, got 6 x 6" in opened(small, view, SPEC, True)


def test_processes_are_for_many_pictures_and_cores(monkeypatch):
    cases = [
        (2, 1_000_000, False, 0),
        (2, 1_000_000, True, 2),
        (2, 9, True, 0),
        (16, 1_000_000, False, 16),
        (16, 741, False, 0),
    ]
    for cores, pictures, on_gpu, processes in cases:
        monkeypatch.setattr("os.sched_getaffinity", lambda process, cores=cores: set(range(cores)), raising=False)
        assert worker_processes(pictures, on_gpu) == processes


def test_a_killed_process_leaves_none_of_its_openers():
    with start_python(PROGRAM, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout.readline() == "ready\n"
        kill_with_workers(killed)
