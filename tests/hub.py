"""A model hub on loopback, for the clients as they are: huggingface_hub, diffusers, transformers."""

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from huggingface_hub import constants, hf_api

COMMIT = "c" * 40  # of every model, to which each revision leads that is neither a commit nor `none`


class Hub(ThreadingHTTPServer):
    """Serves `models`: folders by OWNER/NAME. Those in `gated` show metadata alone; from those in `cut` downloads break off."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models, self.gated, self.cut, self.fetched = {}, set(), set(), []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def install(self, monkeypatch, cache):
        """Point this process's clients at the hub, with a cache of its own."""
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", self.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(cache / "assets"))
        monkeypatch.setattr(hf_api.api, "endpoint", self.url)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, _ = self.path.partition("?")
        kind, *words = path.removeprefix("/api/models").strip("/").replace("/resolve/", "/", 1).split("/")
        name, words = f"{kind}/{words[0]}", words[1:]
        folder = self.server.models.get(name)
        if folder is None:
            return self._refuse(401, "RepoNotFound")
        if not path.startswith("/api"):
            return self._file(name, folder, words[0], "/".join(words[1:]))
        if words == ["auth-check"]:
            return self._refuse(403, "GatedRepo") if name in self.server.gated else self._answer({})
        if words[-1] == "none":
            return self._refuse(404, "RevisionNotFound")
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        if words[0] == "tree":
            return self._answer([
                {"type": "file", "path": str(file.relative_to(folder)), "size": file.stat().st_size, "oid": "0" * 40}
                for file in files
            ])  # fmt: skip
        siblings = [{"rfilename": str(file.relative_to(folder))} for file in files]
        return self._answer(
            {"id": name, "sha": _commit(words[-1]), "siblings": siblings, "gated": name in self.server.gated}
        )

    do_HEAD = do_GET

    def _file(self, name, folder, revision, file):
        if name in self.server.gated:
            return self._refuse(403, "GatedRepo")
        if not (folder / file).is_file():
            return self._refuse(404, "EntryNotFound")
        payload = (folder / file).read_bytes()
        if self.command == "GET":
            if name in self.server.cut:
                return self.connection.close()
            self.server.fetched.append((name, file, len(payload)))
        return self._send(
            200, payload, ETag=f'"{hashlib.sha256(payload).hexdigest()}"', X_Repo_Commit=_commit(revision)
        )

    def _answer(self, value):
        self._send(200, json.dumps(value).encode())

    def _refuse(self, status, code):
        self._send(status, b"{}", X_Error_Code=code)

    def _send(self, status, payload, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(payload)

    def log_message(self, *_):
        pass


def _commit(revision):
    return revision if re.fullmatch("[0-9a-f]{40}", revision) else COMMIT
