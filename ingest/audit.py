"""The audit trail: who did what to which thing, in a chain that shows whether anything in it was touched.

Ids, names, counts and keyed hashes; never text of a document or a question. Each event carries an HMAC over itself
and the event before, with a key that is not in the database. Events are numbered from 1 and written at the very end
of the transaction they tell of, under a lock that is held for the time of a commit: whoever writes at the same time
waits no longer than that. How far the chain went is also noted in a file beside the key, so that the newest events
cannot be taken away unnoticed.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self
from uuid import UUID

from sqlalchemy import Connection, insert, text

from ingest import schema
from ingest.access import Reader
from ingest.errors import ConfigurationError, UsageError
from ingest.secret_files import secret_text

LOG: Final = logging.getLogger("quoth.audit")
PENDING: Final = "quoth.audit"  # in a connection's info: events of the transaction that is open
KEY_FILE: Final = "audit.key"
SHORTEST_KEY: Final = 32  # characters
REWOUND: Final = "audit.rewound"
ACCEPTED: Final = "audit.accepted"
BEGUN: Final = "audit.begun"


@dataclass(frozen=True, slots=True)
class Event:
    principal: str
    operator: str | None
    action: str
    subject: UUID | None
    detail: str  # JSON


@dataclass(frozen=True, slots=True)
class Link:
    """One event's place in the chain."""

    number: int  # from 1; 0: before the first
    mac: bytes
    rewound: bool = field(default=False, compare=False)  # the chain is shorter than it was noted to be


START: Final = Link(0, b"")


def record(
    connection: Connection, reader: Reader, action: str, subject: UUID | None, detail: Mapping[str, object]
) -> None:
    """Add one event to the caller's transaction; it stands or falls with what it tells of.

    The connection is one of `Database`'s, which writes the events when the transaction is about to end.

    Raises:
        SessionEnded: who acts is nobody any more, and with this what they did is undone.
    """
    if reader.until is not None:
        reader.must_hold(float(connection.execute(text("select extract(epoch from clock_timestamp())")).scalar_one()))
    event = Event(reader.name, reader.operator, action, subject, json.dumps(dict(detail)))
    connection.info.setdefault(PENDING, []).append(event)


class Trail:
    """The chain's key and what is known of its end outside the database.

    Args:
        keys: at least one; the first signs, the others verify what was signed before it.
        head: the file that notes how far the chain went; None keeps no note.
    """

    def __init__(self, keys: tuple[bytes, ...], head: Path | None) -> None:
        self.keys = {_key_id(key): key for key in keys}
        self._signing = _key_id(keys[0])
        self._head = head

    @classmethod
    def opened(cls, home: Path, setting: str | None, store: str) -> Self:
        """The trail of one store as this QUOTH_HOME knows it. The first start makes a key, if QUOTH_AUDIT_KEY is unset.

        Args:
            store: tells apart the databases that one home works with.

        Raises:
            ConfigurationError: a key is too short, or the file cannot be read or made.
        """
        if setting and setting.strip():
            keys = _keys(setting.replace(",", "\n"), "QUOTH_AUDIT_KEY")
        else:
            keys = _keys(secret_text(home / KEY_FILE, "QUOTH_AUDIT_KEY"), str(home / KEY_FILE))
        return cls(keys, home / f"audit.{hashlib.sha256(store.encode()).hexdigest()[:12]}.head")

    def digest(self, words: str) -> str:
        """What the audit keeps of a text: a keyed hash, which nobody without the key can try guesses against."""
        return self._hmac(self._signing, b"words\0" + words.encode("utf-8", "surrogatepass")).hex()[:32]

    def seal(self, connection: Connection) -> Link | None:
        """Write the events that the transaction recorded; the last thing before its commit. None: there were none.

        The transaction must read what others have committed meanwhile (READ COMMITTED), else the chain would fork.
        """
        events: list[Event] = connection.info.pop(PENDING, [])
        if not events:
            return None
        noted = self.head()
        details = [event.detail for event in events]
        at, ids, details, last = _end_of_chain(connection, details)
        rewound = noted is not None and (noted.number > last.number or (noted.number == last.number and noted != last))
        if noted is not None and rewound:
            lost = {"expected": noted.number, "found": last.number}
            events = [Event("quoth", None, REWOUND, None, json.dumps(lost)), *events]
            at, ids, details, last = _end_of_chain(connection, [event.detail for event in events])
        for event, number, detail in zip(events, ids, details, strict=True):
            mac = self._mac(self._signing, last, number, at, event, detail)
            connection.execute(
                insert(schema.audit_event)
                .inline()
                .values(
                    id=number,
                    at=at,
                    principal=event.principal,
                    operator=event.operator,
                    action=event.action,
                    subject=event.subject,
                    detail=json.loads(detail),
                    number=last.number + 1,
                    key_id=self._signing,
                    mac=mac,
                )
            )
            last = Link(last.number + 1, mac)
        return replace(last, rewound=rewound)

    def head(self) -> Link | None:
        """How far the chain went when this home last wrote to it; None where that is not known."""
        if self._head is None:
            return None
        try:
            noted = json.loads(self._head.read_text("ascii"))
            return Link(int(noted["number"]), bytes.fromhex(noted["mac"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def witness(self, link: Link) -> None:
        """Note that the chain went as far as this; called after the commit, by every writer."""
        if self._head is None:
            return
        try:
            with self._head.with_suffix(".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                noted = self.head()
                if noted is not None and link.number <= noted.number and not link.rewound:
                    return
                draft = self._head.with_suffix(".new")
                draft.write_text(json.dumps({"number": link.number, "mac": link.mac.hex()}), "ascii")
                draft.replace(self._head)
        except OSError as error:  # what was acknowledged is kept; only the note is missing
            LOG.warning("the end of the audit's chain could not be noted: %s", error.strerror)

    def verify(self, connection: Connection) -> Verification:
        """Read the whole chain, as a role that sees all of it, and say whether it is whole."""
        return _Reading(self).of(connection)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _mac(self, key_id: str, before: Link, number: int, at: datetime, event: Event, detail: str) -> bytes:
        told = [
            before.number + 1, before.mac.hex(), number, at.astimezone(UTC).isoformat(), event.principal,
            event.operator, event.action, None if event.subject is None else str(event.subject), detail,
        ]  # fmt: skip
        return self._hmac(key_id, json.dumps(told).encode())

    def _hmac(self, key_id: str, message: bytes) -> bytes:
        return hmac.new(self.keys[key_id], message, hashlib.sha256).digest()

    def expected(self, key_id: str, before: Link, number: int, at: datetime, event: Event) -> bytes:
        """The MAC that an event at this place must have; `event.detail` is as the database renders it."""
        return self._mac(key_id, before, number, at, event, event.detail)


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading the chain found."""

    events: int  # that are in order, from the first on
    broken: int | None  # number of the first event that is not in order; None: the chain is whole
    reason: str | None  # in words, with what may be the cause
    notes: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return self.reason is None


class _Reading:
    """One pass over the chain."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail
        self._notes: list[str] = []

    def of(self, connection: Connection) -> Verification:
        last, reason = START, None
        noted = self._trail.head()
        accepted = {
            int(number)
            for number in connection.execute(
                text("select detail->>'number' from audit_event where action = :a and number is not null"),
                {"a": ACCEPTED},
            ).scalars()
            if str(number).isdigit()
        }
        first: Event | None = None
        rows = connection.execute(text(_CHAIN), execution_options={"yield_per": 1000})
        for row in rows:
            event = Event(row.principal, row.operator, row.action, row.subject, row.detail)
            reason = self._wrong(row, event, last, noted)
            if reason is None and row.action == REWOUND and row.number not in accepted:
                reason = (
                    f"when event {row.number} was written, the newest events before it had been taken away, or an "
                    f"older database put in place; `quoth audit accept {row.number}` accepts a restore that was meant"
                )
            if reason is not None:
                break
            first = first or event
            last = Link(row.number, bytes(row.mac))
        rows.close()
        if reason is None:
            reason = self._older(connection, first)
            if reason is None and noted is None and last.number:
                self._notes.append("how far the chain went is noted nowhere here: lost newest events would not show")
            elif reason is None and noted is not None and noted.number > last.number:
                reason = f"the newest events, {last.number + 1} to {noted.number}, are gone"
        broken = None if reason is None else last.number + 1
        return Verification(last.number, broken, reason, tuple(self._notes))

    def _wrong(self, row: object, event: Event, last: Link, noted: Link | None) -> str | None:
        number, key_id, mac = row.number, row.key_id, row.mac  # type: ignore[attr-defined]
        if number != last.number + 1:
            return f"event {last.number + 1} is missing"
        if key_id is None or mac is None or key_id not in self._trail.keys:
            return f"event {number} was signed with another key ({key_id}); name former keys after the first one"
        expected = self._trail.expected(key_id, last, row.id, row.at, event)  # type: ignore[attr-defined]
        if not hmac.compare_digest(bytes(mac), expected):
            return f"event {number} is not what was written there"
        if noted is not None and noted.number == number and noted.mac != bytes(mac):
            return f"event {number} is another than the one that was noted outside the database"
        return None

    def _older(self, connection: Connection, first: Event | None) -> str | None:
        """Events without a place in the chain: only those that its first event counts and hashes."""
        found = _unchained(connection)
        if first is not None and first.action == BEGUN:
            told = json.loads(first.detail)
            if [told.get("events"), told.get("sha256")] == list(found):
                self._notes.append(f"{found[0]:,} events are older than the chain; they are as they were at its start")
                return None
            return "the events from before the chain are not what they were at its start"
        return f"{found[0]:,} events stand outside the chain" if found[0] else None


_CHAIN: Final = (
    "select id, number, key_id, mac, at, principal, operator, action, subject, detail::text as detail"
    " from audit_event where number is not null order by number"
)


def accept(connection: Connection, reader: Reader, number: int) -> None:
    """Accept that the chain was shortened before event `number`, which says so: a restore that was meant.

    Raises:
        UsageError: that event says no such thing.
    """
    found = connection.scalar(text("select action from audit_event where number = :n"), {"n": number})
    if found != REWOUND:
        raise UsageError(f"Event {number} tells of no lost events. `quoth audit verify` names the one that does.")
    record(connection, reader, ACCEPTED, None, {"number": number})


def accept_shortening(connection: Connection, reader: Reader) -> None:
    """As `accept`, for whatever a restore that was just made has shortened."""
    number = connection.scalar(text("select max(number) from audit_event where action = :a"), {"a": REWOUND})
    accepted = connection.scalar(
        text("select max((detail->>'number')::bigint) from audit_event where action = :a"), {"a": ACCEPTED}
    )
    if number is not None and (accepted is None or accepted < number):
        record(connection, reader, ACCEPTED, None, {"number": number})


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as an administrator reads it."""

    number: int
    at: datetime
    principal: str
    operator: str | None
    action: str
    subject: UUID | None
    detail: str  # JSON


def latest(connection: Connection, *, action: str = "", principal: str = "", limit: int = 100) -> list[Recorded]:
    """The latest events, of the actions that begin so and of the principal named, if one is."""
    rows = connection.execute(
        text(
            "select number, at, principal, operator, action, subject, detail::text as detail from audit_event"
            " where number is not null and starts_with(action, :action) and (:who = '' or principal = :who)"
            " order by number desc limit :n"
        ),
        {"action": action, "who": principal, "n": limit},
    )
    return [Recorded(*row) for row in rows]


def begin(connection: Connection) -> None:
    """Where events from before the chain are found and no chain, make them its first event's business."""
    if connection.scalar(text("select exists (select from audit_event where number is not null)")):
        return
    count, sha256 = _unchained(connection)
    if count:
        record(connection, Reader("quoth", frozenset()), BEGUN, None, {"events": count, "sha256": sha256})


def _unchained(connection: Connection) -> tuple[int, str]:
    digest, count = hashlib.sha256(), 0
    for row in connection.execute(
        text("select to_jsonb(a)::text from audit_event a where number is null order by id")
    ).scalars():
        digest.update(row.encode() + b"\n")
        count += 1
    return count, digest.hexdigest()


def _end_of_chain(connection: Connection, details: list[str]) -> tuple[datetime, list[int], list[str], Link]:
    """Take the lock; the time, fresh ids, the details as the database renders them, and the chain's last link."""
    row = connection.execute(
        text("select at, ids, details, number, mac from quoth_audit_end(cast(:details as text[]))"),
        {"details": details},
    ).one()
    return row.at, list(row.ids), list(row.details), Link(int(row.number), bytes(row.mac))


def _key_id(key: bytes) -> str:
    return hmac.new(key, b"quoth audit key", hashlib.sha256).hexdigest()[:12]


def _keys(listed: str, where: str) -> tuple[bytes, ...]:
    keys = tuple(line.strip().encode() for line in listed.splitlines() if line.strip())
    if not keys or min(map(len, keys)) < SHORTEST_KEY:
        raise ConfigurationError(
            f"{where} must hold keys of at least {SHORTEST_KEY} characters. `openssl rand -hex 32` makes one."
        )
    return keys
