"""Who belongs to which group: a local table in which groups may be members of groups.

Members are named as readers are: `user:ada` is a person, a plain name a group. A `Reader` holds only what was said of
the one who asks (a name, the groups of a claim); what follows from the table is found by the SQL function
`principals_of`, in each transaction and by both walls, so that a change holds in the next statement of any door and
nothing kept in memory can be older than the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from ingest import schema
from ingest.access import EVERYONE, GROUP_NAME, LOCAL, PERSON, Reader
from ingest.audit import record
from ingest.database import Database
from ingest.errors import UsageError

DEEPEST: Final = 32  # levels that `principals_of` climbs; what would lie deeper is refused when it is added

_ABOVE: Final = """
with recursive reached(name, level) as (
    select cast(:name as text), 0
    union
    select {to}, r.level + 1 from reached r join group_member m on m.{at} = r.name where r.level <= :deepest
)
select max(least) from (select min(level) as least from reached group by name) nearest"""
_HEIGHT: Final = text(_ABOVE.format(at="member", to="m.group_name"))
_DEPTH: Final = text(_ABOVE.format(at="group_name", to="m.member"))


@dataclass(frozen=True, slots=True)
class Belonging:
    """The groups of a person or a group, by how it comes to them; each sorted."""

    direct: tuple[str, ...]
    inherited: tuple[str, ...]  # through other groups


class Groups:
    """Changes and lists memberships. The doors decide who may."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, tuple[str, ...]]:
        """Every group that has members, with those named as members of it; sorted."""
        m = schema.group_member
        with self._database.working() as connection:
            rows = connection.execute(select(m).order_by(m.c.group_name, m.c.member)).all()
        return _gathered((row.group_name, row.member) for row in rows)

    def of_users(self) -> dict[str, tuple[str, ...]]:
        """Every local user with groups, and the groups that name them; what those belong to is not followed."""
        m = schema.group_member
        people = select(m).where(m.c.member.startswith(PERSON, autoescape=True)).order_by(m.c.member, m.c.group_name)
        with self._database.working() as connection:
            rows = connection.execute(people).all()
        return _gathered((row.member.removeprefix(PERSON), row.group_name) for row in rows)

    def belonging(self, member: str) -> Belonging:
        """The groups that a person (`user:ada`) or a group belongs to."""
        m = schema.group_member
        with self._database.working() as connection:
            direct = set(connection.scalars(select(m.c.group_name).where(m.c.member == member)))
            reached = set(_closed(connection, [member]))
        return Belonging(tuple(sorted(direct)), tuple(sorted(reached - direct - {member})))

    def principals(self, reader: Reader) -> tuple[str, ...]:
        """All that the reader is now, sorted: what `document.readers` is compared with."""
        with self._database.working() as connection:
            return tuple(_closed(connection, reader.principals))

    def add(self, group: str, members: Sequence[str], *, by: Reader = LOCAL) -> tuple[str, ...]:
        """Make people and groups members of a group; holds at every door when this returns.

        Returns:
            Those that were no members before, in the order given.

        Raises:
            UsageError: for a name that cannot be a group's or a member's, or groups nested beyond `DEEPEST`.
        """
        _refuse_group(group)
        for member in members:
            _refuse_member(member, group)
        m = schema.group_member
        with self._database.working() as connection:
            _one_at_a_time(connection)
            new = []
            for member in dict.fromkeys(members):
                row = insert(m).values(member=member, group_name=group).on_conflict_do_nothing().returning(m.c.member)
                if connection.scalar(row) is not None:
                    new.append(member)
                    _refuse_depth(connection, member, group)
            if new:
                record(connection, by, "groups.added", None, {"group": group, "members": new})
        return tuple(new)

    def remove(self, group: str, members: Sequence[str], *, by: Reader = LOCAL) -> tuple[str, ...]:
        """Take members out of a group; returns those that were in it, sorted."""
        m = schema.group_member
        with self._database.working() as connection:
            chosen = (m.c.group_name == group) & m.c.member.in_(list(members))
            gone = sorted(connection.scalars(delete(m).where(chosen).returning(m.c.member)))
            if gone:
                record(connection, by, "groups.removed", None, {"group": group, "members": gone})
        return tuple(gone)

    def set_of_user(self, user: str, groups: Sequence[str], *, by: Reader = LOCAL) -> None:
        """Name exactly these groups for a person; an empty list takes all away.

        Raises:
            UsageError: for a name that cannot be a user's or a group's.
        """
        m = schema.group_member
        member = PERSON + user_name(user)
        for group in groups:
            _refuse_group(group)
        with self._database.working() as connection:
            _one_at_a_time(connection)
            connection.execute(delete(m).where(m.c.member == member))
            for group in dict.fromkeys(groups):
                connection.execute(insert(m).values(member=member, group_name=group))
                _refuse_depth(connection, member, group)
            record(connection, by, "members.set", None, {"user": user, "groups": list(groups)})


def user_name(name: str) -> str:
    """A name that a user can have, as given.

    Raises:
        UsageError: it is reserved, or holds what no name may.
    """
    if name in ("", LOCAL.name, EVERYONE) or name.startswith(PERSON) or not GROUP_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a user's name. Choose another, as in `quoth members ada hr`.")
    return name


def claimed_reader(name: str, groups: Iterable[str], *, operator: str | None = None) -> Reader:
    """The reader that an identity provider vouches for: its groups, and by the local table what follows from them.

    A claim cannot make its bearer another person, nor everyone: names that mean those, and names that no group may
    have, are left out.

    Raises:
        UsageError: the user's name is none.
    """
    believed = {group for group in groups if GROUP_NAME.fullmatch(group) and not group.startswith(PERSON)}
    return Reader(user_name(name), frozenset(believed - {EVERYONE}), operator=operator)


def _closed(connection: Connection, names: Sequence[str]) -> list[str]:
    return list(connection.scalar(text("select principals_of(:names)"), {"names": list(names)}) or ())


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, one in pairs:
        found.setdefault(name, []).append(one)
    return {name: tuple(ones) for name, ones in found.items()}


def _one_at_a_time(connection: Connection) -> None:
    # two that each are shallow enough may together be too deep
    connection.execute(text("select pg_advisory_xact_lock(hashtext('quoth.group_member'))"))


def _refuse_group(name: str) -> None:
    if name == EVERYONE or name.startswith(PERSON) or not GROUP_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot have members. Name a group, as in `quoth groups add managers user:ada`; everyone is"
            " implied, and user:NAME is one person."
        )


def _refuse_member(name: str, group: str) -> None:
    if name.startswith(PERSON):
        user_name(name.removeprefix(PERSON))
        return
    if name == EVERYONE:
        raise UsageError(f"'everyone' cannot be a member of {group!r}. Give documents the reader everyone instead.")
    if not GROUP_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a member's name. Give user:NAME for a person, or a group's name.")
    if name == group:
        raise UsageError(f"{group!r} cannot be a member of itself. Name another group, or user:NAME for a person.")


def _refuse_depth(connection: Connection, member: str, group: str) -> None:
    """Refuse what `principals_of` might not climb; in a circle this errs on the safe side."""
    below = connection.scalar(_DEPTH, {"name": member, "deepest": DEEPEST}) or 0
    above = connection.scalar(_HEIGHT, {"name": group, "deepest": DEEPEST}) or 0
    if below + 1 + above > DEEPEST:
        raise UsageError(
            f"{member!r} in {group!r} would nest groups {below + 1 + above} levels deep, and {DEEPEST} is the most. "
            "Make it a member of a group further up."
        )
