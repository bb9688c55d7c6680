"""What `quoth doctor` looks at: every setting with its origin, and whether each part works, with the cure."""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from assistant import machine_checks, store_checks
from assistant.machine_checks import Check
from assistant.model_checks import model_states
from assistant.model_client import VARIABLES, client_from, has_credential
from assistant.prices import prices_from
from assistant.settings import SETTINGS, Settings
from assistant.sign_in import sign_in_from
from ingest import postgres, queueing
from ingest.access import LOCAL
from ingest.database import Database
from ingest.errors import ConfigurationError, QuothError


def settings_shown(settings: Settings, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Every setting: value (secrets hidden), origin and meaning."""
    shown = {}
    for setting in SETTINGS:
        value = environ.get(setting.name, "").strip() or setting.default
        if setting.secret and value:
            value = "(set)"
        shown[setting.name] = {"value": value, "origin": settings.origins[setting.name], "meaning": setting.meaning}
    for name in VARIABLES:
        given = environ.get(name, "")
        value = "(set)" if given and name.endswith(("KEY", "TOKEN")) else given
        shown[name] = {
            "value": value,
            "origin": "environment" if given else "default",
            "meaning": "as the OpenAI SDK reads it",
        }
    endpoint = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    shown["OTEL_EXPORTER_OTLP_ENDPOINT"] = {
        "value": endpoint,
        "origin": "environment" if endpoint else "default",
        "meaning": "collector that traces and metrics are sent to, by OTLP over HTTP; unset: none are made",
    }
    return shown


def diagnose(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Look at one part after another; a broken one does not stop the rest."""
    from assistant.bootstrap import Quoth

    yield Check("python", sys.version_info >= (3, 11), sys.version.split()[0], "Use Python 3.11 or newer.")
    yield machine_checks.disk(settings)
    yield machine_checks.home_writable(settings.home)
    yield from machine_checks.private_files(settings.home)
    yield from machine_checks.limits(settings)
    yield from _doors(settings, environ)
    try:
        quoth = Quoth(settings, environ, lambda said: None)
    except QuothError as error:
        yield store_checks.unreachable(settings.database_url, error)
        return
    with quoth:
        if settings.database_url is None:
            yield Check("embedded Postgres", True, str(postgres.status(settings.home)))
        with quoth.database.reading(LOCAL) as connection:
            server = connection.scalar(text("show server_version"))
            vector = connection.scalar(text("select extversion from pg_extension where extname = 'vector'"))
        yield Check("database", True, f"PostgreSQL {server}, pgvector {vector}, migrations applied")
        documents = quoth.catalog.documents(LOCAL)
        stale = quoth.pipeline.stale()
        yield Check(
            "index",
            not stale,
            f"{len(documents)} documents, {sum(document.chunks for document in documents)} chunks",
            f"{len(stale)} documents were indexed by an earlier version. A worker brings them up to date (`quoth up`, "
            "`quoth worker`); or run `quoth reindex --all`.",
        )
        yield from store_checks.store_checks(quoth)
        yield from _parts(quoth)
        yield _models(settings, environ)


def worker_alive(settings: Settings, environ: Mapping[str, str]) -> Check:
    """Whether some process takes files in, and none of this machine is paused or hangs; quick, and prepares nothing.

    A health check of a container asks this: another machine's worker does not make this one's well.

    Raises:
        ConfigurationError: there is no database server that could be asked.
    """
    if settings.database_url is None:
        raise ConfigurationError("`quoth doctor --worker` asks the database of QUOTH_DATABASE_URL, which is unset.")
    database = Database(settings.database_url)
    try:
        with database.working() as connection:
            seen = queueing.workers(connection)
    finally:
        database.close()
    silent = [one for one in seen if not one.alive]
    if any(one.machine in (queueing.this_machine(), "") for one in silent):
        return Check("worker", False, "; ".join(store_checks.told(one) for one in silent), store_checks.cure_of(silent))
    alive = len(seen) > len(silent)
    return Check("worker", alive, "alive" if alive else "none alive", "Start `quoth up` or `quoth worker`.")


def _doors(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """How people and programs come in, and where what leaves goes to."""
    try:
        sign_in = sign_in_from(environ)
    except ConfigurationError as error:
        yield Check("sign-in", False, str(error), "Mend what the message names; Quoth does not start without.")
        return
    for check in (
        machine_checks.issuer(sign_in),
        machine_checks.public_address(settings, sign_in),
        machine_checks.metrics_port(settings),
        machine_checks.mail_server(environ),
    ):
        if check is not None:
            yield check


def _models(settings: Settings, environ: Mapping[str, str]) -> Check:
    if settings.models is None:
        return Check("models", True, "none: answers quote the documents' own sentences")
    if not has_credential(environ):
        return Check("models", False, settings.models, "Set OPENAI_API_KEY, or unset QUOTH_MODELS.")
    names = [name.strip() for name in settings.models.split(",")]
    try:
        states = model_states(names, lambda: client_from(environ), prices_from(settings.prices))
    except QuothError as error:
        return Check("models", False, f"{settings.models}: {error}", "Check the key and the address of the service.")
    today = datetime.now(UTC).date()
    unpriced = any(limit.unit == "USD" for limit in settings.limits) and not all(state.priced for state in states)
    return Check(
        "models",
        all(state.usable(today) for state in states) and not unpriced,
        "; ".join(state.told(today) for state in states),
        "Name models in QUOTH_MODELS that go on, and give every price in QUOTH_PRICES where a limit is in USD.",
    )


def _parts(quoth) -> Iterator[Check]:  # type: ignore[no-untyped-def]
    try:
        vector = quoth.embedder.embed(["ready?"], kind="query")
        yield Check("embedder", True, f"{quoth.embedder.space}, {vector.shape[1]} dimensions")
    except QuothError as error:
        yield Check("embedder", False, str(error), "Set QUOTH_EMBEDDER=local, or mend what the message names.")
    try:
        with tempfile.TemporaryDirectory(prefix="quoth-doctor-") as folder:
            file = Path(folder) / "ready.txt"
            file.write_text("The parser reads this sentence.\n", encoding="utf-8")
            parsed = quoth.parser.parse(file, name=file.name)
        version = importlib.metadata.version("unstructured")
        yield Check("parser", "reads this" in parsed.text, f"child process answers, unstructured {version}")
    except QuothError as error:
        yield Check("parser", False, str(error), "Install the packages again: delete .venv and run `make run`.")
