"""Every request ends with a reply or an error, whatever the server does, and replies are cached."""

import re
import time
import tracemalloc
from dataclasses import replace

import pytest

from synthpairs.models.language.params import Served
from synthpairs.models.language.server import Reply, Server, request_body, server_replies

WORLD = ["cat", "dog", "bus", "cherries"]
SERVED = Served(model="pinned-1", extra={"top_k": 50.0, "presence_penalty": 0.5})


@pytest.fixture
def ask(connection):
    """Sends one request for each name in WORLD; returns the replies and the counts."""

    def go(most_failed=0, **changed):
        prompts = [[("system", "You write captions."), ("user", f"Subject: {name}.")] for name in WORLD]
        settings = {"temperature": 1, "top_p": 0.95, "max_tokens": 16}
        bodies = (request_body(SERVED, messages, seed=number, **settings) for number, messages in enumerate(prompts))
        return server_replies(
            bodies, len(prompts), SERVED, replace(connection, **changed), most_failed, "class_captions"
        )

    return go


def test_replies_are_in_order_and_requests_are_complete(ask, chat_server):
    replies, counts = ask()
    expected = [f"A {name} on mat {number}" for number, name in enumerate(WORLD)]
    assert replies == [Reply(text, "pinned-1-of-may") for text in expected]
    assert counts == {"cached": 0, "failed_attempts": 0}
    body = next(body for body in chat_server.requests if "dog" in body["messages"][-1]["content"])
    assert [message["role"] for message in body.pop("messages")] == ["system", "user"]
    assert body == {
        "model": "pinned-1", "temperature": 1, "top_p": 0.95, "max_tokens": 16, "seed": 1,
        "top_k": 50, "presence_penalty": 0.5,
    }  # fmt: skip
    assert isinstance(body["top_k"], int)
    assert chat_server.keys == {"Bearer sesame"}


def test_passing_failures_are_retried(ask, chat_server):
    chat_server.script = {
        "cat": ["hang", (500, {})],
        "dog": ["half", b"<html>busy</html>"],
        "bus": [(429, {"Retry_After": "0"}), "drop", {"choices": []}],
        "cherries": [{"choices": [{"message": "no object"}]}, {"choices": [{"message": {"content": 5}}]}, (503, {})],
    }
    replies, counts = ask()
    assert [reply.error for reply in replies] == [None] * 4
    assert [reply.text.split(" on ")[0] for reply in replies] == [f"A {name}" for name in WORLD]
    assert counts == {"cached": 0, "failed_attempts": 10}


def test_a_rerun_repeats_failed_requests_alone(ask, chat_server):
    chat_server.script = {"dog": [(500, {})] * 4}
    first, _ = ask(most_failed=1)
    assert first[1].error.startswith("4 attempts, the last: HTTP 500 Internal Server Error: ")
    assert len(chat_server.requests) == 3 + 4
    second, counts = ask()
    assert len(chat_server.requests) == 3 + 4 + 1
    assert counts["cached"] == 3
    assert second[:1] + second[2:] == first[:1] + first[2:]
    assert second[1].text.startswith("A dog")
    chat_server.server_close()
    assert ask()[0] == second


def test_a_bad_request_is_not_retried_and_reports_the_servers_text(ask, chat_server):
    chat_server.script = {"dog": [(400, {})]}
    replies, counts = ask(most_failed=1)
    assert replies[1].error.startswith('HTTP 400 Bad Request: {"error": "')  # what tests/chat.py sends
    assert (len(chat_server.requests), counts["failed_attempts"]) == (4, 0)


def test_an_unreachable_address_is_an_error_of_each_request(ask):
    replies, _ = ask(most_failed=4, url="http://127.0.0.1:9/v1", attempts=2)
    assert all("2 attempts, the last: ConnectError" in str(reply.error) for reply in replies)


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_address_or_key_ends_the_stage(ask, chat_server, status):
    chat_server.script = {name: [(status, {})] for name in WORLD}
    with pytest.raises(ValueError, match=f"HTTP {status} .*SYNTHPAIRS_LLM_URL, SYNTHPAIRS_LLM_KEY") as caught:
        ask(most_failed=4)
    assert "sesame" not in str(caught.value)


def chat(**choice):
    return {"choices": [choice]}


HOSTILE = {
    "endless": ("endless", "DecodingError: the reply is longer than 4194304 bytes"),
    "a drip": ("drip", r"no whole reply within 2 s \(SYNTHPAIRS_LLM_TIMEOUT\)"),
    "a drip of headers": ("drip head", "no whole reply within 2 s"),
    "HTML": (b"<html>busy</html>", r"no chat completion \(JSONDecodeError.*: <html>busy</html>$"),
    "deep JSON": (b"[" * 10**6, r"no chat completion \(TooDeep"),
    "deep parts": (b'{"choices": ' + b'[{"a": ' * 10**5, r"no chat completion \(TooDeep"),
    "a huge number": (b"9" * 5000, r"no chat completion \(ValueError"),
    "a body of gzip": (b"\x1f\x8b\x08" + bytes(9), r"no chat completion \("),
    "bytes that are no UTF-8": (b"\xff" * 10**6, r"no chat completion \(UnicodeDecodeError"),
    "no object": (b"[1]", r"no chat completion \(TypeError"),
    "no text": (chat(message={"content": {"a": 1}}), r"no chat completion \(AttributeError"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_reply_is_an_error_of_its_request(ask, chat_server, kind):
    step, message = HOSTILE[kind]
    chat_server.script = {"dog": [step] * 2}
    started = time.monotonic()
    tracemalloc.start()
    replies, counts = ask(most_failed=1, attempts=2, timeout_s=2 if "drip" in kind else 60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert re.search(f"^2 attempts, the last: .*{message}", replies[1].error), replies[1].error
    assert "\n" not in replies[1].error
    assert len(replies[1].error) < 500
    assert [reply.error for reply in replies].count(None) == 3
    assert counts["failed_attempts"] == 2
    assert (time.monotonic() - started < 60, peak < 2**26) == (True, True)
    assert ask()[0][1].text.startswith("A dog"), "errors are not cached"


def test_lone_surrogates_are_replaced_and_cached(ask, chat_server):
    answer = {"model": "m\udfff", **chat(message={"content": "A \ud83d dog"})}
    chat_server.script = {"dog": [answer]}
    first, _ = ask()
    assert first[1] == Reply("A ? dog", "m?")
    second, counts = ask()
    assert (second, counts["cached"]) == (first, 4)


@pytest.mark.parametrize(
    "content", [b"", b"{", bytes(300), b"\xff", b"[]", b'{"reply": 3}', b'{"reply": {"text": "a"}}']
)
def test_a_cut_cache_entry_is_asked_for_again(ask, chat_server, connection, content):
    first, _ = ask()
    whole = {path: path.read_bytes() for path in connection.cache.rglob("*.json")}
    broken = min(whole)
    broken.write_bytes(content or whole[broken][: len(whole[broken]) // 2])
    second, counts = ask()
    assert (second, counts["cached"], len(chat_server.requests)) == (first, 3, 5)
    assert {path: path.read_bytes() for path in whole} == whole


@pytest.mark.parametrize("status", [403, 407])
def test_a_proxy_that_refuses_is_named(ask, chat_server, monkeypatch, status):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", chat_server.url.removesuffix("/v1").replace("//", "//ada:secret@"))
    chat_server.script = {name: [(status, {})] for name in WORLD}
    with pytest.raises(
        ValueError, match=rf"HTTP {status} .*the proxy 127\.0\.0\.1:\d+; no_proxy=llm\.example"
    ) as caught:
        ask(most_failed=4, url="http://llm.example/v1")
    assert not any(word in str(caught.value) for word in ("sesame", "secret"))
    chat_server.script = {}
    assert ask(url="http://llm.example/v1")[0][1].text.startswith("A dog")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "localhost:9"])
def test_no_proxy_is_asked_for_a_server_on_this_machine(ask, monkeypatch, proxy):
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    assert ask()[0][1].text.startswith("A dog")


@pytest.mark.parametrize(
    ("changed", "proxy"),
    [({"url": "http://[::1"}, ""), ({"url": "http://a:b/v1"}, ""), ({}, "socks5://h:1"), ({}, "x://h")],
)
def test_an_address_that_cannot_be_used_is_one_line(ask, monkeypatch, changed, proxy):
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(ValueError, match=r"^SYNTHPAIRS_LLM_URL or a proxy of the environment cannot be used: [^\n]+$"):
        ask(**changed)


def test_redirects_are_refused(ask, chat_server):
    elsewhere = chat_server.url.replace("127.0.0.1", "localhost")
    chat_server.script = {name: [(302, {"Location": f"{elsewhere}/chat/completions"})] for name in WORLD}
    with pytest.raises(ValueError, match="HTTP 302"):
        ask(most_failed=4, concurrency=1)
    assert len(chat_server.requests) == 1


def test_too_many_failures_end_the_stage_early(ask, chat_server):
    chat_server.script = {name: [(500, {})] * 9 for name in WORLD}
    with pytest.raises(ValueError, match=r"2 of 2 requests failed, more than .*max_failed_share.*HTTP 500"):
        ask(most_failed=1, concurrency=1)
    assert len(chat_server.requests) < 4 * len(WORLD)


def test_retry_after_is_respected(ask, chat_server):
    odd = ["nan", "-3", "soon", "Mon, 01 Jan 0001 00:00:00 +99999999999999"]
    chat_server.script = {"dog": [(429, {"Retry_After": "1"})], "bus": [(429, {"Retry_After": value}) for value in odd]}
    started = time.monotonic()
    ask(attempts=5)
    assert 0.9 <= time.monotonic() - started <= 60


def test_concurrency_is_limited(ask, chat_server):
    ask(concurrency=2)
    assert chat_server.busiest <= 2


def test_empty_and_truncated_replies(ask, chat_server):
    chat_server.script = {
        "cat": [{"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}],
        "dog": [{"choices": [{"message": {"content": "A dog \ud83d"}, "finish_reason": "length"}]}],
    }
    replies, _ = ask()
    assert replies[0] == Reply("", "pinned-1")
    assert replies[1] == Reply("A dog ?", "pinned-1", cut=True)


def test_the_server_of_the_environment(tmp_path):
    env = {"SYNTHPAIRS_LLM_URL": "http://localhost:8000/v1/", "SYNTHPAIRS_LLM_KEY": "sesame\n"}
    server = Server.from_environment(env | {"DVC_ROOT": str(tmp_path), "SYNTHPAIRS_LLM_TIMEOUT": "2.5"})
    assert (server.url, server.key, server.timeout_s) == ("http://localhost:8000/v1", "sesame", 2.5)
    assert server.cache == tmp_path / ".dvc/tmp/llm"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", ""), ("URL", "file:///etc"), ("KEY", "sesame\nopen"), ("KEY", "sesame\u2019"), ("CONCURRENCY", "0"),
        ("TIMEOUT", "soon"), ("ATTEMPTS", "nan"),
    ],
)  # fmt: skip
def test_a_bad_environment_names_the_variable_and_never_the_key(name, value):
    with pytest.raises(ValueError, match=f"^SYNTHPAIRS_LLM_{name} ") as caught:
        Server.from_environment({"SYNTHPAIRS_LLM_URL": "http://localhost/v1"} | {f"SYNTHPAIRS_LLM_{name}": value})
    assert "sesame" not in str(caught.value)
