"""The answerer without a model: it selects the sentences of the best passages that answer, and says when none does.

A sentence is scored by what it shares with the question in meaning (cosine of stored sentence vectors), in rare words,
and by how well its passage was ranked. How sure the best one is decides whether to answer at all
(assistant/answerability.py); evals/published/abstention.md shows what that costs and saves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from assistant.answerability import signals
from assistant.answerability_weights import FITTED, THRESHOLD
from assistant.asking_back import Meant, rivals
from assistant.model import Context, DraftClaim, DraftEnd, Evidence, Passage
from ingest.analysis import analyzer_for
from ingest.model import ChunkId
from retrieval.model import Hit, SearchResult

MAX_QUOTES: Final = 3
MIN_WORDS: Final = 4  # shorter sentences are headings or fragments
CELL_BORDER: Final = " | "  # as rows of tables are written in canonical text
_NUMBERED_TITLE: Final = re.compile(r"\d+(?:\.\d+)*\s[^.!?:;]{1,80}")
_MAIL_HEADER: Final = re.compile(r"(?:From|To|Cc|Date|Sent|Subject|Reply-To): .*\n(?:From|To|Cc|Date|Sent|Subject): ")


@dataclass(frozen=True, slots=True)
class Selection:
    """How sentences are chosen; measured on public questions, see the module's text."""

    coverage_weight: float = 0.3
    passage_weight: float = 0.6
    keep_within: float = 0.15  # a further quote must score at most this much below the best
    keep_rows_within: float = 0.05  # the same of a further row of one table: rows are much alike
    grow_within: float = 0.3  # a neighbouring sentence joins a quote when it scores at most this much below it
    max_quote_chars: int = 420  # a quote does not grow beyond this
    max_table_chars: int = 900  # except by the table that it introduces, or by the header row of its own
    per_passage: int = 2  # quotes from one passage
    threshold: float = THRESHOLD  # of confidence; below it the documents do not say


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may be quoted."""

    passage: Passage
    hit: Hit
    text: str
    start: int
    at: int  # the sentence's place in its chunk
    cosine: float
    coverage: float
    score: float


@dataclass(frozen=True, slots=True)
class QuotedAnswerer:
    selection: Selection = Selection()
    name: str = "quoted"
    prompt_version: str = "quoted-3"

    def draft(self, question: str, context: Context, search: SearchResult) -> Iterator[DraftClaim | DraftEnd]:
        candidates = sentence_candidates(context, search, self.selection)
        sure = confidence(candidates, search)
        if candidates and sure >= self.selection.threshold:
            meant = [Meant(one.passage, one.hit, one.text, one.score) for one in saying_something(candidates)]
            if choices := rivals(meant, search):
                yield DraftEnd(model="quoted", confidence=sure, choices=choices)
                return
            for chosen in choose(candidates, self.selection):
                yield DraftClaim(chosen.text, (Evidence(chosen.passage.id, chosen.text),))
        yield DraftEnd(model="quoted", confidence=sure)


def sentence_candidates(context: Context, search: SearchResult, selection: Selection) -> list[Candidate]:
    """Every quotable sentence of the context's passages, best first."""
    hits = {hit.chunk: hit for hit in search.hits}
    analyzer = analyzer_for(search.language)
    top = max((hit.score for hit in search.hits), default=0.0)
    found = []
    for passage in context.passages:
        for chunk in passage.chunks:
            hit = hits[chunk]
            headings = {squashed(name) for name in (hit.title, *hit.heading)}
            heading_terms = set(analyzer.terms(" ".join((hit.title, *hit.heading))))
            header_rows = _header_rows(hit)
            for at, (start, end) in enumerate(hit.sentences):
                text = hit.text[start - hit.start : end - hit.start]
                if len(text.split()) < MIN_WORDS or squashed(text) in headings or _MAIL_HEADER.match(text):
                    continue
                if header_rows.get(at + 1) == at and not any(map(str.isdigit, text)):  # names of columns alone
                    continue
                cosine = _cosine(search, hit, at)
                terms = set(analyzer.terms(text))
                if at in header_rows:  # a cell means what its column's name says
                    terms |= set(analyzer.terms(_sentence(hit, header_rows[at])))
                    cosine = max(cosine, hit.scores.get("dense", 0.0))  # alone, a row says little of what it is about
                own = _coverage(search, terms)
                with_heading = _coverage(search, terms | heading_terms)
                coverage = 0.7 * own + 0.3 * with_heading
                score = cosine + selection.coverage_weight * coverage + selection.passage_weight * (hit.score - top)
                found.append(Candidate(passage, hit, text, start, at, cosine, coverage, score))
    return sorted(found, key=lambda one: -one.score)


@dataclass(frozen=True, slots=True)
class Quote:
    """One or a few neighbouring sentences, quoted as one."""

    passage: Passage
    start: int  # span of the version's canonical text
    end: int

    @property
    def text(self) -> str:
        return self.passage.text[self.start - self.passage.start : self.end - self.passage.start]


def squashed(text: str) -> str:
    """What stays the same when case and white space change."""
    return " ".join(text.split()).casefold()


def choose(candidates: Sequence[Candidate], selection: Selection) -> list[Quote]:
    """At most three quotes, the best first; a sentence takes neighbours along that score nearly as well."""
    by_place = {(one.hit.chunk, one.at): one for one in candidates}
    chosen: list[Quote] = []
    saying = saying_something(candidates)
    best = max((one.score for one in saying), default=0.0)
    for candidate in saying:
        if len(chosen) == MAX_QUOTES or candidate.score < best - selection.keep_within:
            break
        quote = _grown(candidate, by_place, selection)
        same = [one for one in chosen if one.passage.id == quote.passage.id]
        if any(one.start < quote.end and quote.start < one.end for one in same):
            quote = Quote(candidate.passage, candidate.start, candidate.start + len(candidate.text))
            overlaps = any(one.start < quote.end and quote.start < one.end for one in same)
            if CELL_BORDER not in quote.text or overlaps or candidate.score < best - selection.keep_rows_within:
                continue  # else a further row of a table whose header is quoted
        if len(same) == selection.per_passage:
            continue
        if squashed(quote.text) not in {squashed(one.text) for one in chosen}:
            chosen.append(quote)
    return chosen


def saying_something(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Without sentences that ask: a question proves nothing, though it may stand before its answer in a quote."""
    return [one for one in candidates if not one.text.rstrip().endswith(("?", "？"))]


def _grown(candidate: Candidate, by_place: Mapping[tuple[ChunkId, int], Candidate], selection: Selection) -> Quote:
    """With neighbours that score nearly as well; a row from its table's header on, or with the table it introduces."""
    start, end = candidate.start, candidate.start + len(candidate.text)
    tables = _header_rows(candidate.hit)
    for step in (1, -1):
        neighbour = by_place.get((candidate.hit.chunk, candidate.at + step))
        if neighbour is None or neighbour.score < candidate.score - selection.grow_within:
            continue
        if candidate.at in tables or neighbour.at in tables or _NUMBERED_TITLE.fullmatch(neighbour.text):
            continue
        if end - start + len(neighbour.text) <= selection.max_quote_chars:
            start = min(start, neighbour.start)
            end = max(end, neighbour.start + len(neighbour.text))
    if candidate.at in tables:  # from its header on
        start_with, end_with = candidate.hit.sentences[tables[candidate.at]][0], end
    else:  # with the table that it introduces
        at = next(at for at, (_, last) in enumerate(candidate.hit.sentences) if last >= end)
        rows = [row for row, header in tables.items() if header == at + 1]
        start_with, end_with = start, candidate.hit.sentences[rows[-1]][1] if rows else end
    fits = end_with - start_with <= selection.max_table_chars
    return Quote(candidate.passage, start_with, end_with) if fits else Quote(candidate.passage, start, end)


def _header_rows(hit: Hit) -> dict[int, int]:
    """For each row of a table, the first row of it in the chunk, the header's names as long as it is not cut."""
    found: dict[int, int] = {}
    for at in range(len(hit.sentences)):
        if CELL_BORDER in _sentence(hit, at):
            found[at] = found.get(at - 1, at)
    return found


def _sentence(hit: Hit, at: int) -> str:
    start, end = hit.sentences[at]
    return hit.text[start - hit.start : end - hit.start]


def confidence(candidates: Sequence[Candidate], search: SearchResult) -> float:
    """How likely the best sentences answer the question, in [0, 1]."""
    return FITTED.probability(confidence_signals(candidates, search)) if saying_something(candidates) else 0.0


def confidence_signals(candidates: Sequence[Candidate], search: SearchResult) -> dict[str, float]:
    """What the confidence is made of, of the best candidate."""
    best = (saying_something(candidates) or candidates)[0]
    other = next((one.score for one in candidates if one.hit.chunk != best.hit.chunk), 0.0)
    return signals(
        search,
        best.hit,
        best.at,
        cosine=best.cosine,
        best_cosine=max(one.cosine for one in candidates),
        own_coverage=best.coverage,
        margin=best.score - other,
    )


def _cosine(search: SearchResult, hit: Hit, at: int) -> float:
    if search.question_vector is None or hit.sentence_vectors is None or at >= len(hit.sentence_vectors):
        return 0.0
    return float(np.dot(hit.sentence_vectors[at], search.question_vector))


def _coverage(search: SearchResult, terms: set[str]) -> float:
    total = sum(search.idf.values())
    return sum(weight for term, weight in search.idf.items() if term in terms) / total if total > 0 else 0.0
