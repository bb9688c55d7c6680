"""Whether answers rest on what they cite: the same question again, with what was found changed.

An answer that stays when its passage is gone, or goes on saying a number that the passage no longer has, was not read
from there (Wallat et al. 2025: support does not prove use). An answer that changes when the order of passages does, or
when unrelated ones come beside them, rests on chance. Every probe is a search handed to the same product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from assistant.answering import Answering, AnsweringSettings
from assistant.bootstrap import Quoth
from assistant.context import ContextSettings
from assistant.model import Answer
from evals.case_run import asker_of
from evals.cases import Case
from evals.intervals import Interval, wilson
from evals.systems import QuothSystem
from ingest.access import Reader
from retrieval.model import Hit, SearchResult
from retrieval.search import Search

DISTRACTORS: Final = 4  # hits of another question
DIGITS: Final = str.maketrans("0123456789", "3456789012")
# passages as they are found: what is grown or joined is read from the store again, past what a probe changed
AS_FOUND: Final = AnsweringSettings(context=ContextSettings(grown=0, join=False))
Edit = Callable[[SearchResult], SearchResult]


@dataclass(frozen=True, slots=True)
class Probe:
    name: str
    should_change: bool
    what: str  # in words


PROBES: Final = (
    Probe("removed", True, "the cited passages are not found"),
    Probe("swapped", True, "the cited passages have other digits; only answers that quote digits are asked again"),
    Probe("distracted", False, "passages of another question come before them"),
    Probe("reordered", False, "passages come in the opposite order"),
    Probe("reworded", False, "the question is put in other words that mean the same"),
)


@dataclass(frozen=True, slots=True)
class Probed:
    """One probe over the cases that were answered."""

    probe: Probe
    n: int
    changed: tuple[str, ...]  # ids of the cases whose answer cites other spans, or none
    kept: tuple[str, ...]

    @property
    def share(self) -> float | None:
        return round(len(self.changed) / self.n, 4) if self.n else None

    @property
    def interval(self) -> Interval | None:
        return wilson(len(self.changed), self.n)


class EditedSearch(Search):
    """Another search whose results are changed."""

    def __init__(self, inner: Search, edit: Edit) -> None:
        self._inner = inner
        self._edit = edit

    def search(self, question: str, reader: Reader, **more: Any) -> SearchResult:
        return self._edit(self._inner.search(question, reader, **more))


def probe_answers(
    quoth: Quoth,
    cases: Sequence[Case],
    reader: Reader,
    collection: str | None = None,
    *,
    progress: Callable[[str, int, int], None] = lambda case, done, total: None,
) -> list[Probed]:
    """Ask every answerable case, and what was answered once more under each probe. Earlier turns are left out."""
    changed: dict[str, list[str]] = {probe.name: [] for probe in PROBES}
    kept: dict[str, list[str]] = {probe.name: [] for probe in PROBES}
    asked = [replace(case, turns=()) for case in cases if case.answerable and not case.turns]
    for at, case in enumerate(asked):
        progress(case.id, at, len(asked))
        asker = asker_of(case, reader)
        first = _ask(quoth, case, asker, collection, lambda found: found)
        if not first.citations:
            continue
        other = asked[(at + 1) % len(asked)]
        beside = quoth.searching.search(other.question, asker, k=DISTRACTORS, collection=collection).hits
        again: dict[str, Edit] = {
            "removed": partial(_without, answer=first),
            "distracted": partial(_with, beside=beside),
            "reordered": lambda found: replace(found, hits=found.hits[::-1]),
        }
        if any(any(character.isdigit() for character in one.quote) for one in first.citations):
            again["swapped"] = partial(_swapped, answer=first)
        answers = {name: _ask(quoth, case, asker, collection, edit) for name, edit in again.items()}
        reworded = replace(case, question=f"Could you please tell me this: {case.question}")
        answers["reworded"] = _ask(quoth, reworded, asker, collection, lambda found: found)
        for name, answer in answers.items():
            (kept if _same(first, answer) else changed)[name].append(case.id)
    progress("", len(asked), len(asked))
    return [
        Probed(
            probe, len(changed[probe.name]) + len(kept[probe.name]), tuple(changed[probe.name]), tuple(kept[probe.name])
        )
        for probe in PROBES
    ]


def _ask(quoth: Quoth, case: Case, asker: Reader, collection: str | None, edit: Edit) -> Answer:
    answering = Answering(
        EditedSearch(quoth.searching, edit),
        quoth.surroundings,
        quoth.catalog,
        quoth.answers,
        quoth.answerers,
        quoth.checker,
        quoth.embedder.count_tokens,
        replace(AS_FOUND, deadline_s=quoth.settings.answer_deadline_s),
    )  # without the cache of drafts, which would answer for the model
    return QuothSystem(quoth, collection, answering).answer(case, asker).answer


def _same(first: Answer, again: Answer) -> bool:
    """Whether an answer still rests on a span that the first one cited.

    A model words its sentences anew each time; where they are taken from is what a probe asks about.
    """
    spans = [(one.document, one.version, one.start, one.end) for one in first.citations]
    return any(
        (one.document, one.version) == (document, version) and one.start < end and one.end > start
        for one in again.citations
        for document, version, start, end in spans
    )


def _cites(answer: Answer, hit: Hit) -> bool:
    return any(
        (one.document, one.version) == (hit.document, hit.version) and one.start < hit.end and one.end > hit.start
        for one in answer.citations
    )


def _without(found: SearchResult, answer: Answer) -> SearchResult:
    return replace(found, hits=tuple(hit for hit in found.hits if not _cites(answer, hit)))


def _swapped(found: SearchResult, answer: Answer) -> SearchResult:
    """With other digits in what was cited; as long as before, so that sentences stand where they stood."""
    hits = (replace(hit, text=hit.text.translate(DIGITS)) if _cites(answer, hit) else hit for hit in found.hits)
    return replace(found, hits=tuple(hits))


def _with(found: SearchResult, beside: Sequence[Hit]) -> SearchResult:
    known = {hit.chunk for hit in found.hits}
    return replace(found, hits=(*(hit for hit in beside if hit.chunk not in known), *found.hits))


def probes_json(found: Sequence[Probed]) -> dict[str, Any]:
    return {
        "probes": {
            one.probe.name: {
                "what": one.probe.what,
                "should_change": one.probe.should_change,
                "changed": one.share,
                "n": one.n,
                "interval": list(one.interval) if one.interval else None,
                "against": list(one.kept if one.probe.should_change else one.changed),
            }
            for one in found
        }
    }


def probes_table(found: Sequence[Probed]) -> str:
    lines = [f"{'probe':<12}{'changed':>8}  {'95 % interval':<18}{'n':>5}   should change"]
    for one in found:
        share = "-" if one.share is None else f"{one.share:.3f}"
        span = "" if one.interval is None else f"{one.interval[0]:.3f} to {one.interval[1]:.3f}"
        wanted = "yes" if one.probe.should_change else "no"
        lines.append(f"{one.probe.name:<12}{share:>8}  {span:<18}{one.n:>5}   {wanted}: {one.probe.what}")
        against = one.kept if one.probe.should_change else one.changed
        if against:
            lines.append(f"{'':<12}against: {', '.join(against[:12])}{' ...' if len(against) > 12 else ''}")
    return "\n".join(lines)
