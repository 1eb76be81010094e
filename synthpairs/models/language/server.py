"""Client of OpenAI-compatible chat completion servers, with retries and a cache of replies by request.

The server's settings change no result, so they are environment variables: SYNTHPAIRS_LLM_URL (up to /v1), SYNTHPAIRS_LLM_KEY,
SYNTHPAIRS_LLM_CONCURRENCY (8 requests at once), SYNTHPAIRS_LLM_TIMEOUT (60 seconds for a whole reply), SYNTHPAIRS_LLM_ATTEMPTS
(6 per request) and SYNTHPAIRS_LLM_CACHE (.dvc/tmp/llm).
"""

import asyncio
import contextlib
import json
import os
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2

from synthpairs.core.schema import digest
from synthpairs.core.storage import write_bytes
from synthpairs.core.untrusted_json import loads
from synthpairs.models.language.params import Served
from synthpairs.runtime.progress import progress

Content = str | list[dict[str, Any]]  # text, or parts: {"type": "text", ...} and {"type": "image_url", ...}
THOUGHTS = re.compile(r"^\s*<think>.*?(</think>|$)", re.DOTALL)  # reasoning before an answer
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_FATAL = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 407})  # wrong address, key, model or proxy
_MAX_BYTES = 2**22  # of a reply; 4096 tokens, the most that params.yaml can ask for, are some 20 KB
_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")  # this machine, to which no proxy leads
_MAX_WAIT_S = 300.0


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
    timeout_s: float  # for a whole reply
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
    with contextlib.suppress(ValueError):
        if low <= (value := float(env.get(name, default))) <= high:
            return value
    raise ValueError(f"{name} must be a number from {low} to {high}, got {env[name]!r}")


def server_replies(
    bodies: Iterable[dict[str, Any]], total: int, served: Served, server: Server, most_failed: int, section: str
) -> tuple[list[Reply], dict[str, int]]:
    """One reply per request body, in order, and the counts of cached replies and failed attempts.

    ValueError once more than `most_failed` of the `total` replies have an error, or when the server refuses everything; it
    names keys of the params.yaml section, which has `server` and `max_failed_share`. Bodies are consumed as replies arrive, so
    that millions of them are never in memory.
    """
    client = _Client(server, served.model, section, most_failed)
    with progress(section, total, "requests") as advance:
        replies = asyncio.run(client.replies(bodies, advance))
    return replies, {"cached": client.cached, "failed_attempts": client.failed_attempts}


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
        **{name: int(value) if value.is_integer() else value for name, value in served.extra.items()},
    }


class _Client:
    """Sends requests, many at once, and follows no redirect, so that the key is sent to the given address alone."""

    def __init__(self, server: Server, model: str, section: str, most_failed: int) -> None:
        self._server, self._model, self._section, self._most_failed = server, model, section, most_failed
        self._replies: dict[int, Reply] = {}
        self._failed = self.cached = self.failed_attempts = 0
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if server.key:
            headers["Authorization"] = f"Bearer {server.key}"
        limits, mounts = httpx2.Limits(max_connections=server.concurrency), dict.fromkeys(_LOOPBACK)
        try:
            self._http = httpx2.AsyncClient(
                base_url=server.url, headers=headers, limits=limits, mounts=mounts, timeout=None
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as error:
            raise ValueError(f"SYNTHPAIRS_LLM_URL or a proxy of the environment cannot be used: {error}") from None

    async def replies(self, bodies: Iterable[dict[str, Any]], advance: Callable[[int], object]) -> list[Reply]:
        """Replies in order; the first error ends them all."""
        free = asyncio.Semaphore(self._server.concurrency)
        try:
            async with self._http, asyncio.TaskGroup() as group:
                for number, body in enumerate(bodies):
                    await free.acquire()
                    task = group.create_task(self._reply(number, body))
                    task.add_done_callback(lambda _: free.release())
                    task.add_done_callback(lambda _: advance(1))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [reply for _, reply in sorted(self._replies.items())]

    async def _reply(self, number: int, body: dict[str, Any]) -> None:
        """Add the reply to a request, from the cache if possible; errors are not cached."""
        name = digest(body)
        path = self._server.cache / name[:2] / f"{name}.json"
        with contextlib.suppress(FileNotFoundError, ValueError, LookupError, TypeError):  # none, or one that was cut
            self._replies[number] = Reply(**json.loads(path.read_bytes())["reply"])
            self.cached += 1
            return
        reply = self._replies[number] = await self._send(body)
        if reply.error is None:
            entry = {"request": body, "reply": asdict(reply)}
            write_bytes(path, json.dumps(entry, ensure_ascii=False, indent=1).encode())
            return
        self._failed += 1
        if self._failed > self._most_failed:
            raise ValueError(
                f"{self._section}: {self._failed} of {len(self._replies)} requests failed, more than params.yaml: "
                f"{self._section}.max_failed_share allows; the last: {reply.error}"
            )

    async def _send(self, body: dict[str, Any]) -> Reply:
        problem, attempts = "", 0
        while attempts < self._server.attempts:
            attempts, requested_wait = attempts + 1, 0.0
            try:
                async with asyncio.timeout(self._server.timeout_s):
                    return self._parse(await self._post(body))
            except httpx2.HTTPStatusError as error:
                problem, status = str(error), error.response.status_code
                if status in _FATAL:
                    raise ValueError(
                        f"the language model server replied {problem}; check SYNTHPAIRS_LLM_URL, SYNTHPAIRS_LLM_KEY "
                        f"and params.yaml: {self._section}.server.model{_proxy_hint(self._server.url)}"
                    ) from None
                if status not in _RETRIED:
                    return Reply("", self._model, error=problem)
                with contextlib.suppress(ValueError):  # none, or a date
                    requested_wait = float(error.response.headers.get("Retry-After", ""))
            except TimeoutError:
                problem = f"no whole reply within {self._server.timeout_s:g} s (SYNTHPAIRS_LLM_TIMEOUT)"
            except (httpx2.HTTPError, OSError) as error:
                problem = f"{type(error).__name__}: {error}{_proxy_hint(self._server.url)}"
            self.failed_attempts += 1
            backoff = self._server.first_wait_s * 2 ** (attempts - 1) * random.uniform(0.5, 1)
            if attempts < self._server.attempts:
                await asyncio.sleep(min(max(backoff, requested_wait), _MAX_WAIT_S))
        return Reply("", self._model, error=f"{attempts} attempts, the last: {problem}")

    async def _post(self, body: dict[str, Any]) -> bytes:
        content = bytearray()
        async with self._http.stream("POST", "chat/completions", content=json.dumps(body).encode()) as response:
            async for chunk in response.aiter_raw():  # as sent: a few bytes may decompress to any number
                content += chunk
                if len(content) > _MAX_BYTES:
                    raise httpx2.DecodingError(f"the reply is longer than {_MAX_BYTES} bytes")
        if not response.is_success:
            problem = f"HTTP {response.status_code} {response.reason_phrase}: {self._excerpt(content)}"
            raise httpx2.HTTPStatusError(problem, request=response.request, response=response)
        return bytes(content)

    def _parse(self, content: bytes) -> Reply:
        try:
            completion = loads(content)
            choice = completion["choices"][0]
            texts = choice["message"]["content"] or "", str(completion.get("model") or self._model)
            text, model = (text.encode("utf-8", "replace").decode() for text in texts)  # JSON may hold lone surrogates
            return Reply(text, model, choice.get("finish_reason") == "length")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            problem = f"no chat completion ({type(error).__name__}: {error}): {self._excerpt(content)}"
            raise httpx2.DecodingError(problem) from None

    def _excerpt(self, content: bytes | bytearray) -> str:
        """Beginning of a reply on one line, without the key, which some servers repeat."""
        text = content[:2000].decode("utf-8", "replace")
        return " ".join((text.replace(self._server.key, "KEY") if self._server.key else text).split())[:200]


def _proxy_hint(url: str) -> str:
    """Names the proxy of the environment that leads to an address; empty without one."""
    address, proxies = httpx2.URL(url), getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if not proxy or f"all://{address.host}" in _LOOPBACK or proxy_bypass(address.host):
        return ""
    return f" (it went through the proxy {proxy.rpartition('@')[2]}; no_proxy={address.host} avoids that)"
