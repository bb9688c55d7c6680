"""Which sentences the answerer without a model quotes: those of tables and mails have rules of their own."""

from __future__ import annotations

from uuid import UUID

from assistant.model import Context, Passage
from assistant.quoting import Selection, choose, sentence_candidates
from ingest.analysis import analyzer_for
from ingest.model import ChunkId, DocumentId
from ingest.sentences import sentence_spans
from retrieval.model import Hit, SearchResult


def quotes(question: str, *texts: str) -> list[str]:
    """What is quoted of passages found in this order."""
    hits, passages = [], []
    for number, text in enumerate(texts, 1):
        chunk, document = ChunkId(UUID(int=number)), DocumentId(UUID(int=number))
        hits.append(
            Hit(number, 1.0, f"{number}.md", "default", "", document, 1, chunk, None, 0, len(text), (), text,
                "2026-01-01", {}, sentences=tuple(sentence_spans(text, 0, len(text))))
        )  # fmt: skip
        passages.append(
            Passage(f"P{number}", f"{number}.md", "default", "", (), document, 1, None, 0, len(text), text, (chunk,))
        )
    idf = dict.fromkeys(analyzer_for("en").terms(question), 1.0)
    search = SearchResult(question, "reranked", tuple(hits), {}, idf=idf)
    selection = Selection()
    return [one.text for one in choose(sentence_candidates(Context(tuple(passages), 0), search, selection), selection)]


TABLE = "Boat | Berth | Length in metres\nOtter | 12 | 8\nHeron | 14 | 11\nPike | 15 | 9"


def test_a_sentence_takes_the_table_along_that_follows_it() -> None:
    text = f"Berths go by the length of the boat as measured in spring.\n\n{TABLE}\n\nThe harbour master has the keys."
    [quote] = quotes("Which berths go by the length of a boat?", text)
    assert quote.startswith("Berths go by") and quote.endswith("Pike | 15 | 9")


def test_a_table_that_is_too_long_stays_away() -> None:
    text = "Berths go by the length of the boat as measured in spring.\n\n" + "\n".join(
        f"Otter {number} | {number} | 8" for number in range(80)
    )
    [quote, *_] = quotes("Which berths go by the length of a boat?", text)
    assert quote == "Berths go by the length of the boat as measured in spring."


def test_a_row_is_found_by_the_names_of_its_columns_and_quoted_from_there() -> None:
    other = "The length of a berth is not the length of its boat."
    quote, *_ = quotes("What is the length in metres of the Heron?", other, TABLE)
    assert quote.startswith("Boat | Berth | Length in metres") and quote.endswith("Heron | 14 | 11")


def test_two_rows_of_a_table_are_two_quotations() -> None:
    found = quotes("Length in metres of the Otter and the Pike?", TABLE)
    assert [one.splitlines()[-1] for one in found] == ["Otter | 12 | 8", "Pike | 15 | 9"]


def test_a_numbered_title_does_not_join_the_sentence_before_it() -> None:
    [quote, *_] = quotes(
        "When is the lift closed?", "The lift is closed on Sundays.\n\n2.2 Stairs beside the lift\n\nMind."
    )
    assert quote == "The lift is closed on Sundays."


def test_the_header_of_a_mail_is_no_answer() -> None:
    mail = "From: Harbour office <harbour@example.com>\nTo: All crews <crews@example.com>\nSubject: Which day the crane moves"
    quote, *_ = quotes("Which day does the crane move?", f"{mail}\n\nThe crane will move to the north quay on 4 May.")
    assert quote.startswith("The crane will move")


def test_what_asks_is_no_answer_but_may_stand_before_it() -> None:
    asks = "Will breakfast be served in the new canteen too?"
    assert quotes("Is breakfast served in the canteen?", asks) == []
    answered = f"{asks}\n\nBreakfast is served in the canteen from seven."
    [quote] = quotes("Is breakfast served in the canteen?", answered)
    assert quote.endswith("from seven.")
