"""Whether cases can still be measured: where their gold stands now, and what of it is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.bootstrap import Quoth
from evals.case_run import asker_of
from evals.cases import Case
from evals.gold import GoldFinder
from ingest.access import Reader


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a case from being measured as it is meant."""

    case_id: str
    gold: int | None  # its number, from 1
    what: str  # in words


@dataclass(frozen=True, slots=True)
class CaseCheck:
    cases: int
    answerable: int
    types: dict[str, int]
    gold: int
    located: int
    troubles: tuple[Trouble, ...]


def check_cases(quoth: Quoth, cases: Sequence[Case], reader: Reader, collection: str | None = None) -> CaseCheck:
    """Look for every gold quote in the current versions, and whether its asker may read it there."""
    finder = GoldFinder(quoth.catalog, collection)
    readable: dict[Reader, set[object]] = {}
    troubles: list[Trouble] = []
    located = total = 0
    for case in cases:
        if not case.answerable:
            if case.gold:
                troubles.append(Trouble(case.id, None, "it has gold but is not answerable; the gold is not looked at"))
            continue
        if not case.gold:
            troubles.append(Trouble(case.id, None, "it is answerable and has no gold, so it cannot be scored"))
        asker = asker_of(case, reader)
        if asker not in readable:
            readable[asker] = {document.id for document in quoth.catalog.documents(asker, collection)}
        for number, gold in enumerate(case.gold, 1):
            total += 1
            found = finder.locate(gold)
            if found.problem:
                troubles.append(Trouble(case.id, number, found.problem))
                continue
            located += 1
            if gold.collection is None and not any(place.document in readable[asker] for place in found.places):
                troubles.append(Trouble(case.id, number, f"its asker may not read {gold.source!r}"))
    kinds = Counter(case.type or "-" for case in cases)
    answerable = sum(case.answerable for case in cases)
    return CaseCheck(len(cases), answerable, dict(kinds), total, located, tuple(troubles))


def check_json(found: CaseCheck) -> dict[str, Any]:
    return {
        "cases": found.cases,
        "answerable": found.answerable,
        "types": found.types,
        "gold": found.gold,
        "located": found.located,
        "troubles": [{"id": one.case_id, "gold": one.gold, "what": one.what} for one in found.troubles],
    }


def check_table(found: CaseCheck) -> str:
    lines = [
        f"{found.cases} cases, {found.answerable} of them answerable",
        f"{found.located} of {found.gold} gold quotes found",
        ", ".join(f"{n} {kind}" for kind, n in found.types.items()),
    ]
    for one in found.troubles:
        lines.append(f"{one.case_id}{f', gold {one.gold}' if one.gold else ''}: {one.what}")
    return "\n".join(lines)
