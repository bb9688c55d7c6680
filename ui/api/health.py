"""Whether the server lives, and whether it can answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from assistant.bootstrap import Quoth
from ingest.access import LOCAL, PERSON
from ui.api.identity import Asking
from ui.api.problems import REFUSALS

router = APIRouter(prefix="/api", tags=["health"])


@router.get("/health", summary="The process lives")
def health() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/ready", summary="Questions can be answered: the database is there and prepared",
            responses={503: {"description": "not yet, or not any more"}})  # fmt: skip
def ready(request: Request) -> JSONResponse:
    try:
        quoth: Quoth = request.app.state.quoth()
        quoth.ready()
    except Exception as error:  # whatever it is, the answer is the same: not now; the log says why
        return JSONResponse({"status": "unavailable", "reason": type(error).__name__}, 503)
    return JSONResponse({"status": "ready"})


@router.get("/me", summary="Who you are here, and what you may do", responses=REFUSALS)
def me(caller: Asking) -> dict[str, Any]:
    return {
        "name": caller.reader.name,
        "groups": sorted(one for one in caller.reader.groups if not one.startswith(PERSON)),
        "roles": sorted(caller.roles),
        "way": caller.way,
        "reads_all": caller.reader == LOCAL,
    }
