import base64
from dataclasses import replace

import pytest

from synthpairs.evaluation.preference.judges import Verdict, pair_questions
from synthpairs.evaluation.preference.served import parse_choice, served_verdicts
from tests.evaluation.preference.conftest import PARAMS, is_red


def shown(body):
    """The two images of a request."""
    parts = [part["image_url"]["url"] for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    assert all(url.startswith("data:image/png;base64,") for url in parts)
    return [base64.b64decode(url.partition(",")[2]) for url in parts]


@pytest.fixture
def ask(image_pairs, connection, settings):
    return lambda **changed: served_verdicts(pair_questions(image_pairs)[0], settings(**changed), connection)[0]


def test_an_image_that_wins_in_both_orders_wins(ask, chat_server, image_pairs):
    chat_server.reply = lambda name, body: "A." if is_red(shown(body)[0]) else "**B**"  # the generated one wins
    assert ask() == [Verdict(1.0)] * len(image_pairs)
    assert len(chat_server.requests) == 2 * len(image_pairs)
    images = {tuple(shown(body)) for body in chat_server.requests}
    assert images == {pair for one in image_pairs for pair in ((one.synthetic, one.real), (one.real, one.synthetic))}
    body = chat_server.requests[0]
    assert (body["model"], body["temperature"]) == ("pinned-1", 0)
    assert ask() == [Verdict(1.0)] * len(image_pairs)
    assert len(chat_server.requests) == 2 * len(image_pairs), "replies are cached"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("A", Verdict(0.5, "inconsistent")), ("Tie", Verdict(0.5)), ("Both are nice", Verdict(0.5, "unclear"))],
)
def test_the_same_reply_to_both_orders_is_a_tie(ask, chat_server, reply, verdict):
    chat_server.reply = lambda name, body: reply
    assert set(ask()) == {verdict}


def test_a_failed_request_is_a_tie_up_to_the_share_allowed(ask, chat_server, image_pairs):
    chat_server.reply = lambda name, body: "A." if is_red(shown(body)[0]) else "**B**"  # the generated one wins
    chat_server.script = {image_pairs[2].text: [(400, {})]}
    verdicts = ask(max_failed_share=0.1)
    assert verdicts.pop(2) == Verdict(0.5, "failed")
    assert set(verdicts) == {Verdict(1.0)}
    chat_server.script = {image_pairs[2].text: [(400, {})]}
    with pytest.raises(ValueError, match=r"preference\.max_failed_share"):
        ask(server=replace(PARAMS.server, model="pinned-2"))


@pytest.mark.parametrize(
    ("reply", "score"),
    [("A", 1), ("b", 0), (" **Tie**.\n", 0.5), ("Picture B", 0), ("A or B", None), ("", None), ("Apple", None)],
)
def test_choices_are_read_strictly(reply, score):
    assert parse_choice(reply) == score
