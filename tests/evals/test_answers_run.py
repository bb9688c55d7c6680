"""Cases are asked as their askers, and what is measured of the answers is what the store holds."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from assistant.model import (
    Answer,
    AnswerId,
    Citation,
    Claim,
    ConversationId,
    Passage,
    Usage,
    Verdict,
)
from evals.answers_report import per_case_json, run_json, run_table, words_of, write_report
from evals.answers_run import AnswersRun, Asking, Readable, evaluate_answers
from evals.case_run import best_ranks, failure_class, read_again
from evals.cases import Case, Gold, read_cases
from evals.claim_judging import judged
from evals.gold import GoldFinder, Place
from evals.outcome import Cited, GoldSeen, JudgedCitation, JudgedClaim, Outcome
from ingest.access import LOCAL, Reader
from ingest.model import ChunkId, DocumentId
from retrieval.model import Hit

DOCUMENT = DocumentId(uuid.uuid4())

HANDBOOK = {
    "leave.md": (
        "# Parental leave\n\nNew parents receive twenty weeks of paid parental leave. It can be taken in two blocks."
        "\n\nRequests go to the people team six weeks ahead."
    ),
    "travel.txt": (
        "Trains are booked for journeys shorter than six hours. Hotel rooms may cost at most 140 euros a night.\n\n"
        "Receipts are handed in within thirty days after the journey."
    ),
}
PAY = {"pay.txt": "The salary band of a senior engineer starts at 71,000 euros a year. Bands are reviewed every March."}

LEAVE = "New parents receive twenty weeks of paid parental leave."
SALARY = "The salary band of a senior engineer starts at 71,000 euros a year."
CASES = [
    {
        "id": "leave",
        "question": "How many weeks of paid parental leave do new parents receive?",
        "gold": [{"source": "leave.md", "quote": LEAVE.replace(" ", "\n", 2)}],
        "type": "fact",
    },
    {
        "id": "lost",
        "question": "At what time may trains be booked for journeys shorter than six hours?",
        "gold": [{"source": "travel.txt", "quote": "Words that are in no document."}],
        "type": "fact",
    },
    {"id": "krypton", "question": "Which wavelength does a krypton laser emit?", "answerable": False, "type": "none"},
    {
        "id": "pay-insider",
        "question": "Where does the salary band of a senior engineer start?",
        "gold": [{"source": "pay.txt", "quote": SALARY}],
        "groups": ["hr"],
    },
    {
        "id": "pay-outsider",
        "question": "Where does the salary band of a senior engineer start?",
        "answerable": False,
        "groups": [],
    },
]


@dataclass(frozen=True, slots=True)
class WordChecker:
    """A claim is supported when the quotes together hold each of its words."""

    name: str = "words"

    def check(self, claim: str, quotes: Sequence[str], *, around: Sequence[str]) -> Verdict:
        assert len(around) == len(quotes)
        held = set(" ".join(quotes).lower().split())
        return Verdict(set(claim.lower().split()) <= held, 1.0, "")


def citation(marker: int, quote: str, start: int = 0) -> Citation:
    return Citation(
        marker, "s", "c", "t", DOCUMENT, 1, None, None, None, start, start + len(quote), quote
    )  # fmt: skip


def answer(claims: Sequence[Claim], citations: Sequence[Citation]) -> Answer:
    return Answer(
        AnswerId(uuid.uuid4()), ConversationId(uuid.uuid4()), "q", "answered", "", tuple(claims), tuple(citations), (),
        None, "m", "p", None, Usage(), {},
    )  # fmt: skip


def test_each_citation_is_judged_with_the_others_alone_and_left_out() -> None:
    given = answer(
        [
            Claim("red blue", "supported", 1.0, (1, 2)),
            Claim("red", "supported", 1.0, (1, 3)),
            Claim("green", "supported", 1.0, (1,)),
            Claim("red", "supported", 1.0, (1, 9)),
            Claim("red", "unsupported", 0.0, ()),
        ],
        [citation(1, "red"), citation(2, "blue"), citation(3, "pink")],
    )
    assert judged(given, (), Case("c", "?"), WordChecker()).claims == (
        JudgedClaim(True, (JudgedCitation(True, False, False), JudgedCitation(True, False, False))),
        JudgedClaim(True, (JudgedCitation(True, True, False), JudgedCitation(True, False, True))),
        JudgedClaim(False, (JudgedCitation(True, False, False),)),
        JudgedClaim(True, (JudgedCitation(True, True, False), JudgedCitation(False, False, True))),
        JudgedClaim(False, ()),
    )


def test_a_case_is_classed_by_where_it_went_wrong() -> None:
    place = Place(DOCUMENT, 1, (10, 20), (0, 50), frozenset())
    other = replace(place, span=(60, 70))
    seen, unseen = GoldSeen((place,), True), GoldSeen((place,), False)
    cited = Cited(DOCUMENT, 1, (12, 15))
    whole = Outcome("a", True, "answered", citations=(cited,), gold=(seen,), context_known=True)
    assert failure_class(whole, retrieved=True) == "used"
    assert failure_class(replace(whole, gold=(seen, GoldSeen((other,), True))), retrieved=True) == "used in part"
    assert failure_class(replace(whole, citations=()), retrieved=True) == "in context, not used"
    assert failure_class(replace(whole, status="abstained", citations=()), retrieved=True) == "wrongly abstained"
    assert failure_class(replace(whole, gold=(unseen,), citations=()), retrieved=True) == "retrieved, not in context"
    assert failure_class(replace(whole, gold=(unseen,), status="abstained"), retrieved=False) == "not retrieved"
    assert failure_class(replace(whole, gold=(GoldSeen(()),)), retrieved=False) == "unscorable"
    assert failure_class(replace(whole, status="failed"), retrieved=False) == "failed"
    assert failure_class(replace(whole, answerable=False), retrieved=False) == "should have abstained"
    assert failure_class(Outcome("a", False, "abstained"), retrieved=False) == "rightly not answered"
    unsupported = replace(whole, claims=(JudgedClaim(False, (JudgedCitation(),)),))
    assert failure_class(unsupported, retrieved=True) == "used, wrong"
    assert failure_class(replace(whole, citations=(replace(cited, matches_stored=False),)), retrieved=True) == (
        "used, wrong"
    )
    unknown = replace(whole, gold=(unseen,), context_known=False)
    assert failure_class(unknown, retrieved=None) == "used"  # nobody says what was found and given


def test_gold_is_ranked_by_the_best_chunk_that_touches_it() -> None:
    def hit(start: int, end: int, **ranks: int) -> Hit:
        return Hit(
            0, 0.0, "s", "c", "", DOCUMENT, 1, ChunkId(uuid.uuid4()), None, start, end, (), "", "", ranks,  # type: ignore[arg-type]
        )  # fmt: skip

    hits = [hit(0, 10, lexical=1, fused=1), hit(10, 30, lexical=4, fused=2), hit(15, 18, dense=2, fused=3)]
    assert best_ranks(hits, [Place(DOCUMENT, 1, (12, 16), (0, 50), frozenset())]) == {
        "lexical": 4,
        "dense": 2,
        "fused": 2,
    }
    assert best_ranks(hits, [Place(DOCUMENT, 2, (12, 16), (0, 50), frozenset())]) == {}
    assert best_ranks(hits, []) == {}


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    for files, readers in ((HANDBOOK, ["everyone"]), (PAY, ["hr"])):
        root = tmp_path_factory.mktemp("documents")
        for name, content in files.items():
            (root / name).write_text(content, encoding="utf-8")
        receipts = list(quoth.pipeline.add([root], readers=readers))
        assert [receipt.status for receipt in receipts] == ["added"] * len(files)
    return quoth


@pytest.fixture(scope="module")
def cases_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in CASES), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def run(filled: Quoth, cases_file: Path) -> AnswersRun:
    return evaluate_answers(filled, cases_file, Asking(Reader("ada", frozenset())))


@pytest.mark.integration
def test_gold_is_found_in_the_store_with_its_paragraph(filled: Quoth) -> None:
    finder = GoldFinder(filled.catalog, None)
    (place,) = finder.locate(Gold("leave.md", LEAVE)).places
    text = filled.catalog.text(LOCAL, place.document, place.version)
    assert text[slice(*place.span)] == LEAVE
    assert text[slice(*place.passage)].startswith(LEAVE) and "two blocks" in text[slice(*place.passage)]
    assert "people team" not in text[slice(*place.passage)]
    assert finder.locate(Gold("leave.md", "Never said.")).problem == (
        "the quote is not in the current version of 'leave.md'"
    )
    assert finder.locate(Gold("none.md", LEAVE)).problem == "there is no document 'none.md'"
    assert finder.locate(Gold("leave.md", LEAVE, "elsewhere")).places == ()


@pytest.mark.integration
def test_a_run_measures_what_happened(run: AnswersRun) -> None:
    by_id = {one.case_id: one for one in run.records}
    assert by_id["leave"].failure_class == "used"
    assert by_id["leave"].outcome.gold[0].ranks["reranked"] == 1
    assert by_id["leave"].hits[0].ranks["reranked"] == 1 and by_id["leave"].context
    assert by_id["krypton"].failure_class == "rightly not answered"
    assert by_id["lost"].failure_class == "unscorable"
    assert by_id["lost"].problems == ("gold 1: the quote is not in the current version",)
    assert run.measures["unscorable"].value == 0.2
    assert run.measures["quote_match"].value == 1.0
    assert run.measures["citation_validity"].value == 1.0
    assert run.measures["abstention_tpr"].n == 2
    assert run.by_type["fact"]["abstention_fpr"].n == 2
    assert run.measures["access_leaks"].value == 0
    assert run.measures["faithfulness"].value == 1  # quotations of what was given
    assert run.resources["latency_p95_ms"].value is not None and run.resources["cost_usd"].value == 0


@pytest.mark.integration
def test_each_case_is_asked_with_its_own_groups(filled: Quoth, run: AnswersRun) -> None:
    by_id = {one.case_id: one for one in run.records}
    insider, outsider = (words_of(filled.answers, by_id[name]) for name in ("pay-insider", "pay-outsider"))
    assert insider is not None and outsider is not None
    assert {one.source for one in insider.citations} == {"pay.txt"}
    assert by_id["pay-insider"].failure_class == "used"
    assert "pay.txt" not in {one.source for one in outsider.citations}
    assert "71,000" not in outsider.text


@pytest.mark.integration
def test_a_citation_that_is_not_what_the_store_holds_is_seen(filled: Quoth, run: AnswersRun) -> None:
    kept = words_of(filled.answers, next(one for one in run.records if one.case_id == "pay-insider"))
    assert kept is not None
    (cited, *_) = kept.citations
    whole = Passage(
        "", "pay.txt", "default", "", (), cited.document, cited.version, None, 0, 10_000, "", ()
    )  # fmt: skip
    insider, outsider = Reader("eva", frozenset({"hr"})), Reader("ada", frozenset())
    assert read_again(filled, insider, cited, [whole]).matches_stored
    assert not read_again(filled, outsider, cited, [whole]).matches_stored
    assert not read_again(filled, insider, replace(cited, quote=cited.quote + "!"), [whole]).matches_stored
    assert not read_again(filled, insider, replace(cited, start=0, end=0, quote=""), [whole]).matches_stored
    assert not read_again(filled, insider, cited, [replace(whole, start=cited.start + 1)]).in_context
    assert not read_again(filled, insider, cited, [replace(whole, version=2)]).in_context


@pytest.mark.integration
def test_the_json_has_the_contracts_names_and_shares(run: AnswersRun) -> None:
    found = json.loads(json.dumps(run_json(run)))
    needed = (
        "citation_precision citation_recall citation_f1 gold_citation_precision gold_citation_recall quote_match "
        "abstention_tpr abstention_fpr unscorable"
    )
    assert set(needed.split()) <= set(found["measures"])
    for measure in found["measures"].values():
        assert set(measure) == {"value", "n", "interval"}
        if measure["value"] is None:
            assert measure["n"] == 0 and measure["interval"] is None
        else:
            low, high = measure["interval"]
            assert 0 <= low <= measure["value"] <= high <= 1
    assert found["run"] == run.id
    assert set(per_case_json(run)["abstention_tpr"]) == {"krypton", "pay-outsider"}
    assert "gold_citation_recall" in run_table(run)


@pytest.mark.integration
def test_a_report_holds_one_record_a_case_and_a_summary(
    filled: Quoth, run: AnswersRun, cases_file: Path, tmp_path: Path
) -> None:
    cases = {case.id: case for case in read_cases(cases_file)}
    write_report(run, filled.answers, cases, tmp_path / "report")
    lines = (tmp_path / "report" / "cases.jsonl").read_text(encoding="utf-8").split("\n")
    records = [json.loads(line) for line in lines if line]
    assert [record["id"] for record in records] == [case["id"] for case in CASES]
    assert records[0]["gold"][0]["found"] and records[0]["gold"][0]["ranks"]["reranked"] == 1
    assert records[0]["citations"][0]["matches_stored"]
    assert records[0]["citations"][0]["quote"] in HANDBOOK["leave.md"]
    table = (tmp_path / "report" / "cases.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == len(CASES) + 1 and table[1].startswith("leave,fact,")
    summary = (tmp_path / "report" / "summary.md").read_text(encoding="utf-8")
    assert "| unscorable | 0.200 |" in summary and "- lost: unscorable" in summary


@pytest.mark.integration
def test_earlier_turns_are_asked_in_the_same_conversation(
    filled: Quoth, tmp_path: Path, folder_of: Callable[..., Path]
) -> None:
    file = tmp_path / "cases.jsonl"
    case = {**CASES[0], "turns": ["How may trains be booked?", "And hotel rooms?"], "groups": []}
    file.write_text(json.dumps(case) + "\n", encoding="utf-8")
    run = evaluate_answers(filled, file, Asking(LOCAL))
    asker = Reader("eval", frozenset())
    assert run.records[0].answer is not None
    kept = filled.answers.get(asker, AnswerId(run.records[0].answer))
    asked = [one.question for one in filled.answers.conversation(asker, kept.conversation)]
    assert asked == [*case["turns"], case["question"]]  # type: ignore[misc]


@pytest.mark.integration
def test_a_document_that_came_in_between_is_no_leak(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    reader = Reader("eve", frozenset())
    remembered = Readable(quoth.catalog, "between")

    def added(name: str, readers: Sequence[str]) -> DocumentId:
        folder = folder_of({name: f"What {name} says is known to few.\n"})
        (receipt,) = quoth.pipeline.add([folder], collection="between", readers=readers)
        assert receipt.document is not None
        return receipt.document

    first = added("first.txt", ["everyone"])
    assert remembered.all_of(reader, {first})
    later, closed = added("later.txt", ["everyone"]), added("closed.txt", ["board"])
    assert remembered.all_of(reader, {first, later})
    assert not remembered.all_of(reader, {first, closed})
