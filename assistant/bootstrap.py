"""The composition root: the one place that builds the objects and hands each what it needs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

from sqlalchemy import make_url, text

from assistant import backups, conversation_summaries, feedback, records, restoring
from assistant.answer_cache import AnswerCache
from assistant.answer_record import AnswerRecords
from assistant.answering import Answering, AnsweringSettings
from assistant.api_keys import PEPPER_FILE, ApiKeys
from assistant.breaker import Breakers
from assistant.budgets import Budgets
from assistant.checkers import ShippedEncoder, checker_from
from assistant.conversation_summaries import ConversationSummaries, Summarising
from assistant.conversations import Conversations
from assistant.feedback import Feedback
from assistant.gateway import Gateway
from assistant.handoff import Handoff, HandoffSettings
from assistant.model import Answerer, AnswerEvent, Checker, ConversationId
from assistant.model_answerer import model_chain_from
from assistant.model_calls import ModelCalls
from assistant.model_client import asynchronous, client_from
from assistant.model_forms import by_first_model
from assistant.model_routing import routing_to
from assistant.moderation import moderation_from
from assistant.prices import prices_from
from assistant.question_routing import QuestionRouting
from assistant.quoting import QuotedAnswerer, Selection
from assistant.records import Answers
from assistant.redaction import RedactingAnswerer
from assistant.rewording import Rewording
from assistant.settings import Settings
from assistant.shared_doors import SharedDoors
from assistant.sign_in import sign_in_from
from assistant.transcribing import transcriber_from
from assistant.watching import Watch, watched
from ingest import audit, memory, postgres
from ingest.access import LOCAL, Reader
from ingest.batch_embedding import BatchEmbedding
from ingest.catalog import Catalog
from ingest.database import MIGRATIONS, Database
from ingest.document_list import names_in_use
from ingest.embedding import OnnxEmbedder, embedder_from
from ingest.errors import ConfigurationError, QuothError
from ingest.groups import Groups
from ingest.history import History
from ingest.intake import Intake
from ingest.model import DocumentId, Embedder
from ingest.model_hub import HUB_URL
from ingest.multilingual_embedding import MultilingualEmbedder
from ingest.openai_batches import EmbeddingBatches
from ingest.originals import Originals
from ingest.parser import Parser, ParserLimits
from ingest.pipeline import Pipeline
from ingest.postgres_liveness import was_killed
from ingest.properties import Properties
from ingest.redaction import redactor_from
from ingest.secret_files import secret_text
from ingest.segments import merge_segments
from ingest.sharing import Sharing
from ingest.spaces import Spaces
from ingest.syncing import Syncing
from ingest.taking import Taking
from ingest.worker import Chore, Worker
from retrieval.model import SearchResult, Stage
from retrieval.narrowing import Narrowing, Offer, offers
from retrieval.redacted_reranking import RedactingReranker
from retrieval.reranking import reranker_from
from retrieval.search import Search
from retrieval.settings import RetrievalSettings
from retrieval.surroundings import Surroundings

if TYPE_CHECKING:
    import openai

    from assistant.metrics import Metrics
    from assistant.model_tools import ModelTools

LOG: Final = logging.getLogger("quoth.store")
ALL_MIGRATIONS: Final = (
    MIGRATIONS,
    *(Path(__file__).parents[1] / folder / "migrations" / "versions" for folder in ("assistant", "evals")),
)


class Quoth:
    """Everything of one store, wired. Close it, or use it in a `with`."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        parser: Parser | None = None,
    ) -> None:
        self.settings = settings
        self._closers: list[Callable[[], None]] = []
        self._cluster: postgres.Cluster | None = None
        url = settings.database_url
        if url is None:
            self._cluster = postgres.start(settings.home, say=say)
            url = self._cluster.url
        _private_folder(settings.home)
        if Path(settings.originals).is_relative_to(settings.home):
            _private_folder(Path(settings.originals))
        # the embedded database has another address at each start
        store = (
            "embedded"
            if self._cluster
            else make_url(url).set(username=None, password=None, query={}).render_as_string()
        )
        restored = restoring.settle(settings.home, make_url(url))  # its keys, before the audit's is read
        self.database = Database(url, audit.Trail.opened(settings.home, environ.get("QUOTH_AUDIT_KEY"), store))
        self.parser = parser or Parser(ParserLimits())
        self._owns_parser = parser is None
        try:
            if self.database.migrate(ALL_MIGRATIONS):
                say("Database prepared")
                with self.database.owning() as connection:
                    audit.begin(connection)
            self._wire(settings, environ, say)
            self.removed_again = self._restored(restored, say)
        except BaseException:
            self.close()
            raise

    def _restored(self, restored: bool | None, say: Callable[[str], None]) -> int:
        """Do what a restore has left to do, and say what became of one; returns how many documents went again."""
        if restored is None:
            return 0
        if not restored:
            words = "A restore was ended before it was done. The store is as it was before it; run it again."
            say(words)
            LOG.warning(words)
            return 0
        journal = restoring.begun(self.settings.home)
        assert journal is not None
        gone = [DocumentId(UUID(one)) for one in journal.removed if self.catalog.exists(DocumentId(UUID(one)))]
        for one in gone:
            self.catalog.remove(one)
        with self.database.owning() as connection:
            told = {"made_at": journal.made_at, "documents": journal.documents, "removed_again": len(gone)}
            audit.record(connection, LOCAL, "store.restored", None, told)
        with self.database.owning() as connection:
            audit.accept_shortening(connection, LOCAL)
        restoring.done(self.settings.home)
        words = f"The store is what the backup of {journal.made_at[:16]} held: its restore is complete."
        say(words)
        LOG.warning(words)
        return len(gone)

    def _wire(self, settings: Settings, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        def client() -> openai.OpenAI:
            return client_from(environ)

        self.budgets = Budgets(self.database, settings.limits)
        self.model_calls = ModelCalls(self.database)
        self.breakers = Breakers()
        self.cache = AnswerCache()
        self._watches, self.metrics = self._watching(settings, environ)
        self.openai_client = client  # connects when it is first called
        self.gateway = Gateway(self.breakers, self.budgets, prices_from(settings.prices), self._watches)
        redactor = self.redactor = redactor_from(settings.redact)
        # several files at a time make better use of the processors than several threads on one
        threads = max(1, (os.cpu_count() or 1) // settings.workers)
        self.spaces = Spaces(
            self.database,
            lambda setting: embedder_from(
                setting, threads=threads, openai_client_factory=client, redactor=redactor, meter=self.gateway
            ),
            settings.embedder,
            say,
        )
        originals = Originals(settings.originals)
        scratch = _private_folder(settings.home / "scratch")
        self.groups = Groups(self.database)
        self.sharing = Sharing(self.database)
        self.catalog = Catalog(
            self.database,
            originals,
            self.parser,
            erasers=(
                conversation_summaries.erase,
                records.erase,
                feedback.erase,
                lambda connection, gone: self.cache.forget(gone),
            ),
        )
        self.intake = Intake(self.database, originals)
        taking = Taking(
            self.database, originals, self.parser, self.spaces, self.intake, scratch, remove=self.catalog.remove,
            batch_from=settings.batch_from,
        )  # fmt: skip
        self.batch_embedding = BatchEmbedding(
            self.database, EmbeddingBatches(lambda: asynchronous(client())), self.gateway, least=settings.batch_from
        )
        self.worker = Worker(
            self.database,
            taking,
            (
                Chore("sweep", 3600, lambda: self.pipeline.sweep()),
                Chore("tidy", 3600, self.intake.tidy),
                Chore("rebuild", 15, self._rebuild),
                Chore("merge", 10, lambda: merge_segments(self.database)),
                Chore("batches", 10, self.batch_embedding.tend),
                Chore("changes", 3600, self.catalog.forget_changes),
                Chore("doors", 3600, lambda: self.shared_doors.tidy()),
                Chore("counters", 86_400, self.budgets.forget),
                Chore("prune", 3600, lambda: self.history.prune(settings.keep_versions_days)),
                Chore("talks", 3600, lambda: self.conversations.prune(settings.keep_conversations_days)),
            ),
            concurrency=settings.workers,
            idle=self.rest,
            revive=self._revive,
        )
        self.pipeline = Pipeline(self.database, originals, self.spaces, self.intake, self.worker, scratch)
        self._reranker = reranker_from(
            settings.reranker,
            threads=os.cpu_count() or 1,
            models_folder=settings.home / "models",
            hub_url=environ.get("HF_ENDPOINT") or HUB_URL,
            key=environ.get("QUOTH_RERANKER_KEY"),
            chat_model=(settings.models or "").split(",")[0].strip() or None,
            openai_client_factory=client,
            meter=self.gateway,
            say=say,
        )
        if redactor and self._reranker and settings.reranker.startswith(("http", "chat")):
            self._reranker = RedactingReranker(self._reranker, redactor)
        self.searching = Search(self.database, self.spaces, self._reranker, RetrievalSettings.from_env(environ))
        self.surroundings = Surroundings(self.database)
        self.history = History(
            self.database,
            originals,
            self.intake,
            self.pipeline.ensure_worker,
            erasers=(conversation_summaries.erase_version, records.erase_version, feedback.erase_version),
        )
        self.properties = Properties(self.database)
        self.originals = originals
        self.syncing = Syncing(self.database, self.catalog, self.pipeline.add_inputs, self.pipeline.reindex, scratch)
        self.answers = Answers(self.database)
        self.shared_doors = SharedDoors(self.database)
        self.conversations = Conversations(self.database)
        self.feedback = Feedback(self.database)
        self.answer_records = AnswerRecords(self.database, self.feedback)
        self.handoff = Handoff(
            self.database,
            self.answers,
            HandoffSettings(
                environ.get("QUOTH_HANDOFF_URL") or None,
                environ.get("QUOTH_HANDOFF_KEY") or None,
                environ.get("QUOTH_SMTP_URL") or None,
                environ.get("QUOTH_SMTP_FROM") or None,
                environ.get("QUOTH_HANDOFF_MAIL") or None,
            ),
            by_first_model(QuestionRouting, settings.models, client, redactor=redactor, gateway=self.gateway),
        )
        selection = Selection() if settings.abstain_below is None else Selection(threshold=settings.abstain_below)
        self.sign_in = sign_in_from(environ)
        pepper = settings.key_pepper or secret_text(settings.home / PEPPER_FILE, "QUOTH_KEY_PEPPER")
        self.api_keys = ApiKeys(self.database, pepper)
        models: list[Answerer] = model_chain_from(settings.models, client, gateway=self.gateway, prompt=settings.prompt)
        self.transcriber = transcriber_from(settings.transcribe, client, gateway=self.gateway, database=self.database)
        self.rewording = by_first_model(Rewording, settings.models, client, redactor=redactor, gateway=self.gateway)
        if redactor:
            models = [RedactingAnswerer(one, redactor) for one in models]
        self.checker = checker_from(
            settings.checker,
            ShippedEncoder(lambda: (self.spaces.active.embedder, self.spaces.wanted.embedder), threads=threads),
            meter=self.gateway,
            **_checker_options(settings, environ, say),
        )
        tools: ModelTools | None = None
        if models and settings.model_tools:
            from assistant.model_tools import ModelTools, ToolLimits  # loads pydantic

            tools = ModelTools(
                self.database, self.catalog, self.searching.search, self.surroundings, self.embedder.count_tokens,
                ToolLimits(rounds=settings.model_tools),
            )  # fmt: skip
        self.answerers: list[Answerer] = [*models, QuotedAnswerer(selection)]
        self.answering = Answering(
            self.searching,
            self.surroundings,
            self.catalog,
            self.answers,
            self.answerers,
            self.checker,
            self.embedder.count_tokens,
            AnsweringSettings(deadline_s=settings.answer_deadline_s),
            rewording=self.rewording,
            cache=self.cache,
            tools=tools,
            summaries=ConversationSummaries(
                self.database,
                by_first_model(Summarising, settings.models, client, redactor=redactor, gateway=self.gateway),
            ),
            routing=routing_to(settings.easy_model, settings.models),
            moderation=moderation_from(
                settings.moderation,
                settings.moderation_down,
                lambda: asynchronous(client()),
                redactor=redactor,
                meter=self.gateway,
            ),
            described=_described(settings, self.searching.settings),
        )

    def _watching(self, settings: Settings, environ: Mapping[str, str]) -> tuple[list[Watch], Metrics | None]:
        """Who is told of answers and calls: nobody, and nothing of them is loaded, unless it is asked for."""
        watches: list[Watch] = []
        metrics: Metrics | None = None
        if settings.metrics is not None:
            from assistant.metrics import Looks, Metrics

            def queue() -> dict[str, int]:
                counts = asdict(self.intake.progress())
                return {name: counts[name] for name in ("waiting", "running", "failed")}

            metrics = Metrics(
                Looks(
                    self.breakers.states,
                    queue,
                    lambda: (self.cache.hits, self.cache.misses),
                    self.database.connections,
                )
            )
            watches.append(metrics)
        endpoint = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
        if endpoint and environ.get("OTEL_SDK_DISABLED", "").lower() != "true":
            from assistant.traces import Traces

            traces = Traces(endpoint)
            self._closers.append(traces.close)
            watches.append(traces)
        return watches, metrics

    def serve_metrics(self, *, offset: int = 0) -> None:
        """Answer at the address that QUOTH_METRICS_PORT names, if it does, until the store is closed.

        Args:
            offset: added to the port, where two processes of one command show theirs.

        Raises:
            ConfigurationError: the port is taken.
        """
        if self.metrics is not None and self.settings.metrics is not None:
            host, port = self.settings.metrics
            self._closers.append(self.metrics.serve(host, port + offset))

    def search(
        self,
        question: str,
        reader: Reader,
        *,
        k: int = 10,
        stage: Stage = "reranked",
        collection: str | None = None,
        narrowing: Narrowing | None = None,
    ) -> SearchResult:
        found = self.searching.search(question, reader, k=k, stage=stage, collection=collection, narrowing=narrowing)
        told = {"question": self.database.trail.digest(question), "stage": stage, "hits": len(found.hits)}
        with self.database.recording(reader) as connection:
            audit.record(connection, reader, "search", None, told)
        return found

    def ask(
        self,
        question: str,
        reader: Reader,
        *,
        collection: str | None = None,
        conversation: ConversationId | None = None,
        narrowing: Narrowing | None = None,
        asked_before: Sequence[str] = (),
    ) -> Iterator[AnswerEvent]:
        events = self.answering.ask(
            question,
            reader,
            collection=collection,
            conversation=conversation,
            narrowing=narrowing,
            asked_before=asked_before,
        )
        return watched(events, self._watches) if self._watches else events

    def offers(self, question: str, reader: Reader) -> list[Offer]:
        """Ways to narrow the search that the question's own words suggest."""
        names = names_in_use(self.database, reader)
        return offers(question, collections=names.collections, owners=names.owners, today=self.database.now().date())

    def ready(self) -> None:
        """
        Raises:
            ServiceError: the database does not answer.
        """
        with self.database.working() as connection:
            connection.execute(text("select 1"))

    def verify_audit(self) -> audit.Verification:
        """Read the audit's whole chain and say whether it is whole."""
        with self.database.owning() as connection:
            return self.database.trail.verify(connection)

    def latest_events(self, *, action: str = "", principal: str = "", limit: int = 100) -> list[audit.Recorded]:
        """The audit's latest events, for an administrator."""
        with self.database.owning() as connection:
            return audit.latest(connection, action=action, principal=principal, limit=limit)

    def accept_audit(self, number: int, by: Reader) -> None:
        """Accept that the chain was shortened before event `number`: a restore that was meant.

        Raises:
            UsageError: that event says no such thing.
        """
        with self.database.owning() as connection:
            audit.accept(connection, by, number)

    @property
    def embedder(self) -> Embedder:
        """What embeds questions now: that of the active space."""
        return self.spaces.active.embedder

    def _rebuild(self) -> None:
        """What a new parser, chunker or embedding model wants made again, made beside what answers now."""
        if self.settings.rebuild:
            self.pipeline.rebuild()
            self.spaces.drop_former()

    def _revive(self) -> None:
        """Start the embedded database again when it was killed; one that was stopped stays so."""
        if self._cluster is not None and was_killed(self.settings.home):
            self._cluster = postgres.start(self.settings.home)

    def rest(self) -> None:
        """Give back the memory that only adding and asking need; either takes it again."""
        if self._owns_parser:
            self.parser.close()
        for space in (self.spaces.active, self.spaces.wanted):
            if isinstance(space.embedder, (OnnxEmbedder, MultilingualEmbedder)):
                space.embedder.release()
        if self._reranker is not None:
            self._reranker.release()
        self.checker.release()
        memory.give_back()

    def close(self) -> None:
        """Let go of everything; stop the embedded database if nobody else uses it."""
        if hasattr(self, "worker"):  # not where opening failed halfway
            self.worker.stop()
        if hasattr(self, "checker"):
            with suppress(QuothError):  # one whose database is away lets go of less
                self.rest()
        while self._closers:
            self._closers.pop()()
        if self._owns_parser:
            self.parser.close()
        self.database.close()
        if self._cluster is not None:
            self._cluster = None  # and with it this process' lease
            postgres.stop(self.settings.home, only_if_idle=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_quoth(
    environ: Mapping[str, str], *, say: Callable[[str], None] = lambda text: None, parser: Parser | None = None
) -> Quoth:
    """Open the store that the environment names, starting and preparing what is needed.

    Args:
        say: told in words what takes its time.
        parser: one that several stores of this process share, and that outlives them; None: one of its own.

    Raises:
        ConfigurationError: a setting is wrong.
        ServiceError: the database cannot be reached or started.
    """
    return Quoth(Settings.from_env(environ), environ, say, parser)


def restore_store(
    environ: Mapping[str, str], file: Path, *, replace: bool, say: Callable[[str], None] = lambda text: None
) -> tuple[backups.Manifest, int]:
    """Fill the store that the environment names from a backup; returns its manifest, and how many documents of it had
    been removed since and are removed again.

    Raises:
        UsageError: the backup is damaged, the store is in use, or it is not empty and `replace` is not set.
        ServiceError: the database does not answer; the restore can be run again.
    """
    settings = Settings.from_env(environ)
    _private_folder(settings.home)
    cluster = None if settings.database_url else postgres.start(settings.home, say=say)
    try:
        url = make_url(cluster.url if cluster else str(settings.database_url))
        if Path(settings.originals).is_relative_to(settings.home):
            _private_folder(Path(settings.originals))
        originals = Originals(settings.originals)
        manifest = backups.restore(url, originals, settings.home, file, replace=replace, say=say)
    finally:
        if cluster is not None:
            postgres.stop(settings.home, only_if_idle=True)
    with open_quoth(environ, say=say) as quoth:
        return manifest, quoth.removed_again


def standalone_checker(environ: Mapping[str, str], *, say: Callable[[str], None] = lambda text: None) -> Checker:
    """The support checker that the environment names, without opening the store.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    settings = Settings.from_env(environ)
    encoder = ShippedEncoder(threads=os.cpu_count() or 1)
    return checker_from(settings.checker, encoder, **_checker_options(settings, environ, say))


def _checker_options(settings: Settings, environ: Mapping[str, str], say: Callable[[str], None]) -> dict[str, Any]:
    return {
        "threads": os.cpu_count() or 1,
        "models_folder": settings.home / "models",
        "hub_url": environ.get("HF_ENDPOINT") or HUB_URL,
        "chat_model": (settings.models or "").split(",")[0].strip() or None,
        "openai_client_factory": lambda: client_from(environ),
        "redactor": redactor_from(settings.redact),
        "say": say,
    }


def _described(settings: Settings, retrieval: RetrievalSettings) -> dict[str, Any]:
    """The settings that make a difference to an answer, as they are kept with it; none of them is secret."""
    return {
        "models": settings.models or "",
        "easy_model": settings.easy_model or "",
        "embedder": settings.embedder,
        "reranker": settings.reranker,
        "checker": settings.checker,
        "prompt": settings.prompt,
        "moderation": settings.moderation,
        "redact": settings.redact if settings.redact in ("yes", "no") else "own patterns",
        "answer_deadline_s": settings.answer_deadline_s,
        "abstain_below": settings.abstain_below,
        "retrieval": asdict(retrieval),
    }


def _private_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {str(folder)!r} cannot be made ({error.strerror}). Set QUOTH_HOME to one you may write."
        ) from error
    if not os.access(folder, os.W_OK):
        raise ConfigurationError(f"You may not write to {str(folder)!r}. Set QUOTH_HOME to a folder you may write.")
    return folder
