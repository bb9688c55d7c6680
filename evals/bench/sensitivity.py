"""Whether the gate would notice: deliberate faults, each wired in, each to be caught by some measure.

    python -m evals.bench.sensitivity [--cases N] [--json]

runs the sample documents' cases, in the store that QUOTH_ variables name (it adds the samples where they are missing),
once as they should run and once with each fault, and prints which measures caught it. Nothing is patched: a fault is
another search, checker, answerer or setting handed to the same product, or a change of what it hands back.

Exit code 1 when a fault goes unnoticed, or the gate stops a second run without one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from assistant.answering import Answering, AnsweringSettings
from assistant.bootstrap import Quoth, open_quoth
from assistant.context import ContextSettings
from assistant.model import Answerer, Checker, Context, DraftClaim, DraftEnd, Verdict
from assistant.quoting import QuotedAnswerer
from evals.answers_run import AnswersRun, Asking, RunOptions, evaluate_answers
from evals.cases import Case
from evals.gating import Check, bars_from, gate
from evals.sampling import SAMPLES, load_samples
from evals.systems import Given, QuothSystem
from ingest.access import LOCAL, Reader
from ingest.metering import Caller
from ingest.model import DocumentId
from retrieval.model import Hit, SearchResult
from retrieval.narrowing import Narrowing
from retrieval.search import Search
from retrieval.settings import RetrievalSettings

ASKED_BY: Final = Reader("eval", frozenset(), operator=LOCAL.name)
LEFT_OUT: Final = 3  # a stale index lacks every third document
BARS: Final[Mapping[str, Any]] = {
    "quote_match": {"min": 1.0},
    "citation_validity": {"min": 1.0},
    "access_leaks": {"max": 0.0},
    "unjudged": {"max": 0.0},
    **{
        name: {"max_drop": 0.02}
        for name in (
            "citation_recall_of_answerable",
            "citation_precision",
            "faithfulness",
            "gold_citation_recall_of_answerable",
            "gold_citation_precision_of_answerable",
            "gold_in_context",
            "fused_ndcg_10",
            "reranked_ndcg_10",
        )
    },
}


@dataclass(frozen=True, slots=True)
class Changing:
    """A system whose answers are changed on their way out."""

    inner: QuothSystem
    change: Callable[[Given], Given]
    name: str

    @property
    def facts(self) -> Mapping[str, str]:
        return {**self.inner.facts, "system": self.name}

    def candidates(self, question: str, asker: Reader) -> tuple[Hit, ...] | None:
        return self.inner.candidates(question, asker)

    def answer(self, case: Case, asker: Reader) -> Given:
        return self.change(self.inner.answer(case, asker))


class LeakingSearch(Search):
    """Searches as somebody who may read everything."""

    def __init__(self, inner: Search) -> None:
        self._inner = inner

    def search(self, question: str, reader: Reader, **more: Any) -> SearchResult:
        return self._inner.search(question, LOCAL, **more)

    def candidates(
        self,
        question: str,
        reader: Reader,
        *,
        depth: int,
        collection: str | None = None,
        narrowing: Narrowing | None = None,
        caller: Caller | None = None,
    ) -> SearchResult:
        return self._inner.candidates(
            question, LOCAL, depth=depth, collection=collection, narrowing=narrowing, caller=caller
        )


class StaleSearch(Search):
    """Finds nothing in some documents, as an index does that was made before they came."""

    def __init__(self, inner: Search, unknown: frozenset[DocumentId]) -> None:
        self._inner = inner
        self._unknown = unknown

    def search(self, question: str, reader: Reader, **more: Any) -> SearchResult:
        return self._without(self._inner.search(question, reader, **more))

    def candidates(
        self,
        question: str,
        reader: Reader,
        *,
        depth: int,
        collection: str | None = None,
        narrowing: Narrowing | None = None,
        caller: Caller | None = None,
    ) -> SearchResult:
        return self._without(
            self._inner.candidates(
                question, reader, depth=depth, collection=collection, narrowing=narrowing, caller=caller
            )
        )

    def _without(self, found: SearchResult) -> SearchResult:
        return replace(found, hits=tuple(hit for hit in found.hits if hit.document not in self._unknown))


@dataclass(frozen=True, slots=True)
class AlwaysYes:
    """A support checker that has stopped checking."""

    name: str = "always yes"

    def check(self, claim: str, quotes: Sequence[str], *, around: Sequence[str]) -> Verdict:
        return Verdict(True, 1.0, "")


@dataclass(frozen=True, slots=True)
class Careless:
    """Quotes, and adds a sentence that no document holds, as a model may; a checker that works refuses it."""

    inner: QuotedAnswerer
    name: str = "careless"
    prompt_version: str = "careless"

    def draft(self, question: str, context: Context, search: SearchResult) -> Iterator[DraftClaim | DraftEnd]:
        for item in self.inner.draft(question, context, search):
            yield item if isinstance(item, DraftClaim) else replace(item, model=self.name)
            if isinstance(item, DraftClaim):
                yield DraftClaim("Nobody has ever been paid more than 9,417 crowns for it.", item.evidence)


def wired(
    quoth: Quoth,
    name: str,
    *,
    search: Search | None = None,
    checker: Checker | None = None,
    answerers: Sequence[Answerer] | None = None,
    settings: AnsweringSettings | None = None,
) -> QuothSystem:
    """The store's own parts, with some of them others."""
    searching = search or quoth.searching
    answering = Answering(
        searching,
        quoth.surroundings,
        quoth.catalog,
        quoth.answers,
        answerers or [QuotedAnswerer()],
        checker or quoth.checker,
        quoth.embedder.count_tokens,
        settings or AnsweringSettings(),
    )
    return QuothSystem(quoth, None, answering, searching, name)


def shifted(given: Given) -> Given:
    """Every citation one character too far on."""
    moved = [replace(one, start=one.start + 1, end=one.end + 1) for one in given.answer.citations]
    return replace(given, answer=replace(given.answer, citations=tuple(moved)))


def of_another_version(given: Given) -> Given:
    """Every citation in the version after the one it was found in."""
    moved = [replace(one, version=one.version + 1) for one in given.answer.citations]
    return replace(given, answer=replace(given.answer, citations=tuple(moved)))


def shuffled(given: Given) -> Given:
    """Every sentence with the citations of the next one."""
    claims = given.answer.claims
    markers = [claim.citations for claim in claims]
    moved = [replace(claim, citations=of) for claim, of in zip(claims, [*markers[1:], *markers[:1]], strict=True)]
    return replace(given, answer=replace(given.answer, claims=tuple(moved)))


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    system: QuothSystem | Changing
    than: QuothSystem | None = None  # what it is compared with, where that is not the product as it is


def faults(quoth: Quoth) -> list[Fault]:
    """The ten, for one store."""
    usual = AnsweringSettings()
    plain = wired(quoth, "as it is")
    careless = [Careless(QuotedAnswerer())]
    sources = sorted(quoth.catalog.documents(LOCAL), key=lambda one: one.source)
    unknown = frozenset(one.id for one in sources[::LEFT_OUT])
    # a busy machine must not decide what is re-ranked: all of it, or nothing
    patient = RetrievalSettings(rerank_budget_s=120.0)
    lexical_only = Search(quoth.database, quoth.spaces, None, replace(patient, alpha=0.0, alpha_unread=0.0))
    return [
        Fault("off-by-one spans", Changing(plain, shifted, "off-by-one spans")),
        Fault("shuffled citations", Changing(plain, shuffled, "shuffled citations")),
        Fault("reranker off", wired(quoth, "reranker off", search=Search(quoth.database, quoth.spaces, None, patient))),
        Fault("wrong version", Changing(plain, of_another_version, "wrong version")),
        Fault("a dropped stage", wired(quoth, "a dropped stage", search=lexical_only)),
        Fault("lower k", wired(quoth, "lower k", settings=replace(usual, hits=1))),
        Fault(
            "truncated context",
            wired(
                quoth,
                "truncated context",
                settings=replace(usual, context=ContextSettings(max_passages=1, max_tokens=100, grown=0, join=False)),
            ),
        ),
        Fault(
            "checker always yes",
            wired(quoth, "checker always yes", checker=AlwaysYes(), answerers=careless),
            wired(quoth, "careless", answerers=careless),
        ),
        Fault("stale index", wired(quoth, "stale index", search=StaleSearch(quoth.searching, unknown))),
        Fault("leaked document", wired(quoth, "leaked document", search=LeakingSearch(quoth.searching))),
    ]


@dataclass(frozen=True, slots=True)
class Caught:
    fault: str
    by: tuple[Check, ...]  # the bars that were not met


def sensitivity(
    quoth: Quoth, cases: Path, say: Callable[[str], None], *, only: Sequence[str] = (), reader: Reader = ASKED_BY
) -> list[Caught]:
    """Run cases without and with each fault; the first of the list is a second run without one.

    Args:
        only: names of faults; none: all of them. Those of retrieval show only among documents that are hard to tell
            apart, and more of them than a few.
    """
    bars = bars_from(dict(BARS), "the bars")

    def measured(system: QuothSystem | Changing) -> AnswersRun:
        say(f"{system.name} ...")
        return evaluate_answers(quoth, cases, Asking(reader, None, quoth.checker, system), RunOptions(fresh=True))

    baseline = measured(wired(quoth, "as it is"))
    found = []
    chosen = [fault for fault in faults(quoth) if not only or fault.name in only]
    for fault in [Fault("no fault", wired(quoth, "no fault")), *chosen]:
        former = baseline if fault.than is None else measured(fault.than)
        result = gate(measured(fault.system), bars, former)
        found.append(Caught(fault.name, tuple(check for check in result.checks if not check.met)))
    return found


def with_outsiders(cases: Path, folder: Path, most: int | None) -> Path:
    """The cases, and those of restricted documents once more, asked by somebody in no group: they are to abstain."""
    lines = [json.loads(line) for line in cases.read_text(encoding="utf-8").splitlines() if line.strip()]
    restricted = [line for line in lines if line.get("groups")]
    kept = lines if most is None else [*restricted, *(line for line in lines if not line.get("groups"))][:most]
    kept += [
        {**line, "id": f"{line['id']}-outsider", "answerable": False, "gold": [], "groups": [], "type": "outsider"}
        for line in kept
        if line.get("groups")
    ]
    file = folder / "cases.jsonl"
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept), encoding="utf-8")
    return file


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.bench.sensitivity", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cases", type=int, metavar="N", help="only so many cases; those of restricted documents first"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with open_quoth(os.environ, say=say) as quoth, TemporaryDirectory() as folder:
        load_samples(quoth)
        cases = with_outsiders(SAMPLES / "cases.jsonl", Path(folder), arguments.cases)
        found = sensitivity(quoth, cases, say)
    for one in found:
        named = {check.bar.measure: f"{check.bar.measure} ({check.why})" for check in one.by}
        if arguments.json:
            print(json.dumps({"fault": one.fault, "caught_by": list(named)}))
        else:
            print(f"{one.fault:<20} {'; '.join(named.values()) or ('-' if one.fault == 'no fault' else 'NOT CAUGHT')}")
    return 0 if all(bool(one.by) == (one.fault != "no fault") for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
