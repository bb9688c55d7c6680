"""Conversations as files: Markdown for people, JSON for programs, each with every citation."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from assistant.model import Answer, Citation
from assistant.moderation import DECLINED, DECLINED_UNSEEN
from assistant.wire import answer_json

# What Markdown could read as markup: documents and models must not bring pictures, links or headings into the file.
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()<>#!|~$&])")
_LIST: Final = re.compile(r"^(\s*(?:\d+)?)([-+=.])", re.MULTILINE)
_ADDRESS: Final = re.compile(r"(?i)\b(https?|ftp|www|mailto)([:.])")


def markdown(title: str, answers: Sequence[Answer]) -> str:
    """A conversation as Markdown: questions as headings, claims with markers, then each source with its quotation."""
    parts = [f"# {_one_line(title)}"]
    for answer in answers:
        parts += ["", f"## {_one_line(answer.question)}", ""]
        parts += [answer_markdown(answer)]
    return "\n".join(parts).rstrip() + "\n"


def answer_markdown(answer: Answer) -> str:
    """One answer as Markdown, without its question."""
    parts = []
    if answer.status == "abstained" and answer.missing not in (DECLINED, DECLINED_UNSEEN):
        parts.append("The documents do not say.")
    if answer.status == "clarifying":
        parts.append("\n".join((answer.text, "", *(f"- {_one_line(choice)}" for choice in answer.choices))).rstrip())
    for claim in answer.claims:
        marks = "".join(f" [{marker}]" for marker in claim.citations)
        doubt = "" if claim.verdict == "supported" else " (no checked quotation supports this)"
        parts.append(f"{escaped(claim.text)}{marks}{doubt}")
    if answer.missing:
        parts.append(("" if answer.status == "abstained" else "Not answered: ") + escaped(answer.missing))
    for citation in answer.citations:
        parts.append(_source(citation))
    return "\n\n".join(parts) + "\n"


def conversation_json(conversation: str, title: str, answers: Sequence[Answer]) -> dict[str, Any]:
    """A conversation as JSON: each answer as `quoth ask --json` prints it."""
    return {"conversation": conversation, "title": title, "answers": [answer_json(one) for one in answers]}


def json_text(conversation: str, title: str, answers: Sequence[Answer]) -> str:
    return json.dumps(conversation_json(conversation, title, answers), ensure_ascii=False, indent=2) + "\n"


def escaped(words: str) -> str:
    """Text that Markdown shows as it is: nothing in it becomes markup, nothing is loaded."""
    plain = _LIST.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", words))
    return _ADDRESS.sub(r"\1\\\2", plain)  # an address would become a link without any mark-up


def _source(citation: Citation) -> str:
    if not citation.source:
        return f"[{citation.marker}] A document that you may not read."
    place = f", page {citation.page}" if citation.page else ""
    named = escaped(" ".join((citation.title or citation.source).split()))
    newer = f", replaced by version {citation.newer.version}" if citation.newer else ""
    head = f"[{citation.marker}] {named} ({escaped(citation.source)}{place}, version {citation.version}{newer})"
    quoted = "\n".join(f"> {escaped(line)}" for line in citation.quote.splitlines() if line.strip())
    return f"{head}\n\n{quoted}"


def _one_line(words: str) -> str:
    return escaped(" ".join(words.split()))
