"""Embeddings made in batches: half the price, every text once, and nothing lost whatever dies in between."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.budgets import Budgets
from assistant.gateway import Gateway
from assistant.limits import limits_from
from assistant.model_client import asynchronous, client_from
from assistant.prices import Prices
from assistant.settings import Settings
from assistant.store_checks import embedding_batches
from evals.bench.loopback_batches import Fault
from evals.bench.loopback_model import LoopbackModel
from ingest.access import LOCAL
from ingest.batch_embedding import BatchEmbedding
from ingest.canonical import canonical
from ingest.discovery import discover
from ingest.errors import CallFailed, ConfigurationError
from ingest.intake_rows import BULK, FEW, UPLOAD
from ingest.model import Element, ParsedDocument
from ingest.openai_batches import EmbeddingBatches, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.integration

PATIENCE_S = 60.0
WORDS = ("amber", "basalt", "cedar", "damson", "ebony", "flint", "garnet", "hazel")
Open = Callable[..., Quoth]


class PlainParser:
    """Reads text files at once, as the real one would; each paragraph is an element."""

    def parse(self, file: Path, *, name: str, **more: object) -> ParsedDocument:
        words = canonical(file.read_text()).strip()
        starts = [0, *(match.end() for match in re.finditer(r"\n\n", words))]
        ends = [*(match.start() for match in re.finditer(r"\n\n", words)), len(words)]
        elements = tuple(
            Element(number, "NarrativeText", 0, start, end, None, {})
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        )
        return ParsedDocument(Path(name).stem, words, elements, (), None, "en", "text/plain")


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackModel]:
    with LoopbackModel() as running:
        yield running


@pytest.fixture
def double(server: LoopbackModel) -> LoopbackModel:
    """The stand-in as if it had just begun."""
    server.embedded.clear()
    batches = server.batches
    batches.fault, batches.looks_until_done = "", 1
    for kept in (batches.files, batches.batches, batches.worked, batches.deleted):
        kept.clear()
    return server


@pytest.fixture(scope="module")
def opening(environ: dict[str, str], server: LoopbackModel) -> Iterator[Open]:
    stores: list[Quoth] = []

    def open_with(**settings: str) -> Quoth:
        """A store that is embedded remotely; its worker does no chores, so that a test does them in its order."""
        wanted = {
            **environ,
            "OPENAI_API_KEY": "any",
            "OPENAI_BASE_URL": server.base_url,
            "QUOTH_EMBEDDER": "openai:text-embedding-3-small:32",
            "QUOTH_EMBED_BATCH": "4",
            "QUOTH_LIMITS": "organisation 100000000 tokens/month, organisation 100 USD/month",
            **settings,
        }
        stores.append(Quoth(Settings.from_env(wanted), wanted, lambda said: None))
        stores[-1].worker._chores = ()
        stores[-1].worker._taking._parser = PlainParser()  # type: ignore[assignment]
        return stores[-1]

    yield open_with
    for store in stores:
        store.close()


@pytest.fixture(scope="module")
def usual(opening: Open) -> Quoth:
    return opening()


@pytest.fixture
def store(usual: Quoth) -> Quoth:
    """The store, emptied; a batch is made of four chunks."""
    usual.worker._taking._batch_from = 4
    empty(usual)
    return usual


def empty(store: Quoth) -> None:
    for document in store.catalog.documents(LOCAL):
        store.catalog.remove(document.id)
    with store.database.owning() as connection:
        for table in ("embed_wait", "embed_batch", "budget_hold", "budget", "model_call", "intake"):
            connection.execute(text(f"delete from {table}"))


def tending(
    store: Quoth, double: LoopbackModel, *, least: int | None = 4, most_inputs: int = 20_000,
    gateway: Gateway | None = None,
) -> BatchEmbedding:  # fmt: skip
    client = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url}
    batches = EmbeddingBatches(lambda: asynchronous(client_from(client)))
    return BatchEmbedding(
        store.database,
        batches,
        gateway or store.gateway,
        least=least,
        look_every_s=0,
        gather_s=0,
        most_inputs=most_inputs,
    )


def hand_over(store: Quoth, folder: Path, priority: int = BULK) -> None:
    store.pipeline.hand_over(discover([folder], "default"), by=LOCAL, priority=priority)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def rows(store: Quoth, query: str) -> Sequence[tuple[object, ...]]:
    with store.database.working() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def all_rest(store: Quoth) -> bool:
    """Whether every open file waits for a batch, and no job of it is left."""
    return rows(
        store,
        "select count(*) > 0 and bool_and(stage like 'waits for its embeddings%') and not exists"
        " (select from procrastinate_jobs where status in ('todo', 'doing')) from intake where state = 'waiting'",
    ) == [(True,)] and rows(store, "select count(*) from intake where state = 'running'") == [(0,)]


def all_done(store: Quoth) -> bool:
    return rows(store, "select count(*) from intake where state in ('waiting', 'running')") == [(0,)]


def step_until(tend: BatchEmbedding, holds: Callable[[], object]) -> None:
    def stepped() -> object:
        tend.step()
        return holds()

    until(stepped)


def settled(store: Quoth) -> bool:
    return all_done(store) and not rows(store, "select 1 from embed_batch where state <> 'settled'")


@pytest.fixture
def handbook(folder_of: Callable[..., Path]) -> Path:
    return folder_of(
        {f"{word}.txt": f"The {word} store opens at nine. Its {word} key hangs there.\n" for word in WORDS}
    )


def sent_texts(double: LoopbackModel) -> list[str]:
    return [one for request in double.batches.worked for one in request["body"]["input"]]


def vectors_of(store: Quoth) -> list[tuple[str, str, bytes]]:
    query = "select c.text, v.vector::text, v.sentence_vectors from chunk c join chunk_vector v" \
            " on v.document_id = c.document_id and v.chunk_id = c.id where v.space = :space order by c.text"  # fmt: skip
    with store.database.working() as connection:
        found = connection.execute(text(query), {"space": store.spaces.active.id})
        return [(row[0], row[1], bytes(row[2])) for row in found]


def test_a_bulk_load_is_embedded_in_a_batch_for_half_the_price(
    store: Quoth, double: LoopbackModel, handbook: Path
) -> None:
    double.batches.looks_until_done = 3
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    assert double.embedded == [] and rows(store, "select count(*) from chunk") == [(0,)]
    tend = tending(store, double)
    tend.step()
    ((held,),) = rows(store, "select reserved from budget where unit = 'USD'")
    assert embedding_batches(store.database).ok
    step_until(tend, lambda: settled(store))
    assert double.embedded == []  # none at the full price
    assert len(double.batches.batches) == 1 and len(vectors_of(store)) == len(WORDS)
    assert len(sent_texts(double)) == 3 * len(WORDS)  # of each file its chunk and two sentences, once
    assert double.batches.files == {} and len(double.batches.deleted) == 2  # nothing of it stays at the service
    ((purpose, status, tokens, cost),) = rows(
        store, "select purpose, status, input_tokens, cost_usd from model_call where purpose = 'embed'"
    )
    assert (purpose, status) == ("embed", "done")
    assert tokens == sum(max(1, len(one) // 4) for one in sent_texts(double))
    full = Prices().embedding_usage("text-embedding-3-small", int(str(tokens))).cost_usd
    assert cost == pytest.approx(full / 2) and full > 0
    ((used, reserved),) = rows(store, "select used, reserved from budget where unit = 'USD'")
    assert used == pytest.approx(full / 2 * 1e9, abs=1) and reserved == 0
    assert int(str(held)) >= int(str(used))  # what was reserved was enough
    assert rows(store, "select count(*) from embed_wait") == [(0,)]
    assert "amber" in store.search("When does the amber store open?", LOCAL).hits[0].text


def test_vectors_are_those_of_their_own_texts_whatever_the_order_of_lines(
    store: Quoth, double: LoopbackModel, handbook: Path
) -> None:
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    step_until(tending(store, double), lambda: settled(store))
    batched = vectors_of(store)
    for document in store.catalog.documents(LOCAL):
        store.catalog.remove(document.id)
    assert {one.status for one in store.pipeline.add([handbook], priority=UPLOAD)} == {"added"}
    at_once = vectors_of(store)
    assert [one[0] for one in batched] == [one[0] for one in at_once] and len(batched) == len(WORDS)
    assert [one[2] for one in batched] == [one[2] for one in at_once]
    for one, other in zip(batched, at_once, strict=True):
        assert _numbers(one[1]) == pytest.approx(_numbers(other[1]), abs=2e-3)


def _numbers(vector: str) -> list[float]:
    return [float(one) for one in vector.strip("[]").split(",")]


@pytest.mark.parametrize(("fault", "batches"), [("some-errors", 2), ("some-broken", 2), ("expired", 2), ("failed", 2)])
def test_what_a_batch_does_not_bring_goes_into_another_and_then_the_usual_way(
    store: Quoth, double: LoopbackModel, handbook: Path, fault: Fault, batches: int
) -> None:
    store.worker._taking._batch_from = 1
    double.batches.fault = fault
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    step_until(tending(store, double, least=1), lambda: settled(store))
    assert len(vectors_of(store)) == len(WORDS)
    assert len(double.batches.batches) == batches and double.embedded  # the rest, in the end, at the full price
    assert rows(store, "select count(*) from intake where state <> 'done'") == [(0,)]
    paid = [one["custom_id"] for one in double.batches.worked]
    assert fault == "some-broken" or len(paid) == len(set(paid))  # what came once is not asked for again


@pytest.mark.parametrize("moment", ["held", "uploaded", "unheard", "sent", "kept", "ended", "settled"])
def test_a_kill_in_between_neither_loses_nor_pays_twice(
    store: Quoth, double: LoopbackModel, handbook: Path, moment: str
) -> None:
    hand_over(store, handbook)
    until(lambda: all_rest(store))

    class Killed(BaseException):
        """As a kill: nothing that is written for errors sees it."""

    class Dying(BatchEmbedding):
        noted = 0

        def _note(self, batch: object, **values: object) -> None:
            if moment == "unheard" and values.get("state") == "sent":
                raise Killed
            super()._note(batch, **values)  # type: ignore[arg-type]
            signs = {"held": "held", "uploaded": "file_id", "sent": "sent_at"}
            if signs.get(moment) in values or (moment == "settled" and values.get("state") == "settled"):
                raise Killed

        def _keep(self, *given: object) -> None:
            super()._keep(*given)  # type: ignore[arg-type]
            if moment == "kept":
                raise Killed

        def _end(self, *given: object, **values: object) -> None:
            super()._end(*given, **values)  # type: ignore[arg-type]
            if moment == "ended":
                raise Killed

    dying = tending(store, double)
    dying.__class__ = Dying
    with pytest.raises(Killed):
        for _ in range(5):
            dying.step()
    step_until(tending(store, double), lambda: settled(store))
    assert len(vectors_of(store)) == len(WORDS) and double.embedded == []
    assert len(double.batches.batches) == 1
    assert len(sent_texts(double)) == len(set(sent_texts(double))) == 3 * len(WORDS)
    ((calls, tokens),) = rows(store, "select count(*), sum(input_tokens) from model_call where purpose = 'embed'")
    assert calls == 1
    assert rows(store, "select used, reserved from budget where unit = 'tokens'") == [(tokens, 0)]


def test_a_batch_that_was_made_unheard_is_found_by_its_mark(
    store: Quoth, double: LoopbackModel, handbook: Path
) -> None:
    double.batches.fault = "create-unheard"
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    step_until(tending(store, double), lambda: settled(store))
    assert len(double.batches.batches) == 1 and double.embedded == []


def test_few_chunks_and_uploads_are_embedded_at_once(store: Quoth, double: LoopbackModel, handbook: Path) -> None:
    store.worker._taking._batch_from = 100
    receipts = list(store.pipeline.add([handbook], priority=FEW))
    assert {one.status for one in receipts} == {"added"} and double.batches.batches == {}
    before = len(double.embedded)
    (handbook / "iron.txt").write_text("The iron store opens at ten.\n")
    hand_over(store, handbook, BULK)  # too little for a batch, as turns out when nothing more comes
    until(lambda: all_rest(store))
    assert len(double.embedded) == before
    step_until(tending(store, double, least=100), lambda: all_done(store))
    assert len(double.embedded) > before and double.batches.batches == {}
    assert len(vectors_of(store)) == len(WORDS) + 1


def test_one_large_document_among_few_goes_into_a_batch(
    store: Quoth, double: LoopbackModel, folder_of: Callable[..., Path]
) -> None:
    store.worker._taking._batch_from = 3
    lines = "\n\n".join(f"Rule {n}. " + f"The {WORDS[n % 8]} hall number {n} closes at noon. " * 12 for n in range(30))
    hand_over(store, folder_of({"rules.txt": lines, "note.txt": "The lamp is lit at six.\n"}), FEW)
    until(lambda: all_rest(store))
    assert {one.source for one in store.catalog.documents(LOCAL)} == {"note.txt"}
    step_until(tending(store, double, least=3), lambda: settled(store))
    assert len(vectors_of(store)) > 4 and len(double.batches.batches) == 1


def test_a_load_larger_than_a_batch_makes_several(store: Quoth, double: LoopbackModel, handbook: Path) -> None:
    store.worker._taking._batch_from = 1
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    step_until(tending(store, double, least=1, most_inputs=9), lambda: settled(store))
    assert len(double.batches.batches) == 3  # of nine texts, three chunks, at most
    assert len(sent_texts(double)) == len(set(sent_texts(double))) == 3 * len(WORDS) and double.embedded == []


def test_the_same_text_in_two_files_is_sent_once(
    store: Quoth, double: LoopbackModel, folder_of: Callable[..., Path]
) -> None:
    store.worker._taking._batch_from = 1
    one = "# Lamps\n\nThe lamp in the hall is lit at six.\n"
    folder = folder_of({"east/lamps.md": one, "west/lamps.md": one})
    hand_over(store, folder)
    until(lambda: all_rest(store))
    step_until(tending(store, double, least=1), lambda: settled(store))
    assert len(vectors_of(store)) == 2 and len(double.batches.worked) == 1


def test_a_cancelled_load_leaves_no_text_and_is_paid_for(store: Quoth, double: LoopbackModel, handbook: Path) -> None:
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    tend = tending(store, double)
    tend.step()
    assert store.intake.cancel() == len(WORDS)
    step_until(tend, lambda: settled(store))
    assert rows(store, "select count(*) from embed_wait") == [(0,)] and double.batches.files == {}
    ((tokens,),) = rows(store, "select input_tokens from model_call where purpose = 'embed'")
    assert tokens == sum(max(1, len(one) // 4) for one in sent_texts(double))


def test_removing_a_document_takes_along_what_waits_of_it(
    store: Quoth, double: LoopbackModel, folder_of: Callable[..., Path]
) -> None:
    store.worker._taking._batch_from = 1
    folder = folder_of({"lamps.txt": "The lamp in the hall is lit at six.\n"})
    (receipt,) = store.pipeline.add([folder], priority=UPLOAD)
    (folder / "lamps.txt").write_text("The xylographic lamp is lit at seven.\n")
    hand_over(store, folder)
    until(lambda: all_rest(store))
    assert "xylographic" in str(rows(store, "select texts from embed_wait"))
    assert receipt.document is not None
    store.catalog.remove(receipt.document)
    assert rows(store, "select count(*) from embed_wait") == [(0,)]


@pytest.mark.parametrize(("fault", "released"), [("500", False), ("404", True)])
def test_a_service_that_is_down_is_tried_again_and_one_without_batches_is_not(
    store: Quoth, double: LoopbackModel, handbook: Path, fault: Fault, released: bool
) -> None:
    double.batches.fault = fault
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    tend = tending(store, double)
    tend.step()
    assert rows(store, "select detail <> '' from embed_batch") == [(True,)]
    if not released:
        tend.step()
        assert rows(store, "select state from embed_batch") == [("making",)] and double.embedded == []
        with store.database.owning() as connection:
            connection.execute(text("update embed_batch set made_at = now() - interval '2 hours'"))
        check = embedding_batches(store.database)
        assert not check.ok and "500" in check.detail
        double.batches.fault = ""
    step_until(tend, lambda: settled(store))
    assert bool(double.embedded) is released and len(vectors_of(store)) == len(WORDS)
    assert rows(store, "select count(*) from budget_hold") == [(0,)]


def test_a_limit_holds_a_batch_back_until_there_is_room(store: Quoth, double: LoopbackModel, handbook: Path) -> None:
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    tight = Gateway(budgets=Budgets(store.database, limits_from("organisation 10 tokens/month")))
    tending(store, double, gateway=tight).step()
    ((state, detail),) = rows(store, "select state, detail from embed_batch")
    assert state == "making" and "10 tokens a month" in str(detail) and double.batches.files == {}
    step_until(tending(store, double), lambda: settled(store))
    assert len(vectors_of(store)) == len(WORDS) and double.embedded == []


def test_switched_off_in_between_what_is_under_way_is_brought_home_and_nothing_else(
    store: Quoth, double: LoopbackModel, handbook: Path
) -> None:
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    tending(store, double).step()
    store.worker._taking._batch_from = None
    step_until(tending(store, double, least=None), lambda: settled(store))
    assert double.embedded == [] and len(vectors_of(store)) == len(WORDS)


def test_a_key_that_is_set_no_more_is_told_and_loses_nothing(
    store: Quoth, double: LoopbackModel, handbook: Path
) -> None:
    hand_over(store, handbook)
    until(lambda: all_rest(store))
    tending(store, double).step()

    def keyless() -> openai.AsyncOpenAI:
        return asynchronous(client_from({}))

    BatchEmbedding(store.database, EmbeddingBatches(keyless), store.gateway, least=4, look_every_s=0).step()
    assert rows(store, "select state, detail like '%OPENAI_API_KEY%' from embed_batch") == [("sent", True)]
    step_until(tending(store, double), lambda: settled(store))
    assert len(vectors_of(store)) == len(WORDS) and double.embedded == []


def test_every_call_has_a_deadline(double: LoopbackModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.openai_batches.CALL_S", 0.2)
    monkeypatch.setattr("ingest.openai_batches.FILE_S", 0.2)
    double.batches.fault = "slow"
    client = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url}
    batches = EmbeddingBatches(lambda: asynchronous(client_from(client)))
    for call in (
        lambda: batches.upload([Request("a", ["one"])], "text-embedding-3-small", None, mark="m"),
        lambda: batches.create("file-1", mark="m"),
        lambda: batches.look("batch-1"),
        lambda: list(batches.returned("file-1", 8, {})),
    ):
        with pytest.raises(CallFailed, match=r"within 0\.2 s") as failed:
            call()
        assert failed.value.outcome == "unavailable"


def test_the_setting(environ: dict[str, str]) -> None:
    for value, meant in (("off", None), ("on", 1000), ("250", 250), ("", None)):
        assert Settings.from_env({**environ, "QUOTH_EMBED_BATCH": value}).batch_from == meant
    with pytest.raises(ConfigurationError, match="off, on, or a number"):
        Settings.from_env({**environ, "QUOTH_EMBED_BATCH": "sometimes"})


def test_a_new_space_is_filled_by_batches_beside_the_old(
    store: Quoth, opening: Open, double: LoopbackModel, handbook: Path
) -> None:
    assert {one.status for one in store.pipeline.add([handbook], priority=UPLOAD)} == {"added"}
    store.worker.stop()
    before = len(double.embedded)
    store = opening(QUOTH_EMBEDDER="openai:text-embedding-3-small:48")
    assert store.pipeline.rebuild() == len(WORDS)
    store.pipeline.ensure_worker()
    until(lambda: all_rest(store))
    assert store.pipeline.rebuild() == 0  # what rests is not queued again
    assert store.search("When does the amber store open?", LOCAL).hits
    searched = len(double.embedded)
    step_until(tending(store, double), lambda: settled(store))
    assert len(double.embedded) == searched == before + 1  # the search's own
    assert store.spaces.switch_if_complete()
    assert len(vectors_of(store)) == len(WORDS) and store.spaces.active.dimensions == 48
