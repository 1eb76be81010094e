"""A server on loopback that speaks OpenAI's chat protocol."""

import contextlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer(ThreadingHTTPServer):
    """Answers chat requests by `script`: steps for each subject, the text after the last colon of the last message.

    A step is a status with headers, `hang`, `half`, `drop`, `endless`, `drip`, `drip head`, the bytes of a body or a whole
    answer, one per attempt. Without steps the answer is what `reply` returns for the subject and the request. `requests` holds
    all request bodies, `keys` their credentials. As a proxy it answers for the hosts `*.example`.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.requests, self.keys = {}, [], set()
        self.reply = lambda name, body: f"A {name} on mat {body['seed']}"
        self.busy = self.busiest = self.sent = 0
        self.lock, self.hung = threading.Lock(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body, server = json.loads(self.rfile.read(int(self.headers["Content-Length"]))), self.server
        content = body["messages"][-1]["content"]  # text, or parts, the last of which is text
        name = (content if isinstance(content, str) else content[-1]["text"]).rpartition(": ")[2].rstrip(".")
        with server.lock:
            server.requests.append(body)
            server.keys.add(self.headers["Authorization"])
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
            step = server.script[name].pop(0) if server.script.get(name) else None
        try:
            self._answer(step, name, body)
        finally:
            with server.lock:
                server.busy -= 1

    def _answer(self, step, name, body):
        assert re.fullmatch(r"(http://\w+\.example)?/v1/chat/completions", self.path)
        if step == "hang":
            self.server.hung.wait(20)
        elif step == "drop":
            self.connection.close()
        elif isinstance(step, tuple):
            self._send(
                step[0], f'{{"error": "scripted", "key": "{self.headers["Authorization"]}"}}'.encode(), **step[1]
            )
        elif isinstance(step, bytes):
            self._send(200, step)
        elif step in ("endless", "drip", "drip head"):
            self._go_on(step)
        else:
            message = {"role": "assistant", "content": self.server.reply(name, body)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = step if isinstance(step, dict) else {"model": "pinned-1-of-may", "choices": [choice]}
            payload = json.dumps(answer).encode()
            self._send(200, payload[: len(payload) // 2] if step == "half" else payload, length=len(payload))

    def _send(self, status, payload, length=None, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(payload) if length is None else length))
        self.end_headers()
        self.wfile.write(payload)

    def _go_on(self, step):
        """Send until the client hangs up: as fast as it takes them, or a byte now and then."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\n" + b"X: " * (step == "drip head") + b"\r\n" * (step != "drip head"))
        with contextlib.suppress(OSError):
            while step == "endless" or not self.server.hung.wait(0.1):
                self.server.sent += self.wfile.write(b" " * (2**16 if step == "endless" else 1))

    def log_message(self, *_):
        pass
