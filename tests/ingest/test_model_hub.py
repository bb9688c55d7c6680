"""A hub's model: fetched once from a real server, kept with its hashes, checked at each load."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import ConfigurationError, ServiceError
from ingest.model_hub import HubModel

REVISION = "0123456789abcdef0123456789abcdef01234567"
FILES = {"onnx/model.onnx": b"weights " * 1000, "tokenizer.json": b"{}"}


class Hub(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = dict(FILES)
        self.status = 200
        self.cut = False
        self.seen: list[str] = []
        self.hold: threading.Event | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        if self.server.hold is not None:
            self.server.hold.wait(10)
        start = f"/owner/name/resolve/{REVISION}/"
        if self.path.startswith(start) and self.path != start + "tokenizer.json":  # as hubs send large files
            return self.redirect("/store/" + self.path.removeprefix(start))
        content = self.server.files.get(self.path.removeprefix(start).removeprefix("/store/"))
        status = 404 if content is None else self.server.status
        self.send_response(status)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if content:
            self.wfile.write(content[: len(content) // 2] if self.server.cut else content)

    def redirect(self, place: str) -> None:
        self.send_response(302)
        self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def model(hub: Hub, folder: Path, **more: Any) -> HubModel:
    return HubModel("owner/name", REVISION, folder=folder, hub_url=f"http://127.0.0.1:{hub.server_port}/", **more)


def test_fetched_once_and_offline_from_then_on(hub: Hub, tmp_path: Path) -> None:
    said: list[str] = []
    files = model(hub, tmp_path / "models", say=said.append).files()
    assert files.model.read_bytes() == FILES["onnx/model.onnx"] and files.tokenizer.read_bytes() == b"{}"
    assert len(said) == 1 and "owner/name" in said[0]
    asked = len(hub.seen)
    assert model(hub, tmp_path / "models", say=said.append).files() == files
    assert len(hub.seen) == asked and len(said) == 1
    assert [one.name for one in (tmp_path / "models").iterdir()] == [f"owner--name@{REVISION}"]


def test_a_file_that_changed_is_refused(hub: Hub, tmp_path: Path) -> None:
    files = model(hub, tmp_path).files()
    files.model.write_bytes(b"other weights")
    with pytest.raises(ConfigurationError, match=r"model\.onnx.*not what was fetched"):
        model(hub, tmp_path).files()
    (files.tokenizer.parent / "sha256.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="hashes"):
        model(hub, tmp_path).files()
    (files.tokenizer.parent / "sha256.json").write_text(json.dumps({"../../etc/passwd": "0", "tokenizer.json": "0"}))
    with pytest.raises(ConfigurationError, match="hashes"):
        model(hub, tmp_path).files()


@pytest.mark.parametrize("fault", ["cut", "500", "no-model", "no-tokenizer", "large"])
def test_a_failed_fetch_leaves_nothing_and_is_not_tried_at_once_again(hub: Hub, tmp_path: Path, fault: str) -> None:
    hub.cut = fault == "cut"
    hub.status = 500 if fault == "500" else 200
    if fault.startswith("no-"):
        hub.files.pop("onnx/model.onnx" if fault == "no-model" else "tokenizer.json")
    one = model(hub, tmp_path, most_bytes=100 if fault == "large" else 100_000)
    with pytest.raises(ServiceError, match="owner/name"):
        one.files()
    asked = len(hub.seen)
    with pytest.raises(ServiceError):
        one.files()
    assert len(hub.seen) == asked
    assert list(tmp_path.iterdir()) == []


def test_others_do_not_wait_for_the_one_who_fetches(hub: Hub, tmp_path: Path) -> None:
    hub.hold = threading.Event()
    one = model(hub, tmp_path)
    first = threading.Thread(target=one.files)
    first.start()
    while not hub.seen:
        first.join(0.01)
    with pytest.raises(ServiceError, match="being fetched"):
        one.files()
    hub.hold.set()
    first.join(10)
    assert one.files().model.is_file()


@pytest.mark.parametrize(
    "name", ["owner/name", "owner/name@main", f"owner/name@{REVISION[:-1]}", f"../x@{REVISION}", f"a/../b@{REVISION}",
             f"owner/name@{REVISION.upper()}", f"a/b/c@{REVISION}"]
)  # fmt: skip
def test_only_a_full_commit_names_a_model(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="40 hexadecimal"):
        HubModel.named(name, "QUOTH_RERANKER", folder=tmp_path, hub_url="https://hub.example", say=print)


def test_files_a_model_needs_besides_are_fetched_and_checked_too(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"has no config\.json"):
        model(hub, tmp_path / "absent", also=("config.json",)).files()
    hub.files["config.json"] = b'{"id2label": {}}'
    files = model(hub, tmp_path / "models", also=("config.json",)).files()
    beside = files.tokenizer.parent / "config.json"
    assert beside.read_bytes() == b'{"id2label": {}}' and files.model.name == "model.onnx"
    beside.write_bytes(b"{}")
    with pytest.raises(ConfigurationError, match=r"config\.json"):
        model(hub, tmp_path / "models", also=("config.json",)).files()
