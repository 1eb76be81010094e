"""A judge behind a server sees both pictures in both orders; only what it says twice counts."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from synthpairs.language.server import Server
from synthpairs.preference.couples import Couple
from synthpairs.preference.judges import Answer, Comparison
from synthpairs.preference.params import Preference
from synthpairs.preference.served import parse_choice, served_answers
from tests.chat import ChatServer
from tests.preference.conftest import PARAMS, is_red


def shown(body: dict[str, Any]) -> list[bytes]:
    """The two pictures of a request."""
    parts = [part["image_url"]["url"] for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    assert all(url.startswith("data:image/png;base64,") for url in parts)
    return [base64.b64decode(url.partition(",")[2]) for url in parts]


def redder(_: str, body: dict[str, Any]) -> str:
    """A judge that looks: the generated picture wins."""
    return "A." if is_red(shown(body)[0]) else "**B**"


@pytest.fixture
def ask(couples: list[Couple], connection: Server, settings: Callable[..., Preference]) -> Callable[..., list[Answer]]:
    asked = [Comparison(couple.text, couple.synthetic, couple.real) for couple in couples]
    return lambda **changed: served_answers(asked, settings(**changed), connection)[0]


def test_the_picture_that_wins_in_both_orders_wins(
    ask: Callable[..., list[Answer]], chat_server: ChatServer, couples: list[Couple]
) -> None:
    chat_server.say = redder
    assert ask() == [Answer(1.0)] * len(couples)
    assert len(chat_server.seen) == 2 * len(couples)
    pictures = {tuple(shown(body)) for body in chat_server.seen}
    assert pictures == {pair for one in couples for pair in ((one.synthetic, one.real), (one.real, one.synthetic))}
    body = chat_server.seen[0]
    assert (body["model"], body["temperature"]) == ("pinned-1", 0)
    assert ask() == [Answer(1.0)] * len(couples)
    assert len(chat_server.seen) == 2 * len(couples), "the second time all came from the cache"


def test_a_judge_that_prefers_a_place_ties_and_is_counted(
    ask: Callable[..., list[Answer]], chat_server: ChatServer
) -> None:
    chat_server.say = lambda name, body: "A"
    assert set(ask()) == {Answer(0.5, "inconsistent")}


def test_a_tie_in_both_orders_is_one(ask: Callable[..., list[Answer]], chat_server: ChatServer) -> None:
    chat_server.say = lambda name, body: "Tie"
    assert set(ask()) == {Answer(0.5)}


def test_what_names_no_picture_is_unclear(ask: Callable[..., list[Answer]], chat_server: ChatServer) -> None:
    chat_server.say = lambda name, body: "Both are nice"
    assert set(ask()) == {Answer(0.5, "unclear")}


def test_a_failed_request_is_a_tie_up_to_the_share_allowed(
    ask: Callable[..., list[Answer]], chat_server: ChatServer, couples: list[Couple]
) -> None:
    chat_server.say = redder
    chat_server.script = {couples[2].text: [(400, {})]}
    answers = ask(max_failed_share=0.1)
    assert answers[2] == Answer(0.5, "failed")
    assert {answer.score for answer in (*answers[:2], *answers[3:])} == {1.0}
    chat_server.script = {couples[2].text: [(400, {})]}
    with pytest.raises(ValueError, match=r"preference\.max_failed_share"):
        ask(server=replace(PARAMS.server, model="pinned-2"))


@pytest.mark.parametrize(
    ("said", "meant"),
    [("A", 1), ("b", 0), (" **Tie**.\n", 0.5), ("Picture B", 0), ("A or B", None), ("", None), ("Apple", None)],
)
def test_choices_are_read_strictly(said: str, meant: float | None) -> None:
    assert parse_choice(said) == meant
