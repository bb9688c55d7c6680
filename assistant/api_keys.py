"""Keys for programs: made once, shown once, kept as a keyed hash, with roles, an end, and a way to take them back.

A key looks like quoth_4f0c2a91d3b7_… : its public id, then 256 random bits. Whoever reads the table learns no key, and
whoever may write it cannot make one without the pepper, which lies outside the database.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column, DateTime, LargeBinary, Row, Table, Text, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from assistant.callers import ROLES, Caller, NotSignedIn, Role
from ingest import schema
from ingest.access import LOCAL, Reader
from ingest.audit import record
from ingest.database import Database
from ingest.errors import UsageError
from ingest.groups import claimed_reader, user_name

PREFIX: Final = "quoth_"
SHAPE: Final = re.compile(r"quoth_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
DAYS: Final = 90
MOST_DAYS: Final = 3650
USED_AGAIN_AFTER: Final = timedelta(minutes=1)  # a key in use all the time does not write its row each time
PEPPER_FILE: Final = "keys.pepper"

api_key = Table(
    "api_key",
    schema.metadata,
    Column("id", Text, primary_key=True),
    Column("mac", LargeBinary, nullable=False),
    Column("label", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("groups", ARRAY(Text), nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("created_by", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key; the secret is not among it."""

    id: str
    label: str
    principal: str  # the user it acts as
    groups: tuple[str, ...]  # beside those that the local table gives the user
    roles: tuple[Role, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "valid"


class ApiKeys:
    """The keys of one store."""

    def __init__(self, database: Database, pepper: str) -> None:
        self._database = database
        self._pepper = pepper.strip().encode()

    def create(
        self,
        user: str,
        *,
        roles: Sequence[Role] = ("reader",),
        groups: Sequence[str] = (),
        days: int = DAYS,
        label: str = "",
        by: Reader = LOCAL,
    ) -> tuple[Key, str]:
        """Make a key that acts as `user`; returns what is kept of it, and the key itself, which is shown this once.

        Raises:
            UsageError: no user's name, a role that does not exist, or `days` is not from 1 to 3650.
        """
        for role in roles:
            if role not in ROLES:
                raise UsageError(f"{role!r} is no role. Use {', '.join(ROLES)}.")
        if not 1 <= days <= MOST_DAYS:
            raise UsageError(f"A key cannot hold {days} days. Use 1 to {MOST_DAYS}.")
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        held = sorted({"reader", *roles}, key=ROLES.index)
        with self._database.working() as connection:
            row = connection.execute(
                insert(api_key)
                .values(
                    id=number,
                    mac=self._mac(number, secret),
                    label=label[:200],
                    principal=user_name(user),
                    groups=sorted(set(groups)),
                    roles=held,
                    created_by=by.name,
                    expires_at=func.clock_timestamp() + timedelta(days=days),  # what decides later is the same clock
                )
                .returning(api_key)
            ).one()
            record(connection, by, "key.created", None, {"key": number, "user": user, "roles": held, "days": days})
        return _key(row), f"{PREFIX}{number}_{secret}"

    def listed(self, *, user: str | None = None) -> list[Key]:
        """All keys, or those of one user, latest first."""
        query = select(api_key).order_by(api_key.c.created_at.desc(), api_key.c.id)
        if user is not None:
            query = query.where(api_key.c.principal == user)
        with self._database.working() as connection:
            return [_key(row) for row in connection.execute(query)]

    def revoke(self, number: str, *, user: str | None = None, by: Reader = LOCAL) -> Key:
        """Take a key back; holds from the next request on.

        Args:
            user: only if it acts as this one.

        Raises:
            UsageError: there is no such key.
        """
        wanted = number.removeprefix(PREFIX).partition("_")[0]
        change = update(api_key).where(api_key.c.id == wanted)
        if user is not None:
            change = change.where(api_key.c.principal == user)
        with self._database.working() as connection:
            row = connection.execute(
                change.values(revoked_at=func.coalesce(api_key.c.revoked_at, func.clock_timestamp())).returning(api_key)
            ).one_or_none()
            if row is None:
                raise UsageError(f"There is no key {wanted!r}. `quoth keys list` shows them.")
            record(connection, by, "key.revoked", None, {"key": wanted})
        return _key(row)

    def caller(self, token: str) -> Caller:
        """Who a key stands for.

        Raises:
            NotSignedIn: it is no key, or not one that holds now; which of these is for the log, not for the bearer.
        """
        match = SHAPE.fullmatch(token)
        if match is None:
            raise NotSignedIn("This is not a key of Quoth.")
        number, secret = match.groups()
        query = select(api_key, func.clock_timestamp().label("now")).where(api_key.c.id == number)
        with self._database.working() as connection:
            row = connection.execute(query).one_or_none()
            # compared also where there is none, so that the time taken does not tell which ids exist
            same = hmac.compare_digest(self._mac(number, secret), row.mac if row else bytes(32))
            if row is None or not same:
                raise NotSignedIn("This key is not known here.")
            key = _key(row)
            if key.state(row.now) != "valid":
                raise NotSignedIn(f"This key is {key.state(row.now)}. Ask whoever runs Quoth for a new one.")
            stale = or_(api_key.c.used_at.is_(None), api_key.c.used_at < func.clock_timestamp() - USED_AGAIN_AFTER)
            connection.execute(
                update(api_key).where(api_key.c.id == number, stale).values(used_at=func.clock_timestamp())
            )
        return Caller(claimed_reader(key.principal, key.groups), frozenset(key.roles), f"key {number}")

    def _mac(self, number: str, secret: str) -> bytes:
        return hmac.new(self._pepper, f"{number}:{secret}".encode(), hashlib.sha256).digest()


def _key(row: Row) -> Key:
    return Key(
        row.id, row.label, row.principal, tuple(row.groups), tuple(row.roles), row.created_at, row.created_by,
        row.expires_at, row.used_at, row.revoked_at,
    )  # fmt: skip
