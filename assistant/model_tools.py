"""What a model may look up while it drafts: search, open a section, list documents. Always as the answer's reader.

Each answer has a box of its own, with bounds on rounds, calls and tokens. What a tool finds becomes passages with ids
that go on after the context's, so that claims cite them and pass the same resolver, checker and second look. A bad
call is told to the model in one line; it never fails the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from assistant.context import ContextSettings, CountTokens, assemble
from assistant.model import Context, Passage, ToolResult, ToolUse
from ingest.access import Reader
from ingest.catalog import Catalog
from ingest.database import Database
from ingest.document_list import Wanted, documents_by_id, list_documents
from ingest.errors import QuothError
from ingest.metering import Caller
from ingest.model import Document, DocumentId, Element, Span
from retrieval.model import SearchResult
from retrieval.narrowing import Narrowing, documents_of
from retrieval.surroundings import Surroundings

SEARCHED: Final = ContextSettings(max_passages=5, max_tokens=1200, grown=1)  # of one search
SECTION_TOKENS: Final = 1500  # of one opened section
CHARS_PER_TOKEN: Final = 4  # roughly, where a single block is longer than that
LISTED: Final = 20  # documents, or sections, named at a time
MOST_LINE_CHARS: Final = 200

_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
_Place = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[PD][1-9]\d{0,3}$")]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SearchArguments(_Arguments):
    query: _Words


class OpenArguments(_Arguments):
    place: _Place
    section: _Words | None


class ListArguments(_Arguments):
    words: _Words | None


def _tool(name: str, description: str, **properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {
        "type": "object", "additionalProperties": False, "required": list(properties), "properties": properties,
    }  # fmt: skip
    return {"type": "function", "name": name, "description": description, "strict": True, "parameters": parameters}


TOOLS: Final = (  # as the Responses API takes them; the descriptions name no document, so that the prefix stays warm
    _tool(
        "search_documents",
        "Search the documents that the asker may read. Gives passages with ids that evidence may name.",
        query={"type": "string", "description": "What to look for, in the documents' language; a few words."},
    ),
    _tool(
        "open_document",
        "Read a section of a document in full. Gives a passage with an id that evidence may name.",
        place={"type": "string", "description": "Id of a passage (P3: the section it stands in) or document (D2)."},
        section={
            "type": ["string", "null"],
            "description": "A heading of that document; null for the passage's own section, or the beginning.",
        },
    ),
    _tool(
        "list_documents",
        "List the titles of documents that the asker may read, with ids for open_document.",
        words={"type": ["string", "null"], "description": "Words that title, file name or owner hold; null for all."},
    ),
)
_FORMS: Final[Mapping[str, type[_Arguments]]] = {
    "search_documents": SearchArguments, "open_document": OpenArguments, "list_documents": ListArguments,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """Bounds of one answer; its deadline holds besides."""

    rounds: int = 3  # turns in which tools may be called
    calls: int = 8
    max_tokens: int = 6000  # of all that tools hand back


Search = Callable[..., SearchResult]  # as retrieval.search.Search.search


class ModelTools:
    """The tools of one store; `box` opens them for an answer."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        search: Search,
        surroundings: Surroundings,
        count_tokens: CountTokens,
        limits: ToolLimits = ToolLimits(),
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._search = search
        self._surroundings = surroundings
        self._count_tokens = count_tokens
        self._limits = limits

    def box(
        self,
        reader: Reader,
        context: Context,
        *,
        collection: str | None = None,
        narrowing: Narrowing | None = None,
        caller: Caller | None = None,
    ) -> ReadersTools:
        """The tools for one answer.

        Args:
            context: what the model is given anyway; ids go on from there.
            collection, narrowing: what the question is limited to, and so every tool.
            caller: in whose name searching calls models; None: in the reader's, for no answer.
        """
        return ReadersTools(
            self._database, self._catalog, self._search, self._surroundings, self._count_tokens, self._limits,
            reader, context, collection, narrowing, caller,
        )  # fmt: skip


class ReadersTools:
    """A Toolbox. Nothing it hands back is outside what `reader` may read at that moment."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        search: Search,
        surroundings: Surroundings,
        count_tokens: CountTokens,
        limits: ToolLimits,
        reader: Reader,
        context: Context,
        collection: str | None,
        narrowing: Narrowing | None,
        caller: Caller | None = None,
    ) -> None:
        self._caller = caller
        self._database = database
        self._catalog = catalog
        self._search = search
        self._surroundings = surroundings
        self._count_tokens = count_tokens
        self._limits = limits
        self._reader = reader
        self._collection = collection
        self._narrowing = narrowing
        self._given = context.passages
        self._documents: list[DocumentId] = []  # D1, D2 ...
        self._left_tokens = limits.max_tokens
        self.passages: list[Passage] = []
        self.uses: list[ToolUse] = []

    @property
    def rounds(self) -> int:
        return self._limits.rounds

    def call(self, name: str, arguments: str) -> ToolResult:
        try:
            result = self._called(name, arguments)
            failed = False
        except ValidationError as error:
            # neither the values nor pydantic's own words: both may hold what a document made the model say
            places = {".".join(str(one) for one in wrong["loc"]) or "the object" for wrong in error.errors()}
            known = ", ".join(sorted(places & set(_FORMS[name].model_fields))) or "the arguments"
            result, failed = ToolResult(f"Not called: {known} did not have the form that {name} asks for."), True
        except QuothError:
            result, failed = ToolResult("It failed. Answer from the passages that you have."), True
        except _Wrong as wrong:
            result, failed = ToolResult(*wrong.args), True
        found = tuple((one.document, one.version, one.start, one.end) for one in result.passages)
        self.uses.append(ToolUse(name if name in _FORMS else "unknown", arguments, found, failed))
        return result

    def _called(self, name: str, arguments: str) -> ToolResult:
        if len(self.uses) >= self._limits.calls:
            raise _Wrong(f"Not called: {self._limits.calls} calls were made, and that is all. Answer now.")
        if name not in _FORMS:
            raise _Wrong(f"Not called: there is no such tool. There are {', '.join(_FORMS)}.")
        if self._left_tokens <= 0:
            raise _Wrong("Not called: there is no room for more passages. Answer now.")
        given = _FORMS[name].model_validate_json(arguments or "{}")
        match given:
            case SearchArguments():
                return self._searched(given.query)
            case OpenArguments():
                return self._opened(given.place, given.section)
            case ListArguments():
                return self._listed(given.words or "")
        raise AssertionError(name)

    def _searched(self, query: str) -> ToolResult:
        found = self._search(
            query, self._reader, k=2 * SEARCHED.max_passages, collection=self._collection, narrowing=self._narrowing,
            caller=self._caller,
        )  # fmt: skip
        room = replace(SEARCHED, max_tokens=min(SEARCHED.max_tokens, self._left_tokens))
        context = assemble(found.hits, self._reader, self._surroundings, self._count_tokens, room)
        return self._handed(context.passages)

    def _opened(self, place: str, section: str | None) -> ToolResult:
        passage = self._passage(place)
        number = int(place[1:]) - 1
        if passage is None and not (place[0] == "D" and number < len(self._documents)):
            raise _Wrong("Not called: no passage or document with that id was given to you.")
        id = passage.document if passage else self._documents[number]
        document = documents_by_id(self._database, self._reader, [id]).get(id)
        if document is None or not _in_force(document, self._database.now().date()):
            raise _Wrong("It cannot be opened. Answer from the passages that you have.")
        text = self._catalog.text(self._reader, id, document.version)
        elements = self._catalog.elements(self._reader, id, document.version)
        if passage is not None and passage.version != document.version:
            passage = None  # it was replaced in between: its places are those of another text
        part = _section(elements, text, section, passage)
        if part is None:
            titles = [text[one.start : one.end] for one in elements if one.category == "title"]
            lines = tuple(dict.fromkeys(_line([title]) for title in titles))[:LISTED]
            raise _Wrong("It has no section of that name. Its first sections are listed.", (), lines)
        start, end = self._fitting(part, text, None if section else passage)
        opened = Passage(
            "", document.source, document.collection, document.title or document.source,
            _path(elements, text, start), id, document.version, part[0].page, start, end, text[start:end], (),
            document.updated_at.date().isoformat(),
        )  # fmt: skip
        whole = start <= part[0].start and end >= part[-1].end
        return self._handed((opened,), "" if whole else " The section is longer than this.")

    def _fitting(self, part: Sequence[Element], text: str, passage: Passage | None) -> Span:
        """As much of a section as there is room for: from where the passage stands, and then what is before it."""
        left = min(SECTION_TOKENS, self._left_tokens)
        costs = self._count_tokens([text[one.start : one.end] for one in part])
        first = next((n for n, one in enumerate(part) if passage is not None and one.end > passage.start), 0)
        if costs[first] > left:  # a table of many pages
            return part[first].start, min(part[first].end, part[first].start + CHARS_PER_TOKEN * left)
        start = end = first
        left -= costs[first]
        while end + 1 < len(part) and costs[end + 1] <= left:
            end += 1
            left -= costs[end]
        while start > 0 and costs[start - 1] <= left:
            start -= 1
            left -= costs[start]
        return part[start].start, part[end].end

    def _listed(self, words: str) -> ToolResult:
        listing = list_documents(self._database, self._reader, Wanted(words, self._collection), limit=3 * LISTED)
        within = None
        if self._narrowing:
            within = set(documents_of(self._database, self._reader, self._narrowing, self._collection))
        today = self._database.now().date()
        found = [one for one in listing.documents if _in_force(one, today)]
        shown = [one for one in found if within is None or one.id in within][:LISTED]
        lines = []
        for document in shown:
            if document.id not in self._documents:
                self._documents.append(document.id)
            id = f"D{self._documents.index(document.id) + 1}"
            parts = (document.title, document.source, f"changed {document.updated_at.date()}")
            lines.append(f"{id}: {_line([part for part in parts if part])}")
        if lines:
            self._left_tokens -= sum(self._count_tokens(lines))
        more = " There are more; name words of a title." if listing.total > len(shown) else ""
        return ToolResult(f"{len(lines)} documents.{more}", (), tuple(lines))

    def _handed(self, found: Sequence[Passage], more: str = "") -> ToolResult:
        """What was found as passages with ids; what the model has already is named, not said again."""
        new: list[Passage] = []
        known: list[str] = []
        for passage in found:
            holder = next((one for one in (*self._given, *self.passages) if _holds(one, passage)), None)
            if holder is not None:
                known.append(holder.id)
                continue
            named = replace(passage, id=f"P{len(self._given) + len(self.passages) + 1}")
            self.passages.append(named)
            new.append(named)
        if new:
            self._left_tokens -= sum(self._count_tokens([one.text for one in new]))
        also = f" You have {', '.join(dict.fromkeys(known))} already." if known else ""
        return ToolResult(f"{len(new)} new passages.{also}{more}", tuple(new))

    def _passage(self, id: str) -> Passage | None:
        return next((one for one in (*self._given, *self.passages) if one.id == id), None)


class _Wrong(Exception):
    """A call that is not carried out; its arguments are those of a ToolResult."""


def _section(
    elements: Sequence[Element], text: str, named: str | None, passage: Passage | None
) -> Sequence[Element] | None:
    """The elements under a heading; or under the one that a passage stands in; or all. None without such a heading."""
    titles = [n for n, one in enumerate(elements) if one.category == "title"]
    if named is not None:
        wanted = _folded(named)
        at = next((n for n in titles if _folded(text[elements[n].start : elements[n].end]) == wanted), None)
    elif passage is not None:
        at = max((n for n in titles if elements[n].start <= passage.start), default=0)
    else:
        return elements or None
    if at is None or not elements:
        return None
    depth = elements[at].depth if elements[at].category == "title" else len(elements)
    end = next((n for n in titles if n > at and elements[n].depth <= depth), len(elements))
    return elements[at:end]


def _path(elements: Sequence[Element], text: str, start: int) -> tuple[str, ...]:
    """The headings in force at a place, outermost first."""
    path: list[tuple[int, str]] = []
    for one in elements:
        if one.category == "title" and one.start <= start:
            path = [kept for kept in path if kept[0] < one.depth]
            path.append((one.depth, " ".join(text[one.start : one.end].split())))
    return tuple(title for _, title in path)


def _holds(one: Passage, other: Passage) -> bool:
    same = (one.document, one.version) == (other.document, other.version)
    return same and one.start <= other.start and other.end <= one.end


def _in_force(document: Document, today: date) -> bool:
    begun = document.effective_from is None or document.effective_from <= today
    return begun and (document.expires_on is None or document.expires_on > today)


def _folded(heading: str) -> str:
    return " ".join(heading.casefold().split())


def _line(parts: Sequence[str]) -> str:
    return " | ".join(" ".join(part.split()) for part in parts)[:MOST_LINE_CHARS]
