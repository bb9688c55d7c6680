"""Re-ranking by a service: both forms against a real server, and every way in which one can answer wrongly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest

from ingest.errors import ConfigurationError, ServiceError
from ingest.model import ChunkId, DocumentId
from retrieval.model import Hit
from retrieval.rerank_service import MOST_BYTES
from retrieval.reranking import Asked, Reranker, reranker_from

ASKED = Asked("How deep is the harbour?", None, {}, "en")


def hit(text: str) -> Hit:
    return Hit(
        rank=0, score=0.0, source="a.txt", collection="default", title="", document=DocumentId(UUID(int=1)),
        version=1, chunk=ChunkId(UUID(int=2)), page=None, start=0, end=len(text), heading=(), text=text,
        updated="2026-01-01", ranks={},
    )  # fmt: skip


class Endpoint(ThreadingHTTPServer):
    """Scores a passage by its length; `mode` says in which form it speaks, or what it does wrong."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.mode = "documents"
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def setting(self) -> str:
        return f"http:http://127.0.0.1:{self.server_port}/v1/rerank"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


class Answer(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        mode = self.server.mode
        self.server.seen.append(asked)
        self.server.keys.append(self.headers["Authorization"])
        if mode.isdigit():
            return self.send(b"<html>sorry</html>", int(mode))
        field = "texts" if mode in ("texts", "texts-400") else "documents"
        if field not in asked or ("texts" in asked and "documents" in asked):
            return self.send(b"missing field", 400 if mode == "texts-400" else 422)
        rows: list[dict[str, Any]] = [
            {"index": at, "score" if field == "texts" else "relevance_score": len(text) / 100}
            for at, text in enumerate(asked[field])
        ]
        rows.sort(key=lambda row: -row["index"])
        match mode:
            case "missing":
                rows.pop()
            case "doubled":
                rows.append(rows[0])
            case "out-of-range":
                rows[0]["index"] = len(rows)
            case "negative":
                rows[0]["index"] = -1
            case "true":
                rows[0]["index"] = True
            case "nan":
                rows[0]["relevance_score"] = float("nan")
            case "words":
                rows[0]["relevance_score"] = "high"
            case "logits":
                for row in rows:
                    row["relevance_score"] = row["relevance_score"] * 20 - 5
        content = json.dumps(rows if field == "texts" else {"results": rows, "model": "m"}).encode()
        match mode:
            case "no-json":
                content = b"<html>welcome</html>"
            case "nested":
                content = b"[" * 100_000
            case "object":
                content = b'{"scores": [1, 2]}'
            case "list-of-numbers":
                content = b'{"results": [1, 2]}'
            case "huge":
                content += b" " * (MOST_BYTES + 1)
            case "silent":
                time.sleep(3)
        self.send(content, 200, drip=mode == "drip")

    def send(self, content: bytes, status: int, *, drip: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()
        if drip:
            for at in range(len(content)):
                self.wfile.write(content[at : at + 1])
                self.wfile.flush()
                time.sleep(0.1)
        else:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def made(setting: str, key: str | None = None) -> Reranker:
    reranker = reranker_from(setting, key=key)
    assert reranker is not None
    return reranker


HITS = [hit("short"), hit("of some length"), hit("by far the longest of them all")]


@pytest.mark.parametrize("mode", ["documents", "texts", "texts-400"])
def test_the_form_is_found_out_once(endpoint: Endpoint, mode: str) -> None:
    endpoint.mode = mode
    reranker = made(endpoint.setting + "#some-model", key="sesame")
    expected = [len(one.text) / 100 for one in HITS]
    for _ in range(2):
        assert reranker.scores(ASKED, HITS, budget_s=5) == pytest.approx(expected)
    assert [sorted({"documents", "texts"} & set(body)) for body in endpoint.seen] == (
        [["documents"]] * 2 if mode == "documents" else [["documents"], ["texts"], ["texts"]]
    )
    assert {body["model"] for body in endpoint.seen} == {"some-model"}
    assert {body["query"] for body in endpoint.seen} == {ASKED.text}
    assert set(endpoint.keys) == {"Bearer sesame"}
    assert "sesame" not in reranker.name
    assert reranker.scores(ASKED, [], budget_s=5) == []


def test_another_form_later_is_found_too(endpoint: Endpoint) -> None:
    reranker = made(endpoint.setting)
    assert len(reranker.scores(ASKED, HITS, budget_s=5)) == 3
    endpoint.mode = "texts"
    with pytest.raises(ServiceError):
        reranker.scores(ASKED, HITS, budget_s=5)
    assert len(reranker.scores(ASKED, HITS, budget_s=5)) == 3
    assert "model" not in endpoint.seen[-1] and endpoint.keys[-1] is None


def test_scores_that_are_logits_become_shares_in_the_same_order(endpoint: Endpoint) -> None:
    endpoint.mode = "logits"
    scores = made(endpoint.setting).scores(ASKED, HITS, budget_s=5)
    assert scores == sorted(scores) and 0 < scores[0] < scores[2] < 1


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("missing", "2 of 3"),
        ("doubled", "twice"),
        ("out-of-range", "not asked for"),
        ("negative", "not asked for"),
        ("true", "not asked for"),
        ("nan", "no number"),
        ("words", "no number"),
        ("no-json", "not JSON"),
        ("nested", "not JSON"),
        ("object", "form|does not take"),
        ("list-of-numbers", "form|does not take"),
        ("huge", "more than"),
        ("302", "302"),
        ("401", "QUOTH_RERANKER_KEY"),
        ("404", "QUOTH_RERANKER"),
        ("429", "later"),
        ("500", "later"),
    ],
)
def test_a_wrong_answer_is_a_failure_in_words(endpoint: Endpoint, mode: str, words: str) -> None:
    endpoint.mode = mode
    with pytest.raises(ServiceError, match=words) as caught:
        made(endpoint.setting, key="sesame").scores(ASKED, HITS, budget_s=10)
    assert "sesame" not in str(caught.value) and "harbour" not in str(caught.value)


@pytest.mark.parametrize("mode", ["drip", "silent"])
def test_the_budget_ends_an_answer_that_does_not(endpoint: Endpoint, mode: str) -> None:
    endpoint.mode = mode
    reranker, many = made(endpoint.setting), HITS * 6
    with pytest.raises(ServiceError, match=r"within 0\.5 s"):
        reranker.scores(ASKED, many, budget_s=0.5)
    endpoint.mode = "documents"
    assert len(reranker.scores(ASKED, many, budget_s=5)) == 9  # half, after one that was too slow
    assert len(reranker.scores(ASKED, many, budget_s=5)) == 18


def test_nobody_there() -> None:
    with pytest.raises(ServiceError, match="cannot be reached"):
        made("http:http://127.0.0.1:9/rerank").scores(ASKED, HITS, budget_s=5)


@pytest.mark.parametrize(
    "setting", ["http:", "http:example", "http:ftp://x/y", "http:http://", "http:http://u:p@host/"]
)
def test_a_wrong_address_is_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="QUOTH_RERANKER"):
        reranker_from(setting)


def test_an_address_may_stand_alone() -> None:
    assert made("https://rerank.example/v1#m").name == "http:rerank.example#m"
    assert made("http:https://rerank.example/v1").name == "http:rerank.example"
