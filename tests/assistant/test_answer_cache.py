"""Drafts used again: never by those of other rights, never after a change, and one call for all who ask at once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from assistant.answer_cache import AnswerCache, Kept, Repeated, key_of
from assistant.bootstrap import Quoth
from assistant.model import Answer, Context, DraftClaim, DraftEnd, Evidence, Usage
from assistant.quoting import QuotedAnswerer
from assistant.settings import Settings
from evals.bench.loopback_model import LoopbackModel
from ingest.access import Reader
from ingest.model import DocumentId
from retrieval.model import SearchResult
from tests.assistant.test_model_answerer import CONTEXT, QUESTION, passage

ONE, OTHER = DocumentId(uuid.uuid4()), DocumentId(uuid.uuid4())


def kept(text: str = "x", document: DocumentId = ONE) -> Kept:
    end = DraftEnd("m", usage=Usage(9, 0, 9, 0.5), first_token_ms=3.0)
    return Kept((DraftClaim(text, (Evidence("P1", "q"),)), end), "m", "v1", frozenset({document}))


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def put(cache: AnswerCache, key: str, draft: Kept) -> None:
    with cache.turn(key, wait_s=0.0) as turn:
        assert turn.kept is None
        turn.keep(draft)


def known(cache: AnswerCache, key: str) -> Kept | None:
    with cache.turn(key, wait_s=0.0) as turn:
        return turn.kept


def test_a_draft_is_found_by_its_key_until_it_is_old() -> None:
    clock = Clock()
    cache = AnswerCache(longest_s=60.0, clock=clock)
    put(cache, "a", kept())
    assert known(cache, "a") == kept() and known(cache, "b") is None
    clock.now = 61.0
    assert known(cache, "a") is None and len(cache) == 0


def test_the_least_used_goes_first_and_a_removed_document_takes_its_drafts() -> None:
    cache = AnswerCache(capacity=2)
    put(cache, "a", kept("a"))
    put(cache, "b", kept("b", OTHER))
    assert known(cache, "a") is not None
    put(cache, "c", kept("c"))
    assert known(cache, "b") is None and len(cache) == 2
    cache.forget(ONE)
    assert len(cache) == 0


def test_a_repeated_draft_costs_nothing() -> None:
    claim, end = Repeated(kept("hello")).draft(QUESTION, CONTEXT, SearchResult(QUESTION, "reranked", (), {}))
    assert isinstance(claim, DraftClaim) and claim.text == "hello"
    assert isinstance(end, DraftEnd) and (end.usage, end.first_token_ms, end.model) == (Usage(), None, "m")


def test_those_who_ask_at_the_same_time_wait_for_one() -> None:
    cache = AnswerCache()
    made: list[int] = []
    all_there = threading.Barrier(12)
    go = threading.Event()

    def ask(number: int) -> Kept | None:
        all_there.wait()
        with cache.turn("a", wait_s=20.0) as turn:
            if turn.kept is None:
                made.append(number)
                assert go.wait(20)
                turn.keep(kept(str(number)))
                return kept(str(number))
            return turn.kept

    with ThreadPoolExecutor(13) as pool:
        asking = [pool.submit(ask, number) for number in range(12)]
        pool.submit(go.set)
        answers = [one.result() for one in asking]
    assert len(made) == 1
    assert set(answers) == {kept(str(made[0]))}


@pytest.mark.parametrize("how", ["leaves", "fails"])
def test_when_the_first_gives_up_the_next_takes_its_turn(how: str) -> None:
    cache = AnswerCache()
    first = cache.turn("a", wait_s=0.0)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(cache.turn, "a", wait_s=20.0)
        error = RuntimeError() if how == "fails" else None
        first.__exit__(type(error) if error else None, error, None)
        turn = second.result()
    assert turn.kept is None
    turn.keep(kept("second"))
    assert known(cache, "a") == kept("second")


def test_nobody_waits_for_ever_and_nobody_is_robbed_of_a_turn() -> None:
    cache = AnswerCache()
    first = cache.turn("a", wait_s=0.0)
    with cache.turn("a", wait_s=0.01) as impatient:
        assert impatient.kept is None
    with cache.turn("a", wait_s=0.0) as third:  # the first is still at it
        assert third.kept is None
        third.keep(kept("third"))
    first.keep(kept("first"))
    assert known(cache, "a") == kept("first")


FOUND = SearchResult(QUESTION, "reranked", (), {}, searched=QUESTION, readable="r1")


def key(
    question: str = QUESTION,
    found: SearchResult = FOUND,
    context: Context = CONTEXT,
    checker: str = "local",
    *more: str,
) -> str | None:
    return key_of(question, found, context, [QuotedAnswerer()], checker, *more)


def test_the_key_holds_all_that_a_draft_depends_on() -> None:
    first = CONTEXT.passages[0]
    other = [
        key("How many weeks is parental leave in Rome?"),
        key(found=replace(FOUND, searched="Parental leave, and Rome?")),
        key(found=replace(FOUND, readable="r2")),
        key(context=Context((replace(first, text=first.text + " "),), 9)),
        key(context=Context((replace(first, version=2),), 9)),
        key(context=Context((replace(first, title="Other"),), 9)),
        key(context=Context(CONTEXT.passages[::-1], 9)),
        key(QUESTION, FOUND, CONTEXT, "chat"),
        key(QUESTION, FOUND, CONTEXT, "local", "a collection"),
        key_of(QUESTION, FOUND, CONTEXT, [], "local"),
    ]
    assert len({key(), *other}) == len(other) + 1
    assert key("  How many weeks\nis parental leave? ") == key()
    same_words = Context(tuple(replace(one, chunks=()) for one in CONTEXT.passages), 7)
    assert key(context=same_words) == key()


def test_without_passages_or_rights_there_is_no_key() -> None:
    assert key(context=Context((), 0)) is None
    assert key(found=replace(FOUND, readable="")) is None
    assert key(context=Context((passage("x", "P1"),), 1)) is not None


# --- over a real store, with a real service ---------------------------------------------------------------------------

ANN, BO, EVE = (Reader(name, frozenset({"staff"})) for name in ("ann", "bo", "eve"))
BOSS = Reader("boss", frozenset({"staff", "board"}))
ASKED = "How many weeks does parental leave last?"


@dataclass
class Store:
    quoth: Quoth
    double: LoopbackModel
    folder: Path
    collection: str

    def add(self, name: str, text: str, readers: str = "staff") -> DocumentId:
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        (receipt,) = self.quoth.pipeline.add([file], readers=[readers], collection=self.collection)
        assert receipt.status in ("added", "updated") and receipt.document is not None
        return receipt.document

    def ask(self, reader: Reader, question: str = ASKED) -> Answer:
        answer = list(self.quoth.ask(question, reader, collection=self.collection))[-1]
        assert isinstance(answer, Answer)
        return answer

    @property
    def calls(self) -> int:
        return len(self.double.requests)


@pytest.fixture(scope="module")
def opened(environ: dict[str, str]) -> Iterator[tuple[Quoth, LoopbackModel]]:
    with LoopbackModel() as double:
        wanted = {
            **environ, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url, "QUOTH_MODELS": "gpt-6-luna",
        }  # fmt: skip
        with Quoth(Settings.from_env(wanted), wanted, lambda said: None) as quoth:
            yield quoth, double


@pytest.fixture
def store(opened: tuple[Quoth, LoopbackModel], tmp_path: Path) -> Store:
    """A collection of a test's own, with one document for the staff."""
    quoth, double = opened
    made = Store(quoth, double, tmp_path, f"c{uuid.uuid4().hex[:8]}")
    made.add("leave.txt", "Parental leave lasts twenty weeks for every parent.\n")
    return made


@pytest.mark.integration
def test_the_same_question_costs_one_call_and_each_asker_has_a_record(store: Store) -> None:
    before = store.calls
    first, again, other = store.ask(ANN), store.ask(ANN), store.ask(BO, f"  {ASKED} ")
    assert store.calls - before == 1
    assert first.usage.cost_usd > 0 and again.usage == other.usage == Usage()
    assert first.text == again.text == other.text and "twenty weeks" in first.text
    assert {again.model, other.model} == {"gpt-6-luna"} and again.degraded is None
    assert len({first.id, again.id, other.id}) == 3
    assert store.quoth.answers.get(BO, other.id).citations[0].quote == first.citations[0].quote
    assert store.quoth.model_calls.used("user")[-1].calls >= 1


@pytest.mark.integration
def test_who_asks_at_the_same_time_shares_one_call(store: Store) -> None:
    before = store.calls
    together = threading.Barrier(6)

    def ask(reader: Reader) -> Answer:
        together.wait()
        return store.ask(reader)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, [ANN, BO, EVE] * 2))
    assert store.calls - before == 1
    assert {answer.text for answer in answers} == {answers[0].text} and len({one.id for one in answers}) == 6


@pytest.mark.integration
def test_readers_of_different_rights_never_share(store: Store) -> None:
    store.ask(ANN)
    store.add("minutes.txt", "The board met on Tuesday and spoke of nothing else.\n", "board")
    before = store.calls
    assert "twenty weeks" in store.ask(BOSS).text
    assert store.calls - before == 1
    store.ask(BO)
    assert store.calls - before == 1  # what the board alone may read changed nothing for the staff


@pytest.mark.integration
def test_after_a_revocation_nothing_of_the_draft_is_left(store: Store) -> None:
    document = store.add("bonus.txt", "The bonus of the director was 41,500 crowns.\n")
    question = "How high was the bonus of the director?"
    assert "41,500" in store.ask(ANN, question).text
    store.quoth.catalog.set_readers(document, ["board"])
    for reader in (ANN, BO):
        answer = store.ask(reader, question)
        assert "41,500" not in answer.text and all("41,500" not in one.text for one in answer.passages)


@pytest.mark.integration
def test_a_new_version_has_a_new_answer(store: Store) -> None:
    assert "twenty weeks" in store.ask(ANN).text
    store.add("leave.txt", "Parental leave lasts thirty weeks for every parent.\n")
    before = store.calls
    answer = store.ask(ANN)
    assert "thirty weeks" in answer.text and "twenty" not in answer.text
    assert store.calls - before == 1


@pytest.mark.integration
def test_a_removed_document_takes_its_drafts_out_of_memory(store: Store) -> None:
    document = store.add("canteen.txt", "The canteen serves lentil soup on every Monday.\n")
    store.ask(ANN, "What does the canteen serve on Monday?")
    held = len(store.quoth.cache)
    store.quoth.catalog.remove(document)
    assert len(store.quoth.cache) < held
    assert "lentil" not in store.ask(ANN, "What does the canteen serve on Monday?").text


@pytest.mark.integration
def test_quoted_and_degraded_answers_are_not_kept(environ: dict[str, str], store: Store) -> None:
    wanted = {
        **environ, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": store.double.base_url,
        "QUOTH_MODELS": "double-policy,double-honest",
    }  # fmt: skip
    with Quoth(Settings.from_env(wanted), wanted, lambda said: None) as quoth:
        before = store.calls
        for _ in range(2):
            answer = list(quoth.ask(ASKED, ANN, collection=store.collection))[-1]
            assert isinstance(answer, Answer) and answer.degraded
        assert store.calls - before == 4 and len(quoth.cache) == 0
