from __future__ import annotations

import json
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.exporting import answer_markdown, escaped, json_text, markdown
from assistant.model import Answer, AnswerId, Citation, Claim, ConversationId, Usage
from ingest.model import DocumentId

QUOTE = "Leave lasts ![x](http://evil.example/p.png) twenty weeks.\n# No heading"


def answer(**changes: object) -> Answer:
    cited = Citation(1, "hr/leave.md", "default", "Leave policy", DocumentId(uuid.uuid4()), 2, 3, 3, None, 0, 9, QUOTE)
    given = {
        "status": "answered", "text": "", "claims": (Claim("Leave is 20 weeks.", "supported", 1.0, (1,)),),
        "citations": (cited,), "passages": (), "missing": None, "model": "m", "prompt_version": "p", "degraded": None,
        "usage": Usage(), "timings_ms": {}, **changes,
    }  # fmt: skip
    return Answer(AnswerId(uuid.uuid4()), ConversationId(uuid.uuid4()), "How long?", **given)  # type: ignore[arg-type]


def test_markdown_has_question_claims_and_sources_and_nothing_that_loads() -> None:
    text = markdown("Leave <b>", [answer()])
    assert text.startswith("# Leave \\<b\\>\n\n## How long?\n\nLeave is 20 weeks. [1]\n\n[1] Leave policy")
    assert "(hr/leave.md, page 3, version 2)" in text
    assert not re.search(r"(?<!\\)!\[", text)
    assert "\n> \\# No heading" in text


def test_what_was_asked_back_is_listed() -> None:
    asked = answer(status="clarifying", claims=(), citations=(), text="Which?", choices=("Leave\n*A*", "Leave B"))
    assert answer_markdown(asked) == "Which?\n\n- Leave \\*A\\*\n- Leave B\n"


def test_json_is_the_contracts_object() -> None:
    read = json.loads(json_text("c", "T", [answer()]))
    assert read["answers"][0]["citations"][0]["quote"] == QUOTE


def test_what_is_out_of_reach_is_said() -> None:
    gone = Citation(1, "", "", "", DocumentId(uuid.uuid4()), 1, None, None, None, 0, 4, "")
    assert "A document that you may not read." in answer_markdown(answer(citations=(gone,)))
    assert answer_markdown(answer(claims=(), citations=(), status="abstained")) == "The documents do not say.\n"


@pytest.mark.parametrize(
    "hostile", ["https://evil.example", "1. one", "- one", "<img src=x>", "`x`", "www.evil.example"]
)
def test_mark_up_is_taken_literally(hostile: str) -> None:
    assert "\\" in escaped(hostile)


@given(st.text())
def test_escaping_only_adds_backslashes(words: str) -> None:
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped(words)) == words
