"""The booth over HTTP: it tells left and right, keeps what is chosen, and refuses everything else."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synthpairs.preference.booth import MOST_BYTES, STATIC, Ballot, Booth
from synthpairs.preference.couples import Couple, write_couples
from synthpairs.preference.votes import VOTES, read_votes
from tests.preference.conftest import SECRET, is_red

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    return tmp_path / "votes.jsonl"


@pytest.fixture
def booth(couples: list[Couple], votes: Path) -> Iterator[Booth]:
    with Booth(Ballot(couples, votes, "ada", seed=0), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(booth: Booth, method: str, path: str, body: Any = None, **headers: str | None) -> tuple[int, bytes, Any]:
    """Status, body and headers; a header of None is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", booth.server_port, timeout=10)
    payload = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    sent = {"Host": f"127.0.0.1:{booth.server_port}"} | (JSON if method == "POST" else {})
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[misc]
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    if payload is not None:
        sent.setdefault("Content-Length", str(len(payload)))
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(payload)
    reply = connection.getresponse()
    told = reply.status, reply.read(), reply.headers
    connection.close()
    return told


def state(booth: Booth) -> dict[str, Any]:
    return json.loads(ask(booth, "GET", "/state")[1])


def test_the_page_and_its_parts_are_served_and_need_nothing_else(booth: Booth) -> None:
    for path, (name, kind) in STATIC.items():
        status, body, headers = ask(booth, "GET", path)
        assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, kind, "no-store")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert b"http://" not in body, name
        assert b"https://" not in body, name
        assert SECRET.encode() not in body


def test_what_is_chosen_is_kept_by_what_was_shown(booth: Booth, votes: Path) -> None:
    wanted = []
    for choice in ("left", "right", "tie", "left"):
        told = state(booth)
        shown = {side: ask(booth, "GET", f"/picture/{told['place']}/{side}")[1] for side in ("left", "right")}
        assert {is_red(png) for png in shown.values()} == {True, False}
        status, body, _ = ask(booth, "POST", "/vote", {"place": told["place"], "choice": choice})
        assert (status, json.loads(body)["done"]) == (200, told["done"] + 1)
        wanted.append("tie" if choice == "tie" else "synthetic" if is_red(shown[choice]) else "real")
    kept = read_votes(votes)
    assert [vote.choice for vote in kept] == wanted
    assert {vote.voter for vote in kept} == {"ada"}
    assert [vote.couple for vote in kept] == [couple.couple for couple in booth.ballot.couples[:4]]


def test_undo_shows_the_last_one_again(booth: Booth, votes: Path) -> None:
    assert ask(booth, "POST", "/undo", {})[0] == 409
    for place in range(2):
        ask(booth, "POST", "/vote", {"place": place, "choice": "tie"})
    status, body, _ = ask(booth, "POST", "/undo", {})
    assert (status, json.loads(body)["place"], json.loads(body)["done"]) == (200, 1, 1)
    assert [vote.couple for vote in read_votes(votes)] == [booth.ballot.couples[0].couple]


def test_a_voter_goes_on_where_they_stopped_and_another_starts_anew(couples: list[Couple], votes: Path) -> None:
    first = Ballot(couples, votes, "ada", seed=0)
    for place in range(3):
        assert first.vote(place, "left")
    again, other = Ballot(couples, votes, "ada", seed=0), Ballot(couples, votes, "bob", seed=0)
    assert again.state() == first.state()
    assert again.state()["place"] == 3
    assert other.state()["done"] == 0
    assert other.couples != again.couples
    for place in range(3, len(couples)):
        again.vote(place, "tie")
    assert again.state() == {"place": None, "done": len(couples), "total": len(couples), "caption": None}
    assert again.undo()


def test_sides_change_at_random(couples: list[Couple], votes: Path) -> None:
    left = [
        is_red(ballot.picture(place, "left"))
        for seed in range(40)
        for ballot in [Ballot(couples, votes, "", seed)]
        for place in range(len(couples))
    ]
    assert 0.4 < sum(left) / len(left) < 0.6
    assert len(left) == 240


def test_a_vote_on_what_is_not_in_sight_is_not_kept(booth: Booth, votes: Path) -> None:
    assert ask(booth, "POST", "/vote", {"place": 1, "choice": "left"})[0] == 409
    assert not votes.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"3", b"\xff", b"[" * 1000, {}, {"place": 0}, {"place": 0, "choice": "synthetic"},
        {"place": "0", "choice": "left"}, {"place": False, "choice": "left"}, {"place": 0, "choice": ["left"]},
        {"place": 0.0, "choice": "left"},
    ],
)  # fmt: skip
def test_malformed_votes_are_refused(booth: Booth, votes: Path, body: Any) -> None:
    assert ask(booth, "POST", "/vote", body)[0] == 400
    assert not votes.exists()
    assert state(booth)["place"] == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": None}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Length": None}, 411),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": str(MOST_BYTES + 1)}, 413),
        ({"Content_Length": "9" * 5000}, 413),
    ],
)
def test_strangers_and_large_bodies_are_refused(
    booth: Booth, votes: Path, headers: dict[str, str | None], status: int
) -> None:
    assert ask(booth, "POST", "/vote", {"place": 0, "choice": "left"}, **headers)[0] == status
    assert not votes.exists()


def test_a_foreign_host_sees_no_picture(booth: Booth) -> None:
    assert ask(booth, "GET", "/picture/0/left", Host=f"evil.example:{booth.server_port}")[0] == 403
    own = f"http://localhost:{booth.server_port}"
    assert ask(booth, "GET", "/picture/0/left", Host=own[7:], Origin=own)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/picture/6/left", "/picture/-1/left", "/picture/0/middle", "/picture/0", "/picture/%C2%B2/left",
     "/../params.yaml", "/vote.py", "/votes.jsonl", "/vote", "/picture/99999999999999/left"],
)  # fmt: skip
def test_there_is_nothing_else(booth: Booth, path: str) -> None:
    assert ask(booth, "GET", path)[0] == 404


def test_the_command_serves_what_the_stage_drew_until_it_is_interrupted(couples: list[Couple], tmp_path: Path) -> None:
    shutil.copy("params.yaml", tmp_path)
    write_couples(couples, tmp_path / "data/preference")
    command = [sys.executable, "-m", "synthpairs", "vote", "--voter", "ada"]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever runs the tests may ignore it
    ) as running:
        assert running.stdout
        url = running.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{url}state", timeout=10) as reply:
            assert json.load(reply)["total"] == len(couples)
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 0
    assert not (tmp_path / VOTES).exists()
