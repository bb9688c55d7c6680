"""Cases of a file become kept ones: each gold quote the span where it stands now, found under the importer's rights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evals.case_check import Trouble
from evals.cases import Case
from evals.gold import GoldFinder
from evals.kept_cases import MOST_QUESTION_CHARS, GoldSpan, KeptCases, NewCase
from ingest.access import Reader
from ingest.errors import UsageError

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

MOST_CASES = 20_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's cases."""

    file: str
    version: int
    added: int
    refused: tuple[Trouble, ...]  # one a case


def import_cases(
    quoth: Quoth, file: str, cases: Sequence[Case], by: Reader, *, collection: str | None = None
) -> Imported:
    """Keep cases in a file of the store, as one version of it.

    Words that may be a document's are not kept: gold becomes spans, and reference answers and nuggets are left out.

    Raises:
        UsageError: the name cannot be used, or there are too many.
    """
    if len(cases) > MOST_CASES:
        raise UsageError(f"{len(cases):,} cases are too many. Import {MOST_CASES:,} at a time, at most.")
    finder = GoldFinder(quoth.catalog, collection, by)
    may = principals_of(quoth, by)
    refused: list[Trouble] = []
    new: list[NewCase] = []
    for case in cases:
        flaw = beyond(case, may)
        gold: list[GoldSpan] = []
        for at, one in enumerate(case.gold if case.answerable else (), 1):
            found = finder.locate(one)
            if found.places:
                gold.append(GoldSpan(found.places[0].document, found.places[0].version, found.places[0].span))
            else:
                flaw = flaw or f"gold {at}: {found.problem}"
        if flaw is None and any(len(turn) > MOST_QUESTION_CHARS for turn in case.turns):
            flaw = f"an earlier question is longer than {MOST_QUESTION_CHARS:,} characters"
        if flaw is not None:
            refused.append(Trouble(case.id, None, flaw))
            continue
        new.append(
            NewCase(case.question, case.answerable, tuple(gold), case.type, case.turns, case.groups, case.tags, case.id)
        )
    not_kept, version = KeptCases(quoth.database).add_many(file, new, by=by)
    refused += [Trouble(one.id or "", None, words) for one, words in not_kept]
    return Imported(file, version, len(new) - len(not_kept), tuple(refused))


def principals_of(quoth: Quoth, reader: Reader) -> frozenset[str] | None:
    """All that a reader is; None: everything."""
    return None if reader.reads_all else frozenset(quoth.groups.principals(reader))


def beyond(case: Case, may: Collection[str] | None) -> str | None:
    """That a case would be asked by a group that whoever brings it does not belong to, in words."""
    if may is None or case.groups is None:
        return None
    others = [name for name in case.groups if name not in may]
    return f"it is asked as a member of {others[0]!r}, which you are not" if others else None
