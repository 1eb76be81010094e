"""Tiny random models of the real classes, made once per session, and processes that tests start and kill."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before its client is imported: tests ask no network

from synthpairs.models.language.server import Server
from tests.chat import ChatServer

collect_ignore = ["flows", "hostile", "rehearsal"]  # they take minutes; make names each folder, so that it is collected


def pytest_collection_modifyitems(items):
    """Flows and rehearsals wait for the whole pipeline."""
    for item in items:
        if item.path.parent.name in ("flows", "rehearsal"):
            item.add_marker(pytest.mark.timeout(3000))


@pytest.fixture(scope="session")
def tiny_generator(tmp_path_factory):
    """Directory of a StableDiffusionXLPipeline with one text encoder: 0.2M parameters, images of 32 pixels."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionXLPipeline
    from transformers import CLIPTextModelWithProjection

    from tests.generation.diffusion import tiny

    folder = tmp_path_factory.mktemp("tiny_generator")
    torch.manual_seed(0)
    StableDiffusionXLPipeline(
        unet=tiny.unet(32, 6), vae=tiny.vae(), text_encoder=None, tokenizer=None,
        text_encoder_2=CLIPTextModelWithProjection(tiny.clip_config(intermediate_size=64)), tokenizer_2=tiny_tokenizer(),
        scheduler=DDIMScheduler(prediction_type="v_prediction", clip_sample=False), add_watermarker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    """Directory of an open_clip model (for `local-dir:`) with its tokenizer: images of 16 pixels, 64 tokens."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tiny_clip")
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(folder)
    image = {"image_size": 16, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
    text = {"context_length": 64, "vocab_size": len(tokenizer), "width": 32, "heads": 2, "layers": 2}
    torch.manual_seed(0)
    model = open_clip.CLIP(embed_dim=16, vision_cfg=image, text_cfg=text)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    config = {"embed_dim": 16, "vision_cfg": image}
    config["text_cfg"] = text | {"hf_tokenizer_name": "clip", "tokenizer_kwargs": {"clean": "lower"}}
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    return folder


@pytest.fixture
def chat_server():
    with serving(ChatServer()) as server:
        yield server
        server.hung.set()


@pytest.fixture
def loopback_hub(tmp_path, monkeypatch):
    """A model hub that this process's clients ask, with a cache in the test's directory."""
    from tests.hub import Hub

    with serving(Hub()) as hub:
        hub.install(monkeypatch, tmp_path / "hub_cache")
        yield hub


@pytest.fixture
def connection(chat_server, tmp_path):
    """Client settings for the chat server, with short timeouts."""
    values = {"concurrency": 4, "timeout_s": 2.0, "attempts": 4, "first_wait_s": 0.01}
    return Server(url=chat_server.url, key="sesame", cache=tmp_path / "cache", **values)


@pytest.fixture
def project_root(tmp_path, monkeypatch):
    """Makes the test's directory a project with these sections of params.yaml, in which stages run."""

    def make(**sections):
        (tmp_path / "params.yaml").write_text(json.dumps(sections))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DVC_ROOT", str(tmp_path))
        monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
        monkeypatch.delenv("SYNTHPAIRS_LLM_CACHE", raising=False)
        return tmp_path

    return make


@pytest.fixture
def edit_code(monkeypatch):
    """Changes the hash of the source code."""
    return lambda: monkeypatch.setattr("synthpairs.core.storage.source_hash", lambda program=None: "0" * 64)


@contextlib.contextmanager
def serving(server):
    """The server, which answers in a thread until the context ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    with server:
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def tiny_tokenizer():
    """A CLIP tokenizer without merges: one token per letter, 64 at most."""
    from open_clip.tokenizer import bytes_to_unicode
    from transformers import CLIPTokenizer

    letters = list(bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=64)


def start_python(program, **options):
    """Start a Python program that imports from this repository."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", program], env=environment, **options)


def run_python(program, limit=None, **options):
    """A finished Python program with what it printed; `limit`: bytes at which its files' writes fail, as on a full disk."""
    full = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n" if limit else ""
    process = start_python(
        full + textwrap.dedent(program), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def killed_with_work(program, work, pieces=1):
    """Run a program until its work store holds so many pieces, kill it and check that its workers end; returns the pieces."""
    killed = start_python(program)
    while len(list(work.glob("*/*/*.tar"))) < pieces:
        assert killed.poll() is None, "ended before so many batches were stored"
        time.sleep(0.002)
    workers = children(killed.pid)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    stored = sorted(work.glob("*/*/*.tar"))
    wait_for_end(workers)
    assert sorted(work.glob("*/*/*.tar")) == stored, "something was written after the kill"
    return stored


def kill_with_workers(parent):
    """Kill a process that has started workers, and check that they end."""
    deadline = time.monotonic() + 60
    while not (workers := children(parent.pid)):
        assert parent.poll() is None, "ended without workers"
        assert time.monotonic() < deadline, "no workers"
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    wait_for_end(workers)


def wait_for_end(pids):
    """Fail if a process still runs after twenty seconds, and kill it."""
    deadline = time.monotonic() + 20
    while running := [pid for pid in pids if alive(pid)]:
        if time.monotonic() > deadline:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"orphans: {len(running)} of {len(pids)}")
        time.sleep(0.05)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
