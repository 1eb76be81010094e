"""Answers from any server that speaks OpenAI's chat completions protocol.

Where it is and how hard it is driven changes nothing of what is made, so that stands in the environment:
SYNTHPAIRS_LLM_URL (up to /v1), SYNTHPAIRS_LLM_KEY, SYNTHPAIRS_LLM_CONCURRENCY (8 requests at once),
SYNTHPAIRS_LLM_TIMEOUT (60 seconds), SYNTHPAIRS_LLM_ATTEMPTS (6 for each request) and SYNTHPAIRS_LLM_CACHE
(.dvc/tmp/llm): answers are kept there under their request, so that nothing is paid for twice.
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

# Of a message: text, or parts: {"type": "text", ...} and {"type": "image_url", ...}.
Content = str | list[dict[str, Any]]
THOUGHTS = re.compile(r"^\s*<think>.*?(</think>|$)", re.DOTALL)  # before an answer
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})  # worth another attempt
_WRONG = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405})  # address, key or model: no request will do better
_LONGEST_WAIT_S = 300.0
_AHEAD = 4  # requests for each one under way, so that a slow one does not hold the others up


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said, its name, and whether it was cut at the most tokens allowed; or why there is no text."""

    text: str
    model: str
    cut: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the server is, and how it is asked."""

    url: str
    key: str
    concurrency: int
    timeout_s: float  # for each step of the connection
    attempts: int
    cache: Path
    first_wait_s: float = 1.0  # after the first failed attempt; doubles with each

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> "Server":
        """The server that the environment names; ValueError naming the variable, and never the key."""
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
    """One reply per request body, in order, and how many came from the cache and how many attempts were in vain.

    A reply without text has an error. ValueError once more than `most_failed` of the `total` have, or when the server
    refuses all; it names keys of the params.yaml section, which has `server` and `max_failed_share`. Bodies are taken as
    answers come, so that millions of them are never held.
    """
    client = _Client(server, served.model, section)
    replies: list[Reply] = []
    waiting: deque[Future[Reply]] = deque()
    failed, rest = 0, iter(bodies)
    with progress(section, total, "requests") as advance, ThreadPoolExecutor(server.concurrency) as pool:
        try:
            while True:
                while len(waiting) < _AHEAD * server.concurrency and (body := next(rest, None)) is not None:
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
            client.ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return replies, {"cached": client.cached, "attempts_in_vain": client.in_vain}


def request_body(
    served: Served,
    messages: Iterable[tuple[str, Content]],
    temperature: float,
    top_p: float,
    max_tokens: int,
    seed: int,
) -> dict[str, Any]:
    """A request in OpenAI's form for (role, content) messages; `seed` has 31 bits at most, which every server can read."""
    return {
        "model": served.model,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "seed": seed,
        # params.yaml's numbers are floats here; what the protocol calls an integer must look like one
        **{name: int(value) if value == int(value) else value for name, value in served.extra.items()},
    }


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key goes to the address that was given, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Client:
    """Asks a server for one answer at a time, from any thread."""

    def __init__(self, server: Server, model: str, section: str) -> None:
        self._server, self._model, self._section = server, model, section
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._counting = threading.Lock()
        self.ended = threading.Event()  # nobody waits for answers any more
        self.cached = self.in_vain = 0

    def reply(self, body: dict[str, Any]) -> Reply:
        """The answer to a request, from the cache if it is there; an error is not cached."""
        name = digest(body)
        path = self._server.cache / name[:2] / f"{name}.json"
        if path.exists():
            with self._counting:
                self.cached += 1
            return Reply(**json.loads(path.read_bytes())["reply"])
        reply = self._ask(body)
        if reply.error is None:
            entry = {"request": body, "reply": asdict(reply)}
            write_bytes(path, json.dumps(entry, ensure_ascii=False, indent=1).encode())
        return reply

    def _ask(self, body: dict[str, Any]) -> Reply:
        problem, tried = "", 0
        while tried < self._server.attempts and not self.ended.is_set():
            tried += 1
            asked_to_wait = 0.0
            try:
                return self._read(self._post(body))
            except HTTPError as error:
                problem = f"HTTP {error.code} {error.reason}"
                if error.code in _WRONG:
                    raise ValueError(
                        f"the language model server says {problem}: check SYNTHPAIRS_LLM_URL, SYNTHPAIRS_LLM_KEY "
                        f"and params.yaml: {self._section}.server.model"
                    ) from None
                if error.code not in _BUSY:
                    return Reply("", self._model, error=f"{problem}: {_excerpt(error)}")
                asked_to_wait = _retry_after(error.headers)
            except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
                problem = f"{type(error).__name__}: {error}"
            with self._counting:
                self.in_vain += 1
            backoff = self._server.first_wait_s * 2 ** (tried - 1) * random.uniform(0.5, 1)  # apart from its neighbours
            if tried < self._server.attempts:
                self.ended.wait(min(max(asked_to_wait, backoff), _LONGEST_WAIT_S))
        return Reply("", self._model, error=f"{tried} attempts, the last: {problem}")

    def _post(self, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._server.key:
            headers["Authorization"] = f"Bearer {self._server.key}"
        url = f"{self._server.url}/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with self._opener.open(request, timeout=self._server.timeout_s) as response:
            return json.load(response)

    def _read(self, answer: Any) -> Reply:
        choice = answer["choices"][0]
        text = choice["message"]["content"] or ""  # null when the model says nothing
        if not isinstance(text, str):
            raise TypeError(f"the message's content is {type(text).__name__}")
        text = text.encode("utf-8", "replace").decode()  # halves of surrogate pairs, which JSON can spell
        return Reply(text, str(answer.get("model") or self._model), choice.get("finish_reason") == "length")


def _excerpt(error: HTTPError) -> str:
    try:
        return " ".join(error.read(2000).decode("utf-8", "replace").split())[:200]
    except (OSError, HTTPException):
        return "no more said"


def _retry_after(headers: Message) -> float:
    """Seconds that the server asks to wait, given as a number or as a date; 0 when it does not."""
    value = headers.get("Retry-After", "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
