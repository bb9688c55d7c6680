"""Who stands at a door: the reader that a session, a key or a token vouches for, and what they may do there.

What they may read is decided by `readers` of documents alone; a role never widens it. An administrator who is in no
group reads what everyone may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from ingest.access import LOCAL, Reader
from ingest.errors import ConfigurationError, QuothError

Role = Literal["reader", "owner", "evaluator", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


class NotSignedIn(QuothError):
    """Nobody, or nobody any more: no identity was shown, or one that is wrong, revoked or expired."""


class NotAllowed(QuothError):
    """Somebody whose roles do not include what they ask for."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's or session's principal."""

    reader: Reader
    roles: frozenset[Role]  # every caller is a reader
    way: str  # how they showed who they are: "local", "session", "token", "key ID"

    def may(self, role: Role) -> bool:
        return role == "reader" or role in self.roles or "admin" in self.roles

    def must(self, role: Role) -> None:
        """
        Raises:
            NotAllowed: they do not have the role.
        """
        if not self.may(role):
            raise NotAllowed(f"This needs the role {role!r}. Ask whoever runs Quoth for it.")


LOCAL_CALLER: Final = Caller(LOCAL, frozenset(ROLES), "local")


def roles_from(setting: str) -> Mapping[Role, frozenset[str]]:
    """Which groups give which role, from 'owner=hr|legal, admin=quoth-admins'.

    Raises:
        ConfigurationError: a role that does not exist, or a part that says nothing.
    """
    found: dict[Role, frozenset[str]] = {}
    for part in filter(None, (one.strip() for one in setting.split(","))):
        role, equals, groups = part.partition("=")
        role = role.strip()
        names = frozenset(filter(None, (one.strip() for one in groups.split("|"))))
        if role not in ROLES or role == "reader" or not equals or not names:
            raise ConfigurationError(
                f"QUOTH_ROLES: {part!r} is not ROLE=GROUP|GROUP with a role of {', '.join(ROLES[1:])}. "
                "Example: owner=hr|legal, admin=quoth-admins"
            )
        found[role] = found.get(role, frozenset()) | names
    return found


def roles_of(groups: Iterable[str], by_role: Mapping[Role, frozenset[str]]) -> frozenset[Role]:
    held = frozenset(groups)
    return frozenset(("reader", *(role for role, names in by_role.items() if names & held)))
