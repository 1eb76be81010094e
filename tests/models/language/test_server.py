"""Every request ends with a reply or an error, whatever the server does, and replies are cached."""

import email.utils
import time
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
    assert counts == {"cached": 0, "attempts_in_vain": 0}
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
        "dog": ["half", "nonsense"],
        "bus": [(429, {"Retry_After": "0"}), "drop", {"choices": []}],
        "cherries": [{"choices": [{"message": "no object"}]}, {"choices": [{"message": {"content": 5}}]}, (503, {})],
    }
    replies, counts = ask()
    assert [reply.error for reply in replies] == [None] * 4
    assert [reply.text.split(" on ")[0] for reply in replies] == [f"A {name}" for name in WORLD]
    assert counts == {"cached": 0, "attempts_in_vain": 10}


def test_a_rerun_repeats_failed_requests_alone(ask, chat_server):
    chat_server.script = {"dog": [(500, {})] * 4}
    first, _ = ask(most_failed=1)
    assert first[1].error == "4 attempts, the last: HTTP 500 Internal Server Error"
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
    assert (len(chat_server.requests), counts["attempts_in_vain"]) == (4, 0)


def test_an_unreachable_address_is_an_error_of_each_request(ask):
    replies, _ = ask(most_failed=4, url="http://127.0.0.1:9/v1", attempts=2)
    assert all("2 attempts, the last: URLError" in str(reply.error) for reply in replies)


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_address_or_key_ends_the_stage(ask, chat_server, status):
    chat_server.script = {name: [(status, {})] for name in WORLD}
    with pytest.raises(ValueError, match=f"HTTP {status} .*SYNTHPAIRS_LLM_URL, SYNTHPAIRS_LLM_KEY") as caught:
        ask(most_failed=4)
    assert "sesame" not in str(caught.value)


def test_redirects_are_refused(ask, chat_server):
    chat_server.script = {name: [(302, {"Location": f"{chat_server.url}/chat/completions"})] for name in WORLD}
    with pytest.raises(ValueError, match="HTTP 302"):
        ask(most_failed=4, concurrency=1)
    assert len(chat_server.requests) <= len(WORLD)


def test_too_many_failures_end_the_stage_early(ask, chat_server):
    chat_server.script = {name: [(500, {})] * 9 for name in WORLD}
    with pytest.raises(ValueError, match=r"2 of 2 requests failed, more than .*max_failed_share.*HTTP 500"):
        ask(most_failed=1, concurrency=1)
    assert len(chat_server.requests) < 4 * len(WORLD)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_respected(ask, chat_server, form):
    date = email.utils.formatdate(time.time() + 2, usegmt=True)  # in whole seconds
    chat_server.script = {"dog": [(429, {"Retry_After": "1" if form == "seconds" else date})]}
    started = time.monotonic()
    ask()
    assert time.monotonic() - started >= 0.9


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
