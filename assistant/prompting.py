"""What a chat model is told: rules that never change within a version, and one message with sources and question.

The rules are in prompts/*.md and go into the developer message. Text of documents goes only into the user message,
between markers that carry a code drawn for this request, so that no document can end its passage or open another.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from assistant.model import Context, Passage, Rejection, ToolResult
from ingest.errors import ConfigurationError

USUAL_PROMPT: Final = "full"  # prompts/answer.md; others are prompts/answer-NAME.md
CODE_BYTES: Final = 6
FRAME_BYTES: Final = 256  # roles, separators and the words that introduce a schema, generously
_LINE: Final = re.compile(r"\s+")
# What a person does not see and a model reads: zero-width and bidirectional controls, and the tag block. The joiners
# that scripts need (U+200C, U+200D) stay. Quotes are found without these characters too.
_UNSEEN: Final = re.compile("[\u00ad\u0002\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")

ANSWER_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["claims", "missing", "choices"],
    "properties": {
        "claims": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["text", "evidence"],
                "properties": {
                    "text": {"type": "string", "description": "One complete sentence."},
                    "evidence": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["passage", "quote"],
                            "properties": {
                                "passage": {"type": "string", "description": "Id of a passage, such as P1."},
                                "quote": {"type": "string", "description": "Copied word for word from that passage."},
                            },
                        },
                    },
                },
            },
        },
        "missing": {
            "type": ["string", "null"],
            "description": "What of the question the passages do not answer; null if they answer all of it.",
        },
        "choices": {
            "type": ["array", "null"],
            "description": "Null, except where the question may mean several things: those, two to five.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["passage", "words"],
                "properties": {
                    "passage": {"type": "string", "description": "Id of a passage that is about it, such as P1."},
                    "words": {"type": "string", "description": "What may be meant, in a few words of that passage."},
                },
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """The rules as sent, and a name that changes with every change of rules, schema or message form."""

    instructions: str
    version: str  # "answer-", the name of one that is not the usual, and 8 hex digits
    sent_bytes: int  # of what is sent whatever the question: rules, schema, and what the API puts around them


@functools.cache
def answer_prompt(name: str = USUAL_PROMPT) -> Prompt:
    """Read the rules of answering; the version ends in a hash over all that does not depend on the question.

    Args:
        name: one of `answer_prompts()`.

    Raises:
        ConfigurationError: there is no such version.
    """
    if name not in answer_prompts():
        raise ConfigurationError(
            f"QUOTH_PROMPT_VERSION={name!r} is not a version of the prompt. There are {', '.join(answer_prompts())}."
        )
    file = "answer.md" if name == USUAL_PROMPT else f"answer-{name}.md"
    text = resources.files("assistant").joinpath(f"prompts/{file}").read_text("utf-8").strip()
    every_part = Context((), 0, earlier="{earlier}", rejected=(Rejection("{claim}", "{reason}"),))
    form = source_message("{question}", every_part, code="{code}")
    handed = tool_message(ToolResult("{note}", (), ("{line}",)), "{code}")
    parts = [text, ANSWER_SCHEMA, form, handed, _UNSEEN.pattern]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    sent_bytes = len(text.encode()) + len(json.dumps(ANSWER_SCHEMA)) + FRAME_BYTES
    mark = "" if name == USUAL_PROMPT else f"{name}-"
    return Prompt(text, f"answer-{mark}{digest.hexdigest()[:8]}", sent_bytes)


@functools.cache
def answer_prompts() -> tuple[str, ...]:
    """The names of the versions of the rules of answering, the usual one first."""
    files = (one.name for one in resources.files("assistant").joinpath("prompts").iterdir())
    others = (one[len("answer-") : -len(".md")] for one in files if one.startswith("answer-") and one.endswith(".md"))
    return (USUAL_PROMPT, *sorted(others))


def source_message(question: str, context: Context, *, code: str | None = None) -> str:
    """The user message: every passage with id, title, headings and date, what was said before, what of a
    former draft was rejected, then the question.

    Args:
        code: what the markers carry; drawn at random when not given, and never one that the texts contain.
    """
    question, earlier, rejected = _beside(question, context)
    code = code or request_code(question, context)
    lines = [f"<<SOURCES {code}>>"]
    for passage in context.passages:
        lines += _between(f"PASSAGE {passage.id}", _shown(passage), code)
    lines.append(f"<<END SOURCES {code}>>")
    if earlier:
        lines += [f"<<EARLIER {code}>>", earlier, f"<<END EARLIER {code}>>"]
    if rejected:
        lines += [f"<<REJECTED {code}>>", rejected, f"<<END REJECTED {code}>>"]
    lines += [f"<<QUESTION {code}>>", question, f"<<END QUESTION {code}>>"]
    return "\n".join(lines)


def request_code(question: str, context: Context) -> str:
    """A code for the markers of one request, drawn at random, that none of its texts contains."""
    return _unused_code("\n".join((*map(_shown, context.passages), *_beside(question, context))))


def tool_message(result: ToolResult, code: str) -> str:
    """What a tool hands to the model: our own line, then what stands in documents, marked as the sources are.

    Args:
        code: of the request's markers. What contains it is left out: the documents cannot know it, and if one does,
            it must not use it.
    """
    lines = [result.note]
    listed = "\n".join(_one_line(line) for line in result.lines)
    if listed and code not in listed:
        lines += _between("LIST", listed, code)
    for passage in result.passages:
        shown = _shown(passage)
        if code not in shown:
            lines += _between(f"PASSAGE {passage.id}", shown, code)
    return "\n".join(lines)


def _between(name: str, text: str, code: str) -> list[str]:
    return [f"<<{name} {code}>>", text, f"<<END {name} {code}>>"]


def _beside(question: str, context: Context) -> tuple[str, str, str]:
    """Question, what was said before and what was rejected, as they are sent."""
    rejected = "\n\n".join(f"{one.text}\nLeft out: {one.reason}" for one in context.rejected)
    return _UNSEEN.sub("", question).strip(), _UNSEEN.sub("", context.earlier).strip(), _UNSEEN.sub("", rejected)


def marked(texts: Sequence[tuple[str, str]]) -> str:
    """Named texts, each between markers with one code that none of them contains; what nobody sees is taken out."""
    shown = [(name, _UNSEEN.sub("", text).strip()) for name, text in texts]
    code = _unused_code("\n".join(text for _, text in shown))
    return "\n".join(f"<<{name} {code}>>\n{text}\n<<END {name} {code}>>" for name, text in shown)


def _shown(passage: Passage) -> str:
    """A passage's head lines and text. Head lines are one line each: titles come from documents too."""
    head = [f"title: {_one_line(passage.title or passage.source)}"]
    if passage.heading:
        head.append("section: " + _one_line(" > ".join(passage.heading)))
    if passage.updated:
        head.append(f"date: {_one_line(passage.updated)}")
    return "\n".join((*head, "text:", _UNSEEN.sub("", passage.text)))


def _one_line(text: str) -> str:
    return _LINE.sub(" ", _UNSEEN.sub("", text)).strip()


def _unused_code(text: str) -> str:
    while True:
        code = secrets.token_hex(CODE_BYTES)
        if code not in text:
            return code
