"""Who may read what: the one place that turns a reader into a predicate.

Two walls stand behind each other. Every query names `readable(...)` explicitly, and row-level security of the
`quoth_reader` role applies the same rule again from a setting of the transaction. No principal, no rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ingest.errors import SESSION_ENDED, SessionEnded, UsageError

EVERYONE: Final = "everyone"
PERSON: Final = "user:"  # what a person's name is written with among readers and members
READS_ALL: Final = "*"  # what the principal `local` holds; no group can be called so
GROUP_NAME: Final = re.compile(r"[\w][\w .@:/+-]{0,126}", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Reader:
    """The principal of a question. Comes from the session, the token or the command line, never from the question."""

    name: str
    groups: frozenset[str]  # that a claim or an operator names; those of the local table are not among them
    reads_all: bool = False
    operator: str | None = None  # who acts in this reader's name, for the audit
    until: float | None = field(default=None, compare=False)  # Unix time when the session ends that vouches for them

    def must_hold(self, now_s: float) -> None:
        """
        Args:
            now_s: Unix time by the database's clock.

        Raises:
            SessionEnded: their session has ended since.
        """
        if self.until is not None and now_s > self.until:
            raise SessionEnded(SESSION_ENDED)

    @property
    def principals(self) -> tuple[str, ...]:
        """What is said of the reader, sorted; the groups these belong to are added where it is compared, in SQL."""
        if self.reads_all:
            return (READS_ALL,)
        names = {*self.groups, EVERYONE}
        if self.name:
            names.add(PERSON + self.name)
        return tuple(sorted(names))


LOCAL: Final = Reader("local", frozenset(), reads_all=True)


def group_names(text: str) -> tuple[str, ...]:
    """Split 'hr, legal' into names, each once, in order.

    Raises:
        UsageError: for an empty list or a name outside the allowed characters.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise UsageError(f"{text!r} names no group. Give at least one, for example: hr,legal or everyone.")
    for name in names:
        if not GROUP_NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not a group name. Use letters, digits, spaces and . _ @ : / + -")
    return names
