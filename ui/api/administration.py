"""Groups, for administrators; what models were used for, for administrators and, of their own, for everybody."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from assistant.bootstrap import Quoth
from assistant.model_calls import Grouping, Used
from ui.api.identity import Administering, Asking
from ui.api.problems import REFUSALS, answered

router = APIRouter(prefix="/api", responses=REFUSALS)
GROUP: Final = {"group": "managers", "members": ["user:ada", "user:bo"]}
USED: Final = {"calls": 12, "failed": 0, "input_tokens": 41_000, "cached_input_tokens": 20_480, "output_tokens": 900,
               "cost_usd": 0.021}  # fmt: skip
Group = Annotated[str, InPath(min_length=1, max_length=127, examples=["managers"])]
Since = Annotated[date | None, Query(description="the first day, in UTC; absent: from the beginning")]


class MembersRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    add: list[str] = Field([], max_length=500, examples=[["user:ada", "engineering"]])
    remove: list[str] = Field([], max_length=500, examples=[["user:bo"]])


@router.get("/groups", summary="Groups and their members", tags=["groups"],
            responses=answered({"groups": [GROUP], "total": 1, "next_offset": None}))  # fmt: skip
def groups(
    request: Request,
    caller: Administering,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    found = list(_quoth(request).groups.all().items())
    following = offset + limit
    return {
        "groups": [{"group": name, "members": list(members)} for name, members in found[offset:following]],
        "total": len(found),
        "next_offset": following if following < len(found) else None,
    }


@router.get("/groups/of/{member}", summary="The groups of a person (user:NAME) or a group", tags=["groups"],
            responses=answered({"member": "user:ada", "direct": ["managers"], "inherited": ["staff"]}))  # fmt: skip
def groups_of(
    request: Request, member: Annotated[str, InPath(min_length=1, max_length=132)], caller: Administering
) -> dict[str, Any]:
    found = _quoth(request).groups.belonging(member)
    return {"member": member, "direct": list(found.direct), "inherited": list(found.inherited)}


@router.patch("/groups/{group}", summary="Let members into a group, and take others out; holds at once",
              tags=["groups"],
              responses=answered({"group": "managers", "added": ["user:ada"], "removed": []}))  # fmt: skip
def change(request: Request, group: Group, wanted: MembersRequest, caller: Administering) -> dict[str, Any]:
    kept = _quoth(request).groups
    added = kept.add(group, wanted.add, by=caller.reader) if wanted.add else ()
    removed = kept.remove(group, wanted.remove, by=caller.reader) if wanted.remove else ()
    return {"group": group, "added": list(added), "removed": list(removed)}


@router.get("/usage", summary="What models were used for, by all", tags=["usage"],
            responses=answered({"by": "day", "used": [{"name": "2026-11-21", **USED}], "total": USED,
                                "next_offset": None, "limits": []}))  # fmt: skip
def usage(
    request: Request,
    caller: Administering,
    by: Grouping = "day",
    since: Since = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 366,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    quoth = _quoth(request)
    standing = [
        {"scope": one.scope, "limit": str(one.limit), "used": one.used, "reserved": one.reserved}
        for one in quoth.budgets.standing()
    ]
    return {**_used(quoth.model_calls.used(by, since=since), by, limit, offset), "limits": standing}


@router.get("/usage/mine", summary="What models were used for in your name", tags=["usage"],
            responses=answered({"by": "day", "used": [{"name": "2026-11-21", **USED}], "total": USED,
                                "next_offset": None}))  # fmt: skip
def own_usage(
    request: Request,
    caller: Asking,
    by: Grouping = "day",
    since: Since = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 366,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    return _used(_quoth(request).model_calls.used(by, since=since, of=caller.reader.name), by, limit, offset)


def _used(found: list[Used], by: Grouping, limit: int, offset: int) -> dict[str, Any]:
    *rows, total = found
    following = offset + limit
    return {
        "by": by,
        "used": [asdict(one) for one in rows[offset:following]],
        "total": {name: value for name, value in asdict(total).items() if name != "name"},
        "next_offset": following if following < len(rows) else None,
    }


def _quoth(request: Request) -> Quoth:
    quoth: Quoth = request.app.state.quoth()
    return quoth
