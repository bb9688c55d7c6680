"""Files and batches of the stand-in for the OpenAI API: JSONL in, JSONL out in another order, as the Batch API does.

A batch is worked off when it has been looked at often enough; what then goes wrong is said before.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Fault = Literal[
    "", "expired", "failed", "some-errors", "some-broken", "no-usage", "slow", "500", "404", "create-unheard"
]
MOST_REQUESTS: Final = 50_000
MOST_INPUTS: Final = 50_000
Embed = Callable[[dict[str, Any]], dict[str, Any]]  # body of a request to the body of its answer; ValueError: refused


@dataclass
class _Batch:
    id: str
    file: str
    metadata: dict[str, str]
    looks: int = 0
    status: str = "validating"
    output: str | None = None
    errors: str | None = None
    failure: str | None = None


@dataclass
class LoopbackBatches:
    """State and doors of /v1/files and /v1/batches.

    Attributes:
        looks_until_done: how often a batch is looked at before it is over.
        fault: what goes wrong; "some-...": with every third request; "create-unheard": a batch is made, and the answer
            to that is an error.
        worked: the requests that were answered, in order: what is paid for.
    """

    embed: Embed
    looks_until_done: int = 1
    fault: Fault = ""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, _Batch] = field(default_factory=dict)
    worked: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    _count: int = 0

    def routes(self) -> list[Route]:
        return [
            Route("/v1/files", self._upload, methods=["POST"]),
            Route("/v1/files/{id}/content", self._content),
            Route("/v1/files/{id}", self._delete, methods=["DELETE"]),
            Route("/v1/batches", self._create, methods=["POST"]),
            Route("/v1/batches", self._list),
            Route("/v1/batches/{id}", self._retrieve),
        ]

    async def _upload(self, request: Request) -> Response:
        if down := await self._down(request):
            return down
        form = await request.form()
        if form.get("purpose") != "batch":
            return _refused(400, "invalid_purpose")
        file: Any = form["file"]
        content = await file.read()
        id = self._new("file")
        self.files[id] = content
        told = {"bytes": len(content), "filename": file.filename, "purpose": "batch", "status": "processed"}
        return JSONResponse({"id": id, "object": "file", "created_at": 0, **told})

    async def _content(self, request: Request) -> Response:
        if down := await self._down(request):
            return down
        content = self.files.get(request.path_params["id"])
        return _refused(404, "not_found") if content is None else Response(content)

    async def _delete(self, request: Request) -> Response:
        id = request.path_params["id"]
        if self.files.pop(id, None) is None:
            return _refused(404, "not_found")
        self.deleted.append(id)
        return JSONResponse({"id": id, "object": "file", "deleted": True})

    async def _create(self, request: Request) -> Response:
        if down := await self._down(request):
            return down
        body = await request.json()
        if body.get("completion_window") != "24h" or body.get("endpoint") != "/v1/embeddings":
            return _refused(400, "invalid_request")
        if body.get("input_file_id") not in self.files:
            return _refused(400, "file_not_found")
        batch = _Batch(self._new("batch"), body["input_file_id"], body.get("metadata") or {})
        self.batches[batch.id] = batch
        if self.fault == "create-unheard":
            self.fault = ""
            return _refused(503, "server_error")
        return JSONResponse(_shown(batch))

    async def _list(self, request: Request) -> Response:
        newest = [_shown(one) for one in reversed(self.batches.values())]
        return JSONResponse({"object": "list", "data": newest, "has_more": False})

    async def _retrieve(self, request: Request) -> Response:
        if down := await self._down(request):
            return down
        batch = self.batches.get(request.path_params["id"])
        if batch is None:
            return _refused(404, "not_found")
        batch.looks += 1
        if batch.status in ("validating", "in_progress"):
            batch.status = "in_progress"
            if batch.looks >= self.looks_until_done:
                self._work_off(batch)
        return JSONResponse(_shown(batch))

    def _work_off(self, batch: _Batch) -> None:
        requests = [json.loads(line) for line in self.files[batch.file].splitlines()]
        inputs = sum(len(one["body"]["input"]) for one in requests)
        ids = {one["custom_id"] for one in requests}
        if len(ids) != len(requests) or len(requests) > MOST_REQUESTS or inputs > MOST_INPUTS or self.fault == "failed":
            batch.status, batch.failure = "failed", "invalid_batch"
            return
        done: list[bytes] = []
        refused: list[bytes] = []
        for number, one in enumerate(reversed(requests)):  # in no order that anybody was promised
            third = number % 3 == 0
            line: dict[str, Any] = {"id": f"line_{number}", "custom_id": one["custom_id"], "error": None}
            if self.fault == "expired" and not third:
                refused.append(_line(line | {"response": None, "error": {"code": "batch_expired", "message": ""}}))
                continue
            try:
                if self.fault == "some-errors" and third:
                    raise ValueError
                answer = self.embed(one["body"])
            except ValueError:
                body = {"error": {"code": "invalid_input", "message": ""}}
                refused.append(_line(line | {"response": {"status_code": 400, "request_id": "", "body": body}}))
                continue
            self.worked.append(one)
            if self.fault == "some-broken" and third:
                answer = {**answer, "data": answer["data"][1:]}
            if self.fault == "no-usage":
                answer = {**answer, "usage": None}
            done.append(_line(line | {"response": {"status_code": 200, "request_id": "", "body": answer}}))
        if self.fault == "some-broken":
            done.insert(0, b"this is not JSON\n")
        batch.status = "expired" if self.fault == "expired" else "completed"
        for kind, lines in (("output", done), ("errors", refused)):
            if lines:
                id = self._new("file")
                self.files[id] = b"".join(lines)
                setattr(batch, kind, id)

    async def _down(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not key or key == "wrong":
            return _refused(401, "invalid_api_key")
        if self.fault == "slow":
            await asyncio.sleep(3600)
        if self.fault in ("500", "404"):
            return _refused(int(self.fault), "server_error" if self.fault == "500" else None)
        return None

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"


def _shown(batch: _Batch) -> dict[str, Any]:
    failure = {"object": "list", "data": [{"code": batch.failure, "message": "no"}]} if batch.failure else None
    return {
        "id": batch.id, "object": "batch", "endpoint": "/v1/embeddings", "errors": failure,
        "input_file_id": batch.file, "completion_window": "24h", "status": batch.status, "output_file_id": batch.output,
        "error_file_id": batch.errors, "created_at": int(time.time()), "metadata": batch.metadata,
    }  # fmt: skip


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"


def _refused(status: int, code: str | None) -> Response:
    return JSONResponse({"error": {"message": "no", "type": "error", "param": None, "code": code}}, status)
