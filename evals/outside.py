"""Answers of other systems, measured as Quoth's own: read from a file, or asked of an OpenAI-compatible endpoint.

A line of an answers file is what `quoth batch` writes, or less: {"id", "text", "citations": [{"marker", "source",
"quote", "page"}], "passages": [{"source", "text"}], "status"}. Sentences and their markers are read from the text where
"claims" are not given. An endpoint's citations are taken from `message.context.citations` or `message.citations`
(objects with filepath, title or source, and content or quote), else from `citations` beside the choices.

A quotation is looked for in the stored document of its source; one that is not there matches nothing. What an answerer
was given counts as known only where "passages" say it.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from assistant.model import Answer, AnswerId, Citation, Claim, ConversationId, Passage, Status, Usage
from evals.cases import Case, Gold, read_jsonl, required_text
from evals.gold import GoldFinder
from evals.systems import UNKNOWN_DOCUMENT, Given
from ingest.access import Reader
from ingest.errors import ServiceError, UsageError
from ingest.sentences import sentence_spans
from retrieval.model import Hit

if TYPE_CHECKING:
    import openai

MARKERS: Final = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
REFUSAL: Final = re.compile(
    r"(do(es)? not|don['’]t|doesn['’]t) (know|say|contain|mention|provide|have (enough|any) information)"
    r"|(cannot|can['’]t|could not|couldn['’]t|unable to) (answer|find|help|determine)"
    r"|no (relevant )?(information|answer|mention|documents?)\b|not (mentioned|stated|specified|found|covered) in",
    re.IGNORECASE,
)
STATUSES: Final = ("answered", "partial", "abstained", "clarifying")
SPAN: Final[Mapping[str, type]] = {"document": str, "version": int, "start": int, "end": int}
MOST_REFUSAL_CHARS: Final = 400  # a longer text without a citation is an answer


@dataclass(frozen=True, slots=True)
class Outside:
    """What another system said of one question, before anything is looked up."""

    text: str
    citations: tuple[Mapping[str, Any], ...] = ()
    claims: tuple[Mapping[str, Any], ...] | None = None
    passages: tuple[Mapping[str, Any], ...] | None = None
    status: str | None = None
    model: str = "outside"
    usage: Usage = field(default_factory=Usage)
    ms: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class OutsideSystem:
    """Another system by what gives its answers: `answers_from_file` or `Endpoint.ask`."""

    ask: Callable[[Case], Outside]
    finder: GoldFinder  # where citations stand in the store
    facts: Mapping[str, str]

    def candidates(self, question: str, asker: Reader) -> tuple[Hit, ...] | None:
        return None

    def answer(self, case: Case, asker: Reader) -> Given:
        said = self.ask(case)
        citations = tuple(_citation(at, one, self.finder) for at, one in enumerate(said.citations, 1))
        status = _status(said)
        claims = () if status in ("abstained", "clarifying") else _claims(said)
        passages = None if said.passages is None else tuple(_passage(one, self.finder) for one in said.passages)
        answer = Answer(
            id=AnswerId(uuid.uuid4()),
            conversation=ConversationId(uuid.uuid4()),
            question=case.question,
            status=status,
            text=said.text,
            claims=claims,
            citations=citations,
            passages=passages or (),
            missing=None,
            model=said.model,
            prompt_version="",
            degraded=None,
            usage=said.usage,
            timings_ms={"total": said.ms},
            confidence=said.confidence,
        )
        return Given(answer, passages, kept=False)


def answers_from_file(path: Path) -> Callable[[Case], Outside]:
    """Answers by the id of their case.

    Raises:
        UsageError: the file cannot be read as answers; asking for a case that it lacks raises one too.
    """
    found: dict[str, Outside] = {}
    for where, record in read_jsonl(path):
        name = required_text(record, "id", where)
        if name in found:
            raise UsageError(f"{where}: the id {name!r} was used before. Give each case one answer.")
        found[name] = _outside(record, where)

    def ask(case: Case) -> Outside:
        if case.id not in found:
            raise UsageError(f"{path.name} holds no answer to case {case.id!r}.")
        return found[case.id]

    return ask


def _outside(record: Mapping[str, Any], where: str) -> Outside:
    text = record.get("text", record.get("answer"))
    if not isinstance(text, str):
        raise UsageError(f"{where}: 'text' must be the answer's text, not {text!r}.")
    for name in ("citations", "claims", "passages"):
        value = record.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
            raise UsageError(f"{where}: {name!r} must be a list of objects, not {value!r}.")
    if record.get("status") not in (None, *STATUSES):
        raise UsageError(f"{where}: 'status' must be one of {', '.join(STATUSES)}, not {record['status']!r}.")
    usage, timings = record.get("usage") or {}, record.get("timings_ms") or {}
    return Outside(
        text,
        tuple(record.get("citations") or ()),
        tuple(record["claims"]) if record.get("claims") is not None else None,
        tuple(record["passages"]) if record.get("passages") is not None else None,
        record.get("status"),
        str(record.get("model") or "outside"),
        Usage(
            int(usage.get("input_tokens", 0)), 0, int(usage.get("output_tokens", 0)), float(usage.get("cost_usd", 0.0))
        ),
        timings.get("total"),
        record.get("confidence"),
    )


class Endpoint:
    """An OpenAI-compatible chat endpoint that answers by itself, from documents of its own."""

    def __init__(self, client: openai.OpenAI, model: str, price: Callable[[int, int], float]) -> None:
        self._client = client
        self._model = model
        self._price = price  # US dollars of input and output tokens

    def ask(self, case: Case) -> Outside:
        """
        Raises:
            UsageError: the endpoint refuses this question.
            ServiceError: it does not answer, or not as a chat endpoint does.
        """
        import openai

        turns = [{"role": "user", "content": turn} for turn in (*case.turns, case.question)]
        started = time.perf_counter()
        try:
            raw = self._client.chat.completions.with_raw_response.create(model=self._model, messages=turns)  # type: ignore[arg-type]
            body = json.loads(raw.content)
            message = body["choices"][0]["message"]
            text = message.get("content") or ""
        except openai.APIStatusError as error:
            if error.status_code in (400, 413, 422):
                raise UsageError(f"The endpoint refused case {case.id!r} ({error.status_code}).") from error
            raise ServiceError(
                f"The endpoint answers with status {error.status_code}. Check its key and address."
            ) from error
        except openai.APIError as error:
            raise ServiceError(
                f"The endpoint cannot be reached ({type(error).__name__}). Check its address."
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ServiceError(f"The endpoint does not answer as a chat endpoint does ({error!r}).") from error
        ms = round((time.perf_counter() - started) * 1000, 1)
        counts = body.get("usage") or {}
        given, made = int(counts.get("prompt_tokens") or 0), int(counts.get("completion_tokens") or 0)
        usage = Usage(given, 0, made, self._price(given, made))
        model = str(body.get("model") or self._model)
        return Outside(text, _endpoint_citations(body, message), model=model, usage=usage, ms=ms)


def _endpoint_citations(body: Mapping[str, Any], message: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    context = message.get("context")
    of_context = context.get("citations") if isinstance(context, dict) else None
    places = (of_context, message.get("citations"), body.get("citations"))
    listed = next((one for one in places if isinstance(one, list)), [])
    return tuple(one if isinstance(one, dict) else {"source": str(one)} for one in listed)


def _citation(marker: int, given: Mapping[str, Any], finder: GoldFinder) -> Citation:
    """A citation as a span of the store. One of ours names it; another's quotation is looked for in its source."""
    source = next((str(given[name]) for name in ("source", "filepath", "title", "url") if given.get(name)), "")
    quote = str(given.get("quote") or given.get("content") or "")
    page = given.get("page") if isinstance(given.get("page"), int) else None
    number = given.get("marker") if isinstance(given.get("marker"), int) else marker
    last = given.get("end_page") or page
    made = Citation(int(number or marker), source, "", "", UNKNOWN_DOCUMENT, 0, page, last, None, 0, 0, quote)
    if all(isinstance(given.get(name), kind) for name, kind in SPAN.items()):
        try:
            document = finder.document(uuid.UUID(given["document"]))
        except ValueError:
            document = None
        if document is not None:
            return replace(made, document=document.id, version=given["version"], start=given["start"], end=given["end"])
    wanted = Gold(source, quote) if quote else None
    places = finder.locate(wanted).places if wanted else ()
    if wanted and not places:
        named = replace(wanted, source=PurePosixPath(source).stem, by_title=True)
        places = finder.locate(named).places
    if places:
        place = places[0]
        pages = sorted(place.pages)
        return replace(
            made,
            document=place.document,
            version=place.version,
            page=pages[0] if pages else page,
            end_page=pages[-1] if pages else page,
            start=place.span[0],
            end=place.span[1],
            quote=finder.text(place),
        )
    document = finder.named(source)
    return made if document is None else replace(made, document=document.id, version=document.version)


def _passage(given: Mapping[str, Any], finder: GoldFinder) -> Passage:
    found = _citation(0, {**given, "quote": given.get("quote") or given.get("text") or given.get("content")}, finder)
    return Passage(
        "", found.source, "", "", (), found.document, found.version, found.page, found.start, found.end, found.quote, ()
    )


def _status(said: Outside) -> Status:
    if said.status in STATUSES:
        return said.status  # type: ignore[return-value]
    if not said.text.strip() or (
        not said.citations and len(said.text) <= MOST_REFUSAL_CHARS and REFUSAL.search(said.text)
    ):
        return "abstained"
    return "answered"


def _claims(said: Outside) -> tuple[Claim, ...]:
    if said.claims is not None:
        return tuple(
            Claim(str(one.get("text", "")), "supported", float(one.get("score") or 0.0), _numbers(one.get("citations")))
            for one in said.claims
        )
    return sentences_with_markers(said.text)


def _numbers(given: object) -> tuple[int, ...]:
    return tuple(one for one in given if isinstance(one, int)) if isinstance(given, list) else ()


def sentences_with_markers(text: str) -> tuple[Claim, ...]:
    """The sentences of a text with the markers [1] [2, 3] that stand in them or behind their full stop."""
    claims: list[Claim] = []
    for start, end in sentence_spans(text):
        part = text[start:end].strip()
        behind = re.match(rf"(?:{MARKERS.pattern}\s*)+", part)
        if behind and claims:
            claims[-1] = replace(claims[-1], citations=(*claims[-1].citations, *_markers(behind.group())))
            part = part[behind.end() :]
        words = " ".join(MARKERS.sub(" ", part).split()).replace(" .", ".").replace(" ,", ",")
        if any(character.isalnum() for character in words):
            claims.append(Claim(words, "supported", 0.0, _markers(part)))
    return tuple(claims)


def _markers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for found in MARKERS.findall(text) for number in found.split(","))


def outside_facts(name: str, digest: str, model: str) -> dict[str, str]:
    """What a run of another system is recognised by."""
    return {"system": name, "answers": digest, "models": model}
