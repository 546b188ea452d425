"""Models by their name on the hub, from a server on this machine that stands for it.

Each in a process of its own: the client reads `HF_ENDPOINT` once, when it is imported.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from saving import save

pytest.importorskip("huggingface_hub", reason="the hub's client")
pytest.importorskip("torch", reason="the model is made by PyTorch")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves repositories as the hub's interface does; `refusal` answers everything."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.refusal = 0
        self.sent: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self, body=True)

            def do_HEAD(self) -> None:
                outer.answer(self, body=False)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = request.path.partition("?")[0].strip("/")
        if self.refusal:
            self._send(request, self.refusal, {}, b"", body)
            return
        for name, files in self.repositories.items():
            listing = [
                {"type": "file", "path": path, "size": len(content), "oid": _etag(content)}
                for path, content in files.items()
            ]
            if path == f"api/models/{name}/tree/{COMMIT}":
                self._send_json(request, listing)
                return
            if path.startswith(f"api/models/{name}"):
                siblings = [{"rfilename": file} for file in files]
                self._send_json(request, {"id": name, "sha": COMMIT, "siblings": siblings})
                return
            file = path.removeprefix(f"{name}/resolve/{COMMIT}/")
            if file in files:
                self.sent += [file] if body else []
                headers = {"ETag": f'"{_etag(files[file])}"', "X-Repo-Commit": COMMIT}
                self._send(request, 200, headers, files[file], body)
                return
        self._send(request, 404, {"X-Error-Code": "RepoNotFound"}, b"", body)

    def _send_json(self, request: BaseHTTPRequestHandler, value: object) -> None:
        kind = {"Content-Type": "application/json"}
        self._send(request, 200, kind, json.dumps(value).encode(), True)

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        content: bytes,
        body: bool,
    ) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(content)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def _etag(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[..., Any]) -> Path:
    return save(tmp_path_factory.mktemp("hub") / "model", "torch", prepared())


@pytest.fixture
def hub(model: Path) -> Iterator[Hub]:
    made = Hub()
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    made.repositories["org/name"] = {**files, "training.json": b"{}"}
    yield made
    made.close()


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(hub: Hub, tmp_path: Path) -> Run:
    """A program with arguments, which finds the hub here and its cache below `tmp_path`."""
    own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}

    def start(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env={**kept, **own, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return start


PARSE = (
    "-c",
    "from jointbert import Parser\n"
    "parser = Parser.from_pretrained('org/name', threads=1)\n"
    "print(parser.parse(['stop'])[0].intent, parser.settings['checkpoint'])",
)


@pytest.mark.slow
def test_a_model_is_loaded_by_its_name_and_then_from_the_cache(hub: Hub, run: Run):
    first = run(*PARSE)
    assert first.returncode == 0, first.stderr
    assert "models--org--name" in first.stdout
    assert sorted(hub.sent) == [
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    hub.close()  # no network any more
    assert run(*PARSE).stdout == first.stdout


def refused(run: Run, name: str = "org/name", **more: str) -> str:
    ended = run("-m", "jointbert", "predict", name, **more)
    assert ended.returncode == 2, ended.stderr
    (line,) = [x for x in ended.stderr.splitlines() if "%|" not in x and x.strip()]  # no progress
    return line


def test_a_name_that_the_hub_does_not_know_is_one_line(run: Run):
    assert "org/none: no such directory, and the hub has no such model" in refused(run, "org/none")


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_repository_without_a_file_is_named_with_it(hub: Hub, run: Run, missing: str):
    del hub.repositories["org/name"][missing]
    assert f"org/name: on the hub, but without {missing};" in refused(run)


def test_without_a_network_the_reason_is_one_line(hub: Hub, run: Run):
    hub.close()
    assert "org/name: no such directory, and the hub cannot be reached (" in refused(run)


def test_the_client_s_offline_mode_is_obeyed(hub: Hub, run: Run):
    assert "the hub cannot be reached (" in refused(run, HF_HUB_OFFLINE="1")
    assert hub.sent == []


def test_an_answer_of_the_server_is_named(hub: Hub, run: Run):
    hub.refusal = 403
    assert "the hub answers 403" in refused(run)


def test_a_checkpoint_that_is_no_saved_model_is_named(hub: Hub, run: Run):
    config = json.loads(hub.repositories["org/name"]["config.json"])
    del config["jointbert"]
    hub.repositories["org/name"]["config.json"] = json.dumps(config).encode()
    assert "no section 'jointbert'" in refused(run)
