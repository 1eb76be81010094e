"""Client of OpenAI-compatible chat completion servers, with retries and a cache of replies by request.

The server's settings change no result, so they are environment variables: SYNTHPAIRS_LLM_URL (up to /v1), SYNTHPAIRS_LLM_KEY,
SYNTHPAIRS_LLM_CONCURRENCY (8 requests at once), SYNTHPAIRS_LLM_TIMEOUT (60 seconds), SYNTHPAIRS_LLM_ATTEMPTS (6 per request)
and SYNTHPAIRS_LLM_CACHE (.dvc/tmp/llm).
"""

import contextlib
import email.utils
import json
import os
import random
import re
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from synthpairs.core.schema import digest
from synthpairs.core.storage import write_bytes
from synthpairs.models.language.params import Served
from synthpairs.runtime.progress import progress

Content = str | list[dict[str, Any]]  # text, or parts: {"type": "text", ...} and {"type": "image_url", ...}
THOUGHTS = re.compile(r"^\s*<think>.*?(</think>|$)", re.DOTALL)  # reasoning before an answer
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_FATAL = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405})  # wrong address, key or model
_MAX_WAIT_S = 300.0
_QUEUED = 4  # requests for each one under way, so that a slow one does not block the others


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply, or the error that was returned instead."""

    text: str
    model: str  # its name as the server reports it
    cut: bool = False  # at the maximum of tokens
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Address and limits of a server."""

    url: str
    key: str
    concurrency: int
    timeout_s: float  # for each step of the connection
    attempts: int
    cache: Path
    first_wait_s: float = 1.0  # after the first failed attempt; doubles with each

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> "Server":
        """Read the environment variables; ValueError names the variable, and never contains the key."""
        url, key = env.get("SYNTHPAIRS_LLM_URL", "").rstrip("/"), env.get("SYNTHPAIRS_LLM_KEY", "").strip()
        if not url.startswith(("http://", "https://")):
            raise ValueError(
                "SYNTHPAIRS_LLM_URL must be the http(s) address of an OpenAI-compatible server, up to /v1, "
                "for an `engine: server` of params.yaml"
            )
        if not (key.isascii() and key.isprintable()):
            raise ValueError("SYNTHPAIRS_LLM_KEY holds characters that no HTTP header can")
        default = Path(env.get("DVC_ROOT", ".")) / ".dvc/tmp/llm"
        return cls(
            url=url,
            key=key,
            concurrency=int(_number(env, "SYNTHPAIRS_LLM_CONCURRENCY", 8, 1, 1024)),
            timeout_s=_number(env, "SYNTHPAIRS_LLM_TIMEOUT", 60, 0.1, 3600),
            attempts=int(_number(env, "SYNTHPAIRS_LLM_ATTEMPTS", 6, 1, 100)),
            cache=Path(env.get("SYNTHPAIRS_LLM_CACHE", default)),
        )


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    try:
        value = float(env.get(name, default))
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low} to {high}, got {env[name]!r}")
    return value


def server_replies(
    bodies: Iterable[dict[str, Any]], total: int, served: Served, server: Server, most_failed: int, section: str
) -> tuple[list[Reply], dict[str, int]]:
    """One reply per request body, in order, and the counts of cached replies and failed attempts.

    ValueError once more than `most_failed` of the `total` replies have an error, or when the server refuses everything; it
    names keys of the params.yaml section, which has `server` and `max_failed_share`. Bodies are consumed as replies arrive, so
    that millions of them are never in memory.
    """
    client = _Client(server, served.model, section)
    replies: list[Reply] = []
    waiting: deque[Future[Reply]] = deque()
    failed, rest = 0, iter(bodies)
    with progress(section, total, "requests") as advance, ThreadPoolExecutor(server.concurrency) as pool:
        try:
            while True:
                while len(waiting) < _QUEUED * server.concurrency and (body := next(rest, None)) is not None:
                    waiting.append(pool.submit(client.reply, body))
                if not waiting:
                    break
                reply = waiting.popleft().result()
                failed += reply.error is not None
                if failed > most_failed:
                    raise ValueError(
                        f"{section}: {failed} of {len(replies) + 1} requests failed, more than params.yaml: "
                        f"{section}.max_failed_share allows; the last: {reply.error}"
                    )
                replies.append(reply)
                advance(1)
        except BaseException:
            client.cancelled.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return replies, {"cached": client.cached, "attempts_in_vain": client.failed_attempts}


def request_body(
    served: Served,
    messages: Iterable[tuple[str, Content]],
    temperature: float,
    top_p: float,
    max_tokens: int,
    seed: int,
) -> dict[str, Any]:
    """Chat completion request of (role, content) messages; `seed` must have 31 bits at most, which every server takes."""
    return {
        "model": served.model,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "seed": seed,
        # Numbers of params.yaml are floats here, and the protocol has integers.
        **{name: int(value) if value == int(value) else value for name, value in served.extra.items()},
    }


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, so that the key is sent to the given address alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Client:
    """Sends requests from any thread."""

    def __init__(self, server: Server, model: str, section: str) -> None:
        self._server, self._model, self._section = server, model, section
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._lock = threading.Lock()
        self.cancelled = threading.Event()
        self.cached = self.failed_attempts = 0

    def reply(self, body: dict[str, Any]) -> Reply:
        """The reply to a request, from the cache if possible; errors are not cached."""
        name = digest(body)
        path = self._server.cache / name[:2] / f"{name}.json"
        if path.exists():
            with self._lock:
                self.cached += 1
            return Reply(**json.loads(path.read_bytes())["reply"])
        reply = self._send(body)
        if reply.error is None:
            entry = {"request": body, "reply": asdict(reply)}
            write_bytes(path, json.dumps(entry, ensure_ascii=False, indent=1).encode())
        return reply

    def _send(self, body: dict[str, Any]) -> Reply:
        problem, attempts = "", 0
        while attempts < self._server.attempts and not self.cancelled.is_set():
            attempts += 1
            requested_wait = 0.0
            try:
                return self._reply(self._post(body))
            except HTTPError as error:
                problem = f"HTTP {error.code} {error.reason}"
                if error.code in _FATAL:
                    raise ValueError(
                        f"the language model server replied {problem}: check SYNTHPAIRS_LLM_URL, SYNTHPAIRS_LLM_KEY "
                        f"and params.yaml: {self._section}.server.model"
                    ) from None
                if error.code not in _RETRIED:
                    return Reply("", self._model, error=f"{problem}: {_excerpt(error)}")
                requested_wait = _retry_after(error.headers)
            except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
                problem = f"{type(error).__name__}: {error}"
            with self._lock:
                self.failed_attempts += 1
            backoff = self._server.first_wait_s * 2 ** (attempts - 1) * random.uniform(0.5, 1)
            if attempts < self._server.attempts:
                self.cancelled.wait(min(max(requested_wait, backoff), _MAX_WAIT_S))
        return Reply("", self._model, error=f"{attempts} attempts, the last: {problem}")

    def _post(self, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._server.key:
            headers["Authorization"] = f"Bearer {self._server.key}"
        url = f"{self._server.url}/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with self._opener.open(request, timeout=self._server.timeout_s) as response:
            return json.load(response)

    def _reply(self, completion: Any) -> Reply:
        choice = completion["choices"][0]
        text = choice["message"]["content"] or ""  # null for an empty reply
        if not isinstance(text, str):
            raise TypeError(f"the message's content is {type(text).__name__}")
        text = text.encode("utf-8", "replace").decode()  # lone surrogates, which JSON can contain
        return Reply(text, str(completion.get("model") or self._model), choice.get("finish_reason") == "length")


def _excerpt(error: HTTPError) -> str:
    try:
        return " ".join(error.read(2000).decode("utf-8", "replace").split())[:200]
    except (OSError, HTTPException):
        return "no details"


def _retry_after(headers: Message) -> float:
    """Seconds of a Retry-After header, a number or a date; 0 without one."""
    value = headers.get("Retry-After", "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
