"""The voting booth: a page on this machine that shows couples blind, one after another, and keeps what is chosen.

The page learns a couple's number in the voter's own order, its caption and two pictures called left and right; what is
generated is known to this process alone. It answers on 127.0.0.1 and to no other page: a foreign Host or
Origin is refused, so neither another site in the same browser nor a name that is made to point here can vote.
"""

import json
import logging
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from synthpairs.preference.couples import Couple
from synthpairs.preference.votes import Choice, Vote, add_vote, read_votes
from synthpairs.schema import digest

log = logging.getLogger(__name__)
STATIC = {
    "/": ("vote.html", "text/html; charset=utf-8"),
    "/vote.css": ("vote.css", "text/css; charset=utf-8"),
    "/vote.js": ("vote.js", "text/javascript; charset=utf-8"),
}
MOST_BYTES = 1024  # of a request's body
SIDES = ("left", "right")
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"


class Ballot:
    """One voter's way through the couples: their order, which picture stands where, and how far they are.

    Order and sides are drawn from seed and voter, so that who comes back goes on where they stopped.
    """

    def __init__(self, couples: Sequence[Couple], path: Path, voter: str, seed: int) -> None:
        self._path, self._voter = path, voter
        self.couples = sorted(couples, key=lambda couple: digest("order", seed, voter, couple.couple))
        self._swapped = [int(digest("side", seed, voter, couple.couple), 16) % 2 == 1 for couple in self.couples]
        voted = {vote.couple for vote in read_votes(path) if vote.voter == voter}
        self._voted = [couple.couple in voted for couple in self.couples]
        self._lock = threading.Lock()

    def state(self) -> dict[str, Any]:
        """What the page is told: `place` of the couple to be seen (None: all are voted on), `done`, `total`, `caption`."""
        place = self._place()
        caption = None if place is None else self.couples[place].text
        return {"place": place, "done": sum(self._voted), "total": len(self.couples), "caption": caption}

    def picture(self, place: int, side: str) -> bytes:
        """The PNG on one side of a couple; IndexError or ValueError where there is none."""
        if not 0 <= place < len(self.couples):
            raise IndexError(place)
        couple, swapped = self.couples[place], self._swapped[place]
        return couple.synthetic if SIDES.index(side) == swapped else couple.real

    def vote(self, place: Any, choice: Any) -> bool:
        """Keep a choice of `left`, `right` or `tie`; False where another couple's turn is, and a ValueError of no choice."""
        if type(place) is not int or choice not in (*SIDES, "tie"):
            raise ValueError("a vote has a place and a choice of left, right or tie")
        with self._lock:
            if place != self._place():
                return False
            self._keep(place, "tie" if choice == "tie" else self._origin(place, choice))
            return True

    def undo(self) -> bool:
        """Take the last vote back, and show its couple again; False where there is none."""
        with self._lock:
            first = self._place()
            last = (len(self.couples) if first is None else first) - 1
            if last < 0:
                return False
            self._keep(last, None)
            return True

    def _place(self) -> int | None:
        return next((place for place, voted in enumerate(self._voted) if not voted), None)

    def _origin(self, place: int, side: str) -> Choice:
        return "synthetic" if SIDES.index(side) == self._swapped[place] else "real"

    def _keep(self, place: int, choice: Choice | None) -> None:
        add_vote(self._path, Vote(couple=self.couples[place].couple, voter=self._voter, choice=choice))
        self._voted[place] = choice is not None


class Booth(ThreadingHTTPServer):
    """Serves one ballot on 127.0.0.1; port 0 takes any that is free."""

    daemon_threads = True

    def __init__(self, ballot: Ballot, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.ballot = ballot
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/"


class _Refused(Exception):
    """A request that is not answered: status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Booth
    timeout = 30  # seconds that a connection may take to say what it wants

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def _answered(self, answer: Any) -> None:
        try:
            self._check_origin()
            answer()
        except _Refused as refused:
            self._send(json.dumps({"error": str(refused)}).encode(), "application/json", refused.status)

    def _check_origin(self) -> None:
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in self.server.hosts:
            raise _Refused(403, "this host is not served")
        if origin is not None and origin not in {f"http://{host}" for host in self.server.hosts}:
            raise _Refused(403, "another page may not ask here")

    def _get(self) -> None:
        if self.path in STATIC:
            name, kind = STATIC[self.path]
            self._send((Path(__file__).parent / name).read_bytes(), kind)
        elif self.path == "/state":
            self._send_state()
        else:
            self._send(self._picture(), "image/png")

    def _picture(self) -> bytes:
        try:
            root, what, place, side = self.path.split("/")
            if (root, what) != ("", "picture") or not (place.isascii() and place.isdigit() and len(place) < 10):
                raise ValueError(self.path)
            return self.server.ballot.picture(int(place), side)
        except (ValueError, IndexError):
            raise _Refused(404, "there is no such page") from None

    def _post(self) -> None:
        ballot, told = self.server.ballot, self._body()
        try:
            if self.path == "/vote":
                kept = ballot.vote(told.get("place"), told.get("choice"))
            elif self.path == "/undo":
                kept = ballot.undo()
            else:
                raise _Refused(404, "there is no such page")
        except ValueError as error:
            raise _Refused(400, str(error)) from None
        self._send_state(200 if kept else 409)

    def _body(self) -> dict[str, Any]:
        """The JSON object that was sent; nothing is read of what is too long."""
        if self.headers.get_content_type() != "application/json":
            raise _Refused(415, "send application/json")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _Refused(411, "send a Content-Length")
        if len(length) > 9 or int(length) > MOST_BYTES:
            raise _Refused(413, f"send at most {MOST_BYTES} bytes")
        try:
            told = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise _Refused(400, "send JSON") from None
        if not isinstance(told, dict):
            raise _Refused(400, "send a JSON object")
        return told

    def _send_state(self, status: int = 200) -> None:
        self._send(json.dumps(self.server.ballot.state()).encode(), "application/json", status)

    def _send(self, payload: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(payload)), "Cache-Control": "no-store"}
        headers |= {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, form: str, *arguments: Any) -> None:
        log.debug(form, *arguments)
