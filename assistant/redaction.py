"""A remote model sees placeholders instead of addresses, numbers and keys; its claims and quotes get them back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from assistant.gateway import Call, CallsModel
from assistant.model import (
    Answerer,
    Context,
    DraftClaim,
    DraftEnd,
    Evidence,
    Passage,
    Rejection,
    Toolbox,
    ToolResult,
    ToolUse,
)
from ingest.redaction import Redaction, Redactor
from retrieval.model import SearchResult


class RedactingAnswerer:
    """An Answerer that another one is asked through. What it was sent is never seen by whoever asked."""

    def __init__(self, answerer: Answerer, redactor: Redactor) -> None:
        self._answerer = answerer
        self._redactor = redactor

    def for_call(self, call: Call) -> RedactingAnswerer:
        """As the answerer it asks, which is bound to the call."""
        bound = self._answerer.for_call(call) if isinstance(self._answerer, CallsModel) else self._answerer
        return RedactingAnswerer(bound, self._redactor)

    @property
    def name(self) -> str:
        return self._answerer.name

    @property
    def prompt_version(self) -> str:
        return self._answerer.prompt_version

    def draft(self, question: str, context: Context, search: SearchResult) -> Iterator[DraftClaim | DraftEnd]:
        """As the answerer drafts, over redacted texts; placeholders are put back before anybody resolves a quote.

        The raw output stays as it came, with placeholders: which values they stood for is kept nowhere.
        """
        call = self._redactor.call()
        sent = call.redact(question)
        context = redacted_context(context, call)
        search = replace(search, question=sent, searched=call.redact(search.searched), hits=(), idf={})
        drafted = self._answerer.draft(sent, context, search)
        try:
            for item in drafted:
                yield _restored(item, call)
        finally:
            close = getattr(drafted, "close", None)
            if close is not None:
                close()


def redacted_context(context: Context, call: Redaction) -> Context:
    """The context as it may be sent; the ids of its passages stay."""
    return replace(
        context,
        passages=tuple(_redacted_passage(passage, call) for passage in context.passages),
        earlier=call.redact(context.earlier),
        tools=None if context.tools is None else _RedactedTools(context.tools, call),
        rejected=tuple(Rejection(call.redact(one.text), call.redact(one.reason)) for one in context.rejected),
    )


class _RedactedTools:
    """Tools whose arguments get their values back, and whose results go out redacted like the passages."""

    def __init__(self, tools: Toolbox, call: Redaction) -> None:
        self._tools = tools
        self._call = call

    @property
    def rounds(self) -> int:
        return self._tools.rounds

    @property
    def passages(self) -> Sequence[Passage]:
        return [_redacted_passage(passage, self._call) for passage in self._tools.passages]

    @property
    def uses(self) -> Sequence[ToolUse]:
        return self._tools.uses

    def call(self, name: str, arguments: str) -> ToolResult:
        try:
            given = json.loads(arguments)
        except (ValueError, RecursionError):
            given = None  # as it came: the tool says what is wrong with it
        if isinstance(given, dict):
            put_back = {
                key: self._call.restore(value) if isinstance(value, str) else value for key, value in given.items()
            }
            arguments = json.dumps(put_back, ensure_ascii=False)
        result = self._tools.call(name, arguments)
        return ToolResult(
            result.note,
            tuple(_redacted_passage(passage, self._call) for passage in result.passages),
            tuple(self._call.redact(line) for line in result.lines),
        )


def _redacted_passage(passage: Passage, call: Redaction) -> Passage:
    return replace(
        passage,
        source=call.redact(passage.source),
        title=call.redact(passage.title),
        heading=tuple(call.redact(one) for one in passage.heading),
        text=call.redact(passage.text),
    )


def _restored(item: DraftClaim | DraftEnd, call: Redaction) -> DraftClaim | DraftEnd:
    if isinstance(item, DraftEnd):
        choices = tuple(replace(one, words=call.restore(one.words)) for one in item.choices)
        return replace(item, missing=None if item.missing is None else call.restore(item.missing), choices=choices)
    evidence = tuple(Evidence(one.passage_id, call.restore(one.quote)) for one in item.evidence)
    return replace(item, text=call.restore(item.text), evidence=evidence)
