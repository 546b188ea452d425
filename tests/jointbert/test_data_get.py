"""Downloads: checked, resumed, and clear where they fail. The server is on this machine."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jointbert import data_get
from jointbert.data_get import TASKS, File, get
from modelparity.errors import InputError, UsageError

CONTENT = {f"t/{n}": (n * 1000).encode() for n in ("train/seq.in", "train/label")}


class Server:
    """Serves CONTENT; notes the ranges asked for; can break off, or ignore ranges."""

    def __init__(self) -> None:
        self.content = dict(CONTENT)
        self.ranges: list[str | None] = []
        self.breaks_after = 0
        self.knows_ranges = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = self.content.get(request.path[1:])
        if body is None:
            request.send_error(404)
            return
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.knows_ranges else 0
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        end = start + self.breaks_after if self.breaks_after else len(body)
        request.wfile.write(body[start:end])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    files = tuple(
        File(path.removeprefix("t/"), len(body), hashlib.sha256(body).hexdigest())
        for path, body in CONTENT.items()
    )
    monkeypatch.setattr(data_get, "TASKS", {"t": files})
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def quiet(_: str) -> None:
    pass


def complete(directory: Path) -> bool:
    return all((directory / p[2:]).read_bytes() == body for p, body in CONTENT.items())


def test_every_file_arrives_as_published(server: Server, tmp_path: Path):
    assert get("t", tmp_path, server.address, quiet) == 2
    assert complete(tmp_path)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path, ranges: bool):
    server.breaks_after = 5000
    with pytest.raises(InputError):
        get("t", tmp_path, server.address, quiet)
    assert not (tmp_path / "train" / "seq.in").exists()
    server.breaks_after, server.knows_ranges = 0, ranges
    get("t", tmp_path, server.address, quiet)
    assert complete(tmp_path)
    assert server.ranges[1] == "bytes=5000-"


def test_what_is_complete_is_not_fetched_again(server: Server, tmp_path: Path):
    get("t", tmp_path, server.address, quiet)
    server.ranges.clear()
    get("t", tmp_path, server.address, quiet)
    assert server.ranges == []


def test_other_content_is_refused_and_not_kept(server: Server, tmp_path: Path):
    server.content["t/train/seq.in"] = b"x" * len(CONTENT["t/train/seq.in"])
    with pytest.raises(InputError, match="SHA-256"):
        get("t", tmp_path, server.address, quiet)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_of_one_s_own_is_left_alone(server: Server, tmp_path: Path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "seq.in").write_text("mine")
    with pytest.raises(InputError, match="differs from what is published"):
        get("t", tmp_path, server.address, quiet)
    assert (tmp_path / "train" / "seq.in").read_text() == "mine"


def test_a_missing_file_is_named_with_the_server_s_answer(server: Server, tmp_path: Path):
    server.content.clear()
    with pytest.raises(InputError, match="the server answers 404"):
        get("t", tmp_path, server.address, quiet)


def test_without_a_network_the_way_out_is_named(server: Server, tmp_path: Path):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(InputError, match=r"cannot be reached .* --base-url"):
        get("t", tmp_path, server.address, quiet)


def test_other_addresses_than_web_addresses_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="--base-url"):
        get("atis", tmp_path, "file:///etc", quiet)


def test_the_published_digests_are_those_of_the_data_in_use(shared: Path):
    for task, files in TASKS.items():
        for file in files:
            content = (shared / "data" / task / file.path).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.digest)
