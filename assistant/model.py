"""What flows through answering: passages, drafts, verified claims, the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NewType, Protocol
from uuid import UUID

from ingest.metering import Usage
from ingest.model import ChunkId, DocumentId, Locator, Span
from retrieval.model import SearchResult

AnswerId = NewType("AnswerId", UUID)
ConversationId = NewType("ConversationId", UUID)

Status = Literal["answered", "partial", "abstained", "clarifying"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a readable version that the answerer is given; citations may point only into passages."""

    id: str  # "P1", "P2" ... within one context
    source: str
    collection: str
    title: str
    heading: tuple[str, ...]
    document: DocumentId
    version: int
    page: int | None
    start: int
    end: int
    text: str  # canonical_text[start:end]
    chunks: tuple[ChunkId, ...]  # the hits it was grown from
    updated: str = ""  # ISO date of the version


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two passages of different documents that seem to disagree; both stay, with their dates."""

    one: str  # ids of passages
    other: str
    one_says: str  # the sentences
    other_says: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A drafted claim that was not shown, kept for the record."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool hands back to a model: data, never instructions."""

    note: str  # ours, in one line: what was done, or why not and what to try
    passages: tuple[Passage, ...] = ()  # with ids of their own, which claims may cite
    lines: tuple[str, ...] = ()  # of a list; they hold words of documents


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool, for the record."""

    tool: str
    arguments: str  # as the model gave them; kept as a keyed hash only
    found: tuple[tuple[DocumentId, int, int, int], ...] = ()  # document, version, start and end of what it read
    failed: bool = False


class Toolbox(Protocol):
    """What a model may look up for one answer, as the answer's reader. Not for several threads."""

    @property
    def rounds(self) -> int:
        """Turns at most in which a model may call tools."""
        ...

    @property
    def passages(self) -> Sequence[Passage]:
        """What was found beyond the context, in order of its ids."""
        ...

    @property
    def uses(self) -> Sequence[ToolUse]:
        """Every call so far, for the record."""
        ...

    def call(self, name: str, arguments: str) -> ToolResult:
        """Run one tool; whatever is wrong with the call is told in the result.

        Args:
            arguments: a JSON object.
        """
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a question is answered from, in the order given to the model."""

    passages: tuple[Passage, ...]
    tokens: int
    left_out: tuple[str, ...] = ()  # in words: what did not fit and why
    conflicts: tuple[Conflict, ...] = ()
    earlier: str = ""  # what was asked and answered before, shortened; for what the question refers to
    rejected: tuple[Rejection, ...] = ()  # of a former draft: to be put right, or left out
    tools: Toolbox | None = None  # what may be looked up beside; None: nothing


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote as the answerer gave it; not yet found anywhere."""

    passage_id: str
    quote: str


@dataclass(frozen=True, slots=True)
class DraftClaim:
    """One sentence of a draft with the quotes that are said to support it. Nothing of it has been checked."""

    text: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class DraftChoice:
    """One of several things that a question may mean. Nothing of it has been checked."""

    passage_id: str
    words: str


@dataclass(frozen=True, slots=True)
class DraftEnd:
    """The last thing a draft yields; a draft that ends without it has failed."""

    model: str  # "quoted" or the model's name as reported
    missing: str | None = None  # what part of the question the answerer says it cannot answer, in words
    confidence: float | None = None  # 0 to 1; None when the answerer has none
    usage: Usage = field(default_factory=Usage)
    raw_output: str = ""
    first_token_ms: float | None = None
    choices: tuple[DraftChoice, ...] = ()  # what may be meant, where the question is ambiguous; then no claims


class Answerer(Protocol):
    """Drafts an answer from passages. Its output is untrusted until resolved and checked."""

    @property
    def name(self) -> str: ...

    @property
    def prompt_version(self) -> str: ...

    def draft(self, question: str, context: Context, search: SearchResult) -> Iterator[DraftClaim | DraftEnd]:
        """Yield claims as they complete, then exactly one DraftEnd.

        Raises:
            assistant.errors.ModelError: when the model fails, refuses, is too slow or is cut short.
        """
        ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """A quote found word for word: canonical_text[start:end] == quote in that version."""

    passage: Passage
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Verdict:
    supported: bool
    score: float  # 0 to 1
    reason: str  # in words, for the record: "number 30 is not in the quote"
    failed: str | None = None  # in words: who should have judged, and why another did


class Checker(Protocol):
    """Judges whether quotes support a claim."""

    @property
    def name(self) -> str: ...

    def check(self, claim: str, quotes: Sequence[str], *, around: Sequence[str]) -> Verdict:
        """Judge `claim` against the quotes together; `around` holds the text each quote stands in."""
        ...


@dataclass(frozen=True, slots=True)
class Newer:
    """The version that answers instead of a cited one by now."""

    version: int
    span: Span | None  # where the quotation stands in it, word for word; None: it does not stand in it


@dataclass(frozen=True, slots=True)
class Citation:
    marker: int  # from 1, in order of first use
    source: str
    collection: str
    title: str
    document: DocumentId
    version: int
    page: int | None
    end_page: int | None
    locator: Locator | None
    start: int
    end: int
    quote: str
    newer: Newer | None = None  # only of an answer that is read again


@dataclass(frozen=True, slots=True)
class Claim:
    text: str
    verdict: Literal["supported", "unsupported"]
    score: float
    citations: tuple[int, ...]  # markers
    reason: str = ""  # of the verdict, in words


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer; `assistant.wire.answer_json` gives the contract's JSON object."""

    id: AnswerId
    conversation: ConversationId
    question: str
    status: Status
    text: str
    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    missing: str | None
    model: str
    prompt_version: str
    degraded: str | None
    usage: Usage
    timings_ms: Mapping[str, float | None]
    rejected: tuple[Rejection, ...] = ()
    choices: tuple[str, ...] = ()
    confidence: float | None = None  # 0 to 1, the answerer's; not kept


@dataclass(frozen=True, slots=True)
class Begun:
    """Under which ids the answer will be kept, also when it is stopped on the way."""

    answer: AnswerId
    conversation: ConversationId


@dataclass(frozen=True, slots=True)
class Progress:
    """What the assistant is doing, in words a reader understands."""

    text: str


@dataclass(frozen=True, slots=True)
class ClaimShown:
    """A verified claim, ready to be shown, with those of its citations that were not shown before."""

    claim: Claim
    new_citations: tuple[Citation, ...]


AnswerEvent = Begun | Progress | ClaimShown | Answer  # an Answer is always the last event
