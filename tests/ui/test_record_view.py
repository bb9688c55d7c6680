"""The page that shows how an answer was made, over a record with everything in it."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

ANSWER = "00000000-0000-0000-0000-000000000007"


def page() -> None:
    """Runs in a process of the page's own making, so it brings all it needs."""
    import uuid
    from datetime import UTC, datetime
    from types import SimpleNamespace

    from assistant.answer_record import Asked, FoundHit, KeptCall, LookedUp, Record, SentPassage
    from assistant.model import Answer, AnswerId, Claim, ConversationId, Rejection
    from ingest.access import LOCAL
    from ingest.errors import UsageError
    from ingest.metering import Usage
    from ingest.model import DocumentId
    from ui.views import record_view

    id = AnswerId(uuid.UUID(int=7))
    at = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    document = DocumentId(uuid.UUID(int=3))
    record = Record(
        answer=Answer(
            id=id, conversation=ConversationId(uuid.UUID(int=8)), question="How *long* is leave?", status="answered",
            text="Twenty weeks.", claims=(Claim("Twenty weeks.", "supported", 0.93, (1,), "entailed"),), citations=(),
            passages=(), missing=None, model="gpt-6-luna", prompt_version="answer-1", degraded=None,
            usage=Usage(120, 20, 30, 0.002), timings_ms={"total": 400.0, "search_embed": 3.0},
            rejected=(Rejection("Thirty weeks.", "number 30 is not in the quote"),),
        ),
        asked_at=at, operator=None, searched="How *long* is leave?",
        hits=(
            FoundHit(document, 1, "leave.md", "Leave", "Leave lasts <b>twenty</b> weeks.", {"lexical": 1, "reranked": 1},
                     {"lexical": 3.5, "reranked": 0.8}),
            FoundHit(document, 1, "", "", "", {"dense": 2}, {"dense": 0.4}),
        ),
        passages=(SentPassage(document, 1, "leave.md", "Leave", 0, 30, "Leave lasts <b>twenty</b> weeks."),),
        left_out=None,
        looked_up=(
            LookedUp("search_documents", False, (SentPassage(document, 1, "pay.md", "Pay", 0, 9, "<i>Pay</i>."),)),
            LookedUp("list_documents", True, ()),
        ),
        calls=(KeptCall(at, "judge", "gpt-6-luna", "done", 120, 20, 30, 0.002, 250.0),),
        made={"chain": [{"answerer": "gpt-6-luna", "outcome": "done"}], "repair": {"claims": 2, "shown": 1},
              "settings": {"reranker": "chat", "retrieval": {"depth": 100}}, "checker": "local", "drafted": 2},
        feedback=None,
    )  # fmt: skip

    def get(reader: object, wanted: object) -> Record:
        if wanted != id:
            raise UsageError("You have no such answer.")
        return record

    asked = Asked(id, at, record.answer.question, "answered", "gpt-6-luna", 1, 0.002)
    records = SimpleNamespace(get=get, listed=lambda reader, limit: [asked])
    record_view.show(SimpleNamespace(answer_records=records), LOCAL)  # type: ignore[arg-type]


def opened(answer: str | None) -> AppTest:
    app = AppTest.from_function(page, default_timeout=120)
    if answer:
        app.query_params["answer"] = answer
    return app.run()


def test_everything_of_a_record_is_shown_as_text() -> None:
    app = opened(ANSWER)
    assert not app.exception
    assert [one.value for one in app.subheader] == [
        "The question", "What was found", "What the answer was drawn from", "What the model looked up itself",
        "Calls of models",
        "Statements that were shown", "Statements that were left out", "Times", "Settings at that time", "Your feedback",
    ]  # fmt: skip
    facts = " ".join(one.value for one in app.markdown)
    assert "How \\*long\\* is leave" in facts  # as it was asked, and not as markup
    assert "1 of 2 that were left out" in facts and "Retrieval depth" in facts
    cells = " ".join(str(cell) for table in app.table for cell in table.value.to_numpy().ravel())
    assert "judge a statement" in cells and "number 30 is not in the quote" in cells and "entailed" in cells
    assert "you may not read this now" in cells and "<b>" not in cells.replace("\\<b\\>", "")
    assert "Pay" in cells and "failed" in cells and "<i>" not in cells


def test_the_list_leads_to_a_record_and_others_answers_are_not_there() -> None:
    listed = opened(None)
    listed.button[0].click().run()
    assert listed.query_params["answer"] == [ANSWER] or listed.query_params["answer"] == ANSWER
    for wrong in ("00000000-0000-0000-0000-000000000009", "x"):
        assert "no such answer" in opened(wrong).info[0].value
