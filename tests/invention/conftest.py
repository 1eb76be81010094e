"""A tiny random language model of few words, a section of params for it, and a server on loopback that answers as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from synthpairs.invention.params import ImageNet, Invent, Local, Prompt, Replies
from synthpairs.language.params import Sampling, Served
from synthpairs.language.server import Server
from tests.captions.tiny import save_llama

WORLD = ["cat", "dog", "bus", "cherries"]


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a tiny random language model that knows a few words only, and so happens on captions now and then."""
    words = ["<unk>", "<|im_start|>", "<|im_end|>", *WORLD, "A", "a", "the", "red", "on", "in", "sits"]
    raw = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return save_llama(tmp_path_factory.mktemp("llm"), raw, words[:3], initializer_range=0.1)


@pytest.fixture
def settings(language_model: Path) -> Callable[..., Invent]:
    """Section `invent` with the tiny model."""
    params = Invent(
        seed=0,
        banks=["world"],
        imagenet=ImageNet(subset="imagenet-1k", classes=None, people=False),
        per_class=3,
        prompt=Prompt(
            system="You write captions.",
            request="Write one caption of {words} words. Subject: {name}.",
            slots={},
            examples=[{"name": "fox", "caption": "A fox on a hill"}],
            words=6,
        ),
        replies=Replies(words_min=2, words_max=12),
        balance=None,
        engine="local",
        local=Local(llm=str(language_model), batch=4, repetition_penalty=1.2),
        server=Served(model="pinned-1", extra={"top_k": 50.0, "presence_penalty": 0.5}),
        sampling=Sampling(temperature=1.0, top_p=0.95, top_k=50, max_new_tokens=16),
        max_failed_share=0.0,
    )
    return lambda **changed: replace(params, **changed)


class ChatServer(ThreadingHTTPServer):
    """Speaks the chat protocol: `script` maps what is asked about to what happens first, one step an attempt.

    A step is a status with headers, `hang`, `half`, `drop`, `nonsense` or a whole answer; after the last one, and where
    there is no script, it writes a good caption. `seen` holds the bodies of all requests, `keys` what they were sent with.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: dict[str, list[Any]] = {}
        self.seen: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.busy = self.busiest = 0
        self.lock = threading.Lock()
        self.hung = threading.Event()

    @property
    def url(self) -> str:
        """Up to /v1."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        name = body["messages"][-1]["content"].rpartition("Subject: ")[2].rstrip(".")
        with server.lock:
            server.seen.append(body)
            server.keys.add(self.headers["Authorization"])
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
            step = server.script[name].pop(0) if server.script.get(name) else None
        try:
            self._answer(step, name, body)
        finally:
            with server.lock:
                server.busy -= 1

    def _answer(self, step: Any, name: str, body: dict[str, Any]) -> None:
        assert self.path == "/v1/chat/completions"
        if step == "hang":
            self.server.hung.wait(20)
        elif step == "drop":
            self.connection.close()
        elif isinstance(step, tuple):
            status, headers = step
            self._send(status, b'{"error": "told to"}', **headers)
        elif step == "nonsense":
            self._send(200, b"<html>busy</html>")
        else:
            message = {"role": "assistant", "content": f"A {name} on mat {body['seed']}"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = step if isinstance(step, dict) else {"model": "pinned-1-of-may", "choices": [choice]}
            payload = json.dumps(answer).encode()
            self._send(200, payload[: len(payload) // 2] if step == "half" else payload, length=len(payload))

    def _send(self, status: int, payload: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(payload) if length is None else length))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A running server."""
    with ChatServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.hung.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def connection(chat_server: ChatServer, tmp_path: Path) -> Server:
    """How the tests reach it: quick to give up and to try again."""
    return Server(
        url=chat_server.url,
        key="sesame",
        concurrency=4,
        timeout_s=0.5,
        attempts=4,
        cache=tmp_path / "cache",
        first_wait_s=0.01,
    )
