"""Documents: list, read, upload, decide who reads, reindex, remove."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, File, Form, Header, Query, Request, UploadFile
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from assistant.bootstrap import Quoth
from assistant.wire import document_json, item_json, receipt_json
from ingest.access import group_names
from ingest.catalog import has_page_images
from ingest.discovery import Input
from ingest.document_list import Order, Wanted, attached_to, list_documents, taken_from
from ingest.errors import UsageError
from ingest.intake_rows import FEW, UPLOAD, Item
from ingest.model import Document, DocumentId
from ingest.storing import Identity
from ui.api.identity import Asking, Owning
from ui.api.problems import REFUSALS, Conflicting
from ui.upload_names import safe_path

MOST_FILES: Final = 100
BATCHES: Final = UUID("6f1c2d1e-0f0b-5c55-9d52-3f6a4d0b7c11")  # names of batches by Idempotency-Key
COPIED_AT_ONCE: Final = 1 << 20  # bytes
router = APIRouter(prefix="/api", responses=REFUSALS, tags=["documents"])
Version = Annotated[int | None, Query(ge=1, le=1_000_000_000, description="the current one when absent")]


class ReadersRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    readers: list[str] = Field(min_length=1, max_length=200, examples=[["hr", "board"]])


@router.get("/documents", summary="The documents that you may read")
def documents(
    request: Request,
    caller: Asking,
    words: Annotated[str, Query(max_length=200, description="in title, source or owner")] = "",
    collection: Annotated[str | None, Query(max_length=200)] = None,
    order: Order = "name",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
) -> dict[str, Any]:
    wanted = Wanted(words=words, collection=collection, order=order)
    found = list_documents(_quoth(request).database, caller.reader, wanted, limit=limit, offset=offset)
    following = offset + len(found.documents)
    return {
        "documents": [document_json(one) for one in found.documents],
        "total": found.total,
        "next_offset": following if found.documents and following < found.total else None,
    }


@router.get("/documents/{document}", summary="One document")
def document(request: Request, document: UUID, caller: Asking) -> dict[str, Any]:
    return document_json(_found(request, caller, document))


@router.get("/documents/{document}/text", summary="The canonical text of a version, exactly",
            response_class=PlainTextResponse)  # fmt: skip
def text(request: Request, document: UUID, caller: Asking, version: Version = None) -> PlainTextResponse:
    found = _found(request, caller, document)
    number = version or found.version
    words = _quoth(request).catalog.text(caller.reader, found.id, number)
    return PlainTextResponse(words, headers={"x-quoth-version": str(number)})


@router.get("/documents/{document}/original", summary="The bytes of a version as they were added",
            response_class=Response)  # fmt: skip
def original(request: Request, document: UUID, caller: Asking, version: Version = None) -> Response:
    found = _found(request, caller, document)
    data, _ = _quoth(request).catalog.original(caller.reader, found.id, version or found.version)
    # a download, whatever it is: nothing that a document holds is run or shown in this address' name
    return Response(data, media_type="application/octet-stream", headers={"content-disposition": "attachment"})


@router.get("/documents/{document}/pages/{page}", summary="A page as a picture", response_class=Response,
            responses={200: {"content": {"image/png": {}}}})  # fmt: skip
def page(
    request: Request,
    document: UUID,
    page: Annotated[int, InPath(ge=1, le=1_000_000)],
    caller: Asking,
    version: Version = None,
) -> Response:
    found = _found(request, caller, document)
    if not has_page_images(found.media_type):
        raise UsageError(f"There is no picture of the pages of {found.source!r}.")
    png = _quoth(request).catalog.page_image(caller.reader, found.id, version or found.version, page)
    return Response(png, media_type="image/png")


@router.post("/documents", summary="Upload files; they are taken in behind the scenes", status_code=202)
def upload(
    request: Request,
    caller: Owning,
    files: Annotated[list[UploadFile], File(description="each under the name it will have")],
    collection: Annotated[str, Form(min_length=1, max_length=200)] = "default",
    readers: Annotated[str | None, Form(max_length=4000, description="GROUP[,GROUP]; absent: as before, else everyone")]
    = None,
    owner: Annotated[str | None, Form(max_length=200)] = None,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> JSONResponse:  # fmt: skip
    """Sent again with the same Idempotency-Key, the same files give the same answer and are not taken in again."""
    quoth = _quoth(request)
    if len(files) > MOST_FILES:
        raise UsageError(f"More than {MOST_FILES} files at a time. Send them in parts, or use `quoth add`.")
    groups = group_names(readers) if readers else None
    with tempfile.TemporaryDirectory(prefix="quoth-api-") as scratch:
        inputs: list[Input] = []
        for number, file in enumerate(files):
            source = safe_path(file.filename or "")
            if not source:
                raise UsageError(f"File {number + 1} has no name that a document can have.")
            path = Path(scratch) / str(number)
            with path.open("wb") as out:
                while part := file.file.read(COPIED_AT_ONCE):
                    out.write(part)
            inputs.append(Input(path, Identity(collection, source), groups, owner or None))
        if len({one.identity for one in inputs}) < len(inputs):
            raise UsageError("Two of the files have the same name. Give each its own.")
        taken = taken_from(quoth.database, caller.reader, [one.identity for one in inputs])
        if taken:
            names = ", ".join(sorted(one.source for one in taken))
            raise Conflicting(f"Another's documents are called so: {names}. Choose another name or collection.")
        wanted = None if idempotency_key is None else _batch_of(caller.reader.name, idempotency_key)
        before = [] if wanted is None else _items(quoth, caller, wanted)
        if before:
            _refuse_other(before, inputs)
        batch, receipts = (
            (before[0].batch, []) if before
            else quoth.pipeline.hand_over(inputs, by=caller.reader, priority=UPLOAD, batch=wanted)
        )  # fmt: skip
    return JSONResponse(
        {
            "batch": str(batch),
            "items": [item_json(one) for one in _items(quoth, caller, batch)],
            "receipts": [receipt_json(one) for one in receipts],
        },
        202,
    )


@router.get("/batches/{batch}", summary="How far your files are")
def batch(request: Request, batch: UUID, caller: Owning) -> dict[str, Any]:
    items = _items(_quoth(request), caller, batch)
    if not items:
        raise UsageError(f"There is no batch {str(batch)!r} of yours.")
    return {"batch": str(batch), "items": [item_json(one) for one in items]}


@router.put("/documents/{document}/readers", summary="Decide who may read a document; holds at once")
def readers(request: Request, document: UUID, wanted: ReadersRequest, caller: Owning) -> dict[str, Any]:
    quoth = _quoth(request)
    found = _found(request, caller, document)
    names = group_names(",".join(wanted.readers))
    quoth.catalog.set_readers(found.id, names, by=caller.reader)
    return {"document": str(found.id), "readers": list(names)}


@router.post("/documents/{document}/reindex", summary="Read and index a stored document again", status_code=202)
def reindex(request: Request, document: UUID, caller: Owning) -> dict[str, Any]:
    quoth = _quoth(request)
    found = _found(request, caller, document)
    batch = uuid.uuid4()
    quoth.intake.submit_documents([found.id], "reindex", batch=batch, by=caller.reader, priority=FEW)
    quoth.pipeline.ensure_worker()
    return {"batch": str(batch)}


@router.delete("/documents/{document}", summary="Remove a document and everything made of it")
def remove(request: Request, document: UUID, caller: Owning) -> dict[str, Any]:
    quoth = _quoth(request)
    found = _found(request, caller, document)
    known = [one.source for one in attached_to(quoth.database, caller.reader, found.id)]
    gone = quoth.catalog.remove(found.id, by=caller.reader)
    # an attachment may have had readers of its own: what the caller could not read is not named
    return {"document": str(found.id), "source": found.source,
            "removed": [found.source, *(one for one in gone if one in known)]}  # fmt: skip


def _items(quoth: Quoth, caller: Asking, batch: UUID) -> list[Item]:
    return quoth.intake.recent(by=caller.reader, batch=batch, limit=MOST_FILES)


def _batch_of(principal: str, key: str) -> UUID:
    return uuid.uuid5(BATCHES, f"{principal}\0{key}")


def _refuse_other(before: Sequence[Item], inputs: Sequence[Input]) -> None:
    """
    Raises:
        Conflicting: the key was used for other files.
    """
    taken = {(one.identity, one.byte_count) for one in before if one.parent is None}
    if not taken <= {(one.identity, one.path.stat().st_size) for one in inputs}:
        raise Conflicting("This Idempotency-Key was used for other files. Use a new one.")


def _found(request: Request, caller: Asking, document: UUID) -> Document:
    found, _ = _quoth(request).catalog.find(caller.reader, str(DocumentId(document)))
    return found


def _quoth(request: Request) -> Quoth:
    quoth: Quoth = request.app.state.quoth()
    return quoth
