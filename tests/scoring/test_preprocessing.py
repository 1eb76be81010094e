"""Preprocessing is the same in threads, in processes and for a GPU; broken pictures give messages."""

import subprocess

import pytest
import torch

from synthpairs.models.clip import ClipScorer
from synthpairs.scoring.gpu_ssim import self_similarities
from synthpairs.scoring.params import Ssim
from synthpairs.scoring.preprocessing import Preprocessed, num_processes, preprocess, preprocessors
from tests.conftest import kill_with_workers, start_python
from tests.scoring.conftest import SSIM, photo, png

SPEC = Ssim(**SSIM)
PROGRAM = f"""
import time
from synthpairs.scoring.preprocessing import preprocessors
from synthpairs.scoring.params import Ssim
with preprocessors(print, Ssim(**{SSIM}), False, 1) as submit:
    submit([None])[0].result()
    print("ready", flush=True)
    time.sleep(100)
"""


def test_threads_and_processes_give_the_same(settings):
    params = settings()
    scorer = ClipScorer("scores", params.clip, None, prefix="", precision="fp32", batch=4)
    payloads = [*(png(photo(side, seed=side)) for side in (40, 64, 50)), b"no picture", None]
    results = []
    for processes in (0, 2):
        with preprocessors(scorer.preprocess, SPEC, False, processes) as submit:
            results.append([future.result() for future in submit(payloads)])
    threads, processes = results
    assert threads[3:] == processes[3:]
    assert threads[3].startswith("UnidentifiedImageError: ")
    for one, other in zip(threads[:3], processes[:3], strict=True):
        assert one.ssim == other.ssim
        assert (one.view == other.view).all()


def test_for_a_gpu_the_pixels_are_kept_and_small_pictures_are_errors_too():
    def preprocessed(side):
        payload = png(photo(side, seed=1))
        return [preprocess(payload, lambda _: torch.zeros(3, 2, 2), SPEC, on_gpu) for on_gpu in (False, True)]

    on_cpu, on_gpu = preprocessed(64)
    assert isinstance(on_cpu, Preprocessed)
    assert isinstance(on_gpu, Preprocessed)
    assert (on_cpu.pixels, on_gpu.ssim) == (None, None)
    ssim = self_similarities(torch.from_numpy(on_gpu.pixels)[None], SPEC).item()
    assert ssim == pytest.approx(on_cpu.ssim, abs=2e-6)
    on_cpu, on_gpu = preprocessed(6)
    assert on_cpu == on_gpu
    assert "at least 7 x 7 pixels, got 6 x 6" in on_gpu


@pytest.mark.parametrize(
    ("cores", "pictures", "gpu", "processes"),
    [(2, 10**6, False, 0), (2, 10**6, True, 2), (2, 9, True, 0), (16, 10**6, False, 16), (16, 741, False, 0)],
)
def test_processes_are_for_many_pictures_and_cores(monkeypatch, cores, pictures, gpu, processes):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert num_processes(pictures, gpu) == processes


def test_worker_processes_end_with_a_killed_parent():
    with start_python(PROGRAM, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout.readline() == "ready\n"
        kill_with_workers(killed)
