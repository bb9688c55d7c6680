"""The product's settings: read from the environment once, by an entry point, and passed in from there on."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from assistant.limits import MOST, Limit, limits_from
from assistant.moderation import WhenDown
from ingest.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable: what it defaults to and what it means, as `quoth doctor` lists it."""

    name: str
    default: str
    meaning: str
    secret: bool = False


SETTINGS: Final = (
    Setting("QUOTH_HOME", ".quoth", "folder of the embedded database, stored originals and logs"),
    Setting(
        "QUOTH_DATABASE_URL", "", "a Postgres with pgvector; unset: the embedded one under QUOTH_HOME", secret=True
    ),
    Setting("QUOTH_EMBEDDER", "local", "local, local-multilingual, onnx:FOLDER or openai:MODEL[:DIMENSIONS]"),
    Setting(
        "QUOTH_EMBED_BATCH",
        "off",
        "off, on, or chunks from which a large load has OpenAI's embeddings made in batches: half the price, in a day",
    ),
    Setting("QUOTH_RERANKER", "local", "local, none, onnx:FOLDER, hub:REPO@REVISION, http:URL or chat"),
    Setting("QUOTH_RERANK_BUDGET_S", "2", "seconds in which a question's passages are re-ranked"),
    Setting("QUOTH_RERANKER_KEY", "", "key of the service behind QUOTH_RERANKER=http:URL", secret=True),
    Setting("QUOTH_CHECKER", "local", "local, onnx:FOLDER, hub:REPO@REVISION or chat: judges support"),
    Setting("QUOTH_MODELS", "", "comma-separated chain of chat models; unset: quoted answers, no language model"),
    Setting(
        "QUOTH_EASY_MODEL", "", "a later model of QUOTH_MODELS, cheaper, that easy questions go to first; unset: none"
    ),
    Setting("QUOTH_MODEL_TOOLS", "3", "turns in which a model may search and open documents for an answer; 0: none"),
    Setting("QUOTH_PROMPT_VERSION", "full", "full or short: the rules that a model is given for answering"),
    Setting("QUOTH_MODERATION", "off", "off or openai:omni-moderation-latest: looks at questions and statements"),
    Setting("QUOTH_MODERATION_DOWN", "answer", "answer or refuse: what becomes of a text that nobody could look at"),
    Setting("QUOTH_TRANSCRIBE_MODEL", "", "model that writes down spoken questions; unset: questions are typed"),
    Setting("QUOTH_METRICS_PORT", "", "[HOST:]PORT at which metrics can be fetched; HOST 127.0.0.1; unset: none"),
    Setting("QUOTH_BUDGET_USD_MONTH", "", "US dollars that models may cost in a month, all told; unset: no limit"),
    Setting(
        "QUOTH_LIMITS",
        "",
        "WHO AMOUNT requests|tokens|USD/minute|day|month, separated by commas, or @FILE with one a line; WHO is user, "
        "user:NAME, team, team:NAME or organisation",
    ),
    Setting("QUOTH_PRICES", "", "JSON or TOML file with prices of models, US dollars for a million tokens"),
    Setting("QUOTH_ORIGINALS", "", "fsspec address of the stored originals; unset: QUOTH_HOME/originals"),
    Setting("QUOTH_WORKERS", "", "files that one worker reads at a time; unset: 2 to 4, by the machine's cores"),
    Setting(
        "QUOTH_REBUILD", "yes", "yes or no: whether workers bring documents up to a new parser or model by themselves"
    ),
    Setting("QUOTH_KEEP_VERSIONS_DAYS", "365", "days that a replaced version stays citable; 0: for ever"),
    Setting(
        "QUOTH_KEEP_CONVERSATIONS_DAYS", "365", "days that a conversation is kept after its last answer; 0: for ever"
    ),
    Setting("QUOTH_REDACT", "yes", "yes, no, or a file of further patterns: what never leaves for a remote model"),
    Setting("QUOTH_HANDOFF_URL", "", "webhook that gets questions which a person hands on; unset: none"),
    Setting("QUOTH_HANDOFF_KEY", "", "what is sent to QUOTH_HANDOFF_URL is signed with it", secret=True),
    Setting("QUOTH_HANDOFF_MAIL", "", "address for documents whose owner's name is no mail address"),
    Setting("QUOTH_SMTP_URL", "", "mail server, smtp[s]://user:password@host:port; unset: no mail", secret=True),
    Setting("QUOTH_SMTP_FROM", "", "address that mail comes from"),
    Setting(
        "QUOTH_AUDIT_KEY",
        "",
        "key of the audit's chain, former ones after a comma; unset: QUOTH_HOME/audit.key",
        secret=True,
    ),
    Setting("QUOTH_OIDC_ISSUER", "", "address of the identity provider that people sign in with; unset: no sign-in"),
    Setting("QUOTH_OIDC_CLIENT_ID", "", "what the identity provider calls Quoth"),
    Setting("QUOTH_OIDC_CLIENT_SECRET", "", "what Quoth shows the identity provider", secret=True),
    Setting("QUOTH_OIDC_AUDIENCE", "", "whom tokens for the API must be meant for; unset: QUOTH_OIDC_CLIENT_ID"),
    Setting("QUOTH_OIDC_NAME", "email", "claim that holds a person's name"),
    Setting("QUOTH_OIDC_GROUPS", "groups", "claim that holds a person's groups"),
    Setting("QUOTH_ROLES", "", "which groups give which role: owner=hr|legal, evaluator=qa, admin=quoth-admins"),
    Setting("QUOTH_SESSION_HOURS", "12", "hours after which people sign in again"),
    Setting("QUOTH_PUBLIC_URL", "", "address that people reach the app by; unset: http://localhost and its port"),
    Setting("QUOTH_COOKIE_SECRET", "", "signs the app's cookies; unset: QUOTH_HOME/cookies.key", secret=True),
    Setting("QUOTH_KEY_PEPPER", "", "what API keys are hashed with; unset: QUOTH_HOME/keys.pepper", secret=True),
    Setting("QUOTH_SLACK_SIGNING_SECRET", "", "what Slack signs its requests with; unset: no Slack", secret=True),
    Setting("QUOTH_SLACK_BOT_TOKEN", "", "what Quoth shows Slack, xoxb-...", secret=True),
    Setting("QUOTH_LOG", "text", "text or json: the form of lines in the log"),
    Setting("QUOTH_LOG_LEVEL", "error", "debug, info, warning or error: from where on something is logged"),
    Setting("QUOTH_REQUESTS_PER_MINUTE", "240", "requests of one caller to the API in a minute"),
    Setting("QUOTH_ANSWER_DEADLINE_S", "60", "seconds after which a model's answer is given up"),
    Setting("QUOTH_ABSTAIN_BELOW", "", "confidence below which quoted answers abstain, 0 to 1; unset: as calibrated"),
)
USUAL_BATCH: Final = 1000  # chunks: below, a batch saves less than a cent and may take a day
SHORTEST_SECRET: Final = 32  # characters
NAMES: Final = frozenset(setting.name for setting in SETTINGS)


@dataclass(frozen=True, slots=True)
class Settings:
    home: Path
    database_url: str | None
    embedder: str
    batch_from: int | None  # chunks from which embeddings are made in batches
    reranker: str
    checker: str
    models: str | None
    easy_model: str | None
    model_tools: int
    prompt: str
    moderation: str
    moderation_down: WhenDown
    transcribe: str | None
    metrics: tuple[str, int] | None  # host and port
    limits: tuple[Limit, ...]
    prices: str | None
    originals: str
    workers: int
    rebuild: bool
    keep_versions_days: int
    keep_conversations_days: int
    redact: str
    answer_deadline_s: float
    abstain_below: float | None
    public_url: str | None
    cookie_secret: str | None
    key_pepper: str | None
    slack: tuple[str, str] | None  # signing secret and bot token
    requests_per_minute: float
    origins: Mapping[str, str]  # by variable: "environment" or "default"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read every QUOTH_ variable.

        Raises:
            ConfigurationError: a name that does not exist, with the nearest that does, or a value that cannot be.
        """
        for name in environ:
            if name.startswith("QUOTH_") and name not in NAMES:
                near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.0)
                raise ConfigurationError(f"{name!r} is not a setting of Quoth. Did you mean {near[0]!r}?")
        values = {setting.name: environ.get(setting.name, "").strip() or setting.default for setting in SETTINGS}
        home = Path(values["QUOTH_HOME"]).expanduser().resolve()
        return cls(
            home=home,
            database_url=values["QUOTH_DATABASE_URL"] or None,
            embedder=values["QUOTH_EMBEDDER"],
            batch_from=_batch_from(values["QUOTH_EMBED_BATCH"]),
            reranker=values["QUOTH_RERANKER"],
            checker=values["QUOTH_CHECKER"],
            models=values["QUOTH_MODELS"] or None,
            easy_model=values["QUOTH_EASY_MODEL"] or None,
            model_tools=int(_number("QUOTH_MODEL_TOOLS", values["QUOTH_MODEL_TOOLS"], 0, 10)),
            prompt=values["QUOTH_PROMPT_VERSION"],
            moderation=values["QUOTH_MODERATION"],
            moderation_down=_when_down(values["QUOTH_MODERATION_DOWN"]),
            transcribe=values["QUOTH_TRANSCRIBE_MODEL"] or None,
            metrics=_place("QUOTH_METRICS_PORT", values["QUOTH_METRICS_PORT"]),
            limits=limits_from(
                values["QUOTH_LIMITS"],
                _number("QUOTH_BUDGET_USD_MONTH", values["QUOTH_BUDGET_USD_MONTH"], 0, MOST)
                if values["QUOTH_BUDGET_USD_MONTH"]
                else None,
            ),
            prices=values["QUOTH_PRICES"] or None,
            originals=values["QUOTH_ORIGINALS"] or str(home / "originals"),
            workers=int(_number("QUOTH_WORKERS", values["QUOTH_WORKERS"] or str(_usual_workers()), 1, 64)),
            rebuild=_yes("QUOTH_REBUILD", values["QUOTH_REBUILD"]),
            keep_versions_days=int(_number("QUOTH_KEEP_VERSIONS_DAYS", values["QUOTH_KEEP_VERSIONS_DAYS"], 0, 36_500)),
            redact=values["QUOTH_REDACT"],
            keep_conversations_days=int(
                _number("QUOTH_KEEP_CONVERSATIONS_DAYS", values["QUOTH_KEEP_CONVERSATIONS_DAYS"], 0, 36_500)
            ),
            answer_deadline_s=_number("QUOTH_ANSWER_DEADLINE_S", values["QUOTH_ANSWER_DEADLINE_S"], 1, 3600),
            abstain_below=_number("QUOTH_ABSTAIN_BELOW", values["QUOTH_ABSTAIN_BELOW"], 0, 1)
            if values["QUOTH_ABSTAIN_BELOW"]
            else None,
            public_url=values["QUOTH_PUBLIC_URL"].rstrip("/") or None,
            cookie_secret=_secret("QUOTH_COOKIE_SECRET", values["QUOTH_COOKIE_SECRET"]),
            key_pepper=_secret("QUOTH_KEY_PEPPER", values["QUOTH_KEY_PEPPER"]),
            slack=_slack(values["QUOTH_SLACK_SIGNING_SECRET"], values["QUOTH_SLACK_BOT_TOKEN"]),
            requests_per_minute=_number("QUOTH_REQUESTS_PER_MINUTE", values["QUOTH_REQUESTS_PER_MINUTE"], 1, 1_000_000),
            origins={s.name: "environment" if environ.get(s.name, "").strip() else "default" for s in SETTINGS},
        )


def _usual_workers() -> int:
    """Reading is one process per file, embedding one file at a time: more than four wait for one another."""
    return max(2, min(4, os.cpu_count() or 1))


def _secret(name: str, value: str) -> str | None:
    if value and len(value) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"{name} must have at least {SHORTEST_SECRET} characters. `openssl rand -hex 32` makes one."
        )
    return value or None


def _slack(secret: str, token: str) -> tuple[str, str] | None:
    if bool(secret) != bool(token):
        raise ConfigurationError("Set both QUOTH_SLACK_SIGNING_SECRET and QUOTH_SLACK_BOT_TOKEN, or neither.")
    return (secret, token) if secret else None


def _yes(name: str, value: str) -> bool:
    if value.lower() not in ("yes", "no"):
        raise ConfigurationError(f"{name}={value!r} must be yes or no.")
    return value.lower() == "yes"


def _when_down(value: str) -> WhenDown:
    for known in get_args(WhenDown):
        if value == known:
            return known
    raise ConfigurationError(f"QUOTH_MODERATION_DOWN={value!r} must be answer or refuse.")


def _batch_from(value: str) -> int | None:
    if value.lower() in ("off", "on"):
        return USUAL_BATCH if value.lower() == "on" else None
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 1_000_000):
        raise ConfigurationError(f"QUOTH_EMBED_BATCH={value!r} must be off, on, or a number of chunks up to 1000000.")
    return int(value)


def _place(name: str, value: str) -> tuple[str, int] | None:
    """(host, port) of [HOST:]PORT."""
    if not value:
        return None
    host, _, port = value.rpartition(":")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_534):  # the next one may be used too
        raise ConfigurationError(f"{name}={value!r} must be a port from 1 to 65534, or HOST:PORT.")
    return host.strip("[]") or "127.0.0.1", int(port)


def _number(name: str, value: str, low: float, high: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise ConfigurationError(f"{name}={value!r} must be a number from {low:g} to {high:g}.")
    return number
