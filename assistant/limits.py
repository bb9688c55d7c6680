"""Limits on what models may be used for: parsed from settings, and picked for whoever asks.

    QUOTH_LIMITS="user 20 requests/minute, user 400000 tokens/day, user 5 USD/month, team:legal 80 USD/month"
    QUOTH_LIMITS=@limits.txt        one a line; # begins a comment
    QUOTH_BUDGET_USD_MONTH=500      the same as: organisation 500 USD/month

WHO is `user` (each one), `user:NAME`, `team` (each group), `team:NAME` or `organisation`. A limit that names somebody
replaces the one for all of that kind with the same unit and period. Months, days and minutes are those of UTC.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, cast

from ingest.access import Reader
from ingest.errors import ConfigurationError

Unit = Literal["requests", "tokens", "USD"]
Period = Literal["minute", "day", "month"]

ORGANISATION: Final = "organisation"
NANO: Final = 1_000_000_000  # money is counted in billionths of a dollar: a token of a small model costs about ten
MOST: Final = 10**9  # of any unit; far above use, far below what a bigint holds in billionths
_ITEM: Final = re.compile(
    r"(?P<who>user|team|organisation|(?:user|team):\S(?:.*\S)?)\s+(?P<amount>[\d_]+(?:\.\d+)?)\s+"
    r"(?P<unit>requests|tokens|USD)\s*/\s*(?P<period>minute|day|month)"
)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` of a unit in each period."""

    who: str  # "user", "team": each of them; "user:ann", "team:legal", "organisation"
    amount: float
    unit: Unit
    period: Period

    @property
    def cap(self) -> int:
        """The amount as it is counted: whole requests and tokens, billionths of a dollar."""
        return round(self.amount * NANO) if self.unit == "USD" else int(self.amount)

    def __str__(self) -> str:
        unit = self.unit.removesuffix("s") if self.amount == 1 else self.unit
        return f"{amount_text(self.amount)} {unit} a {self.period}"


def amount_text(amount: float) -> str:
    """'2,000,000' or '12.5': in full, with at most four decimals."""
    return f"{amount:,.4f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True, order=True)
class Counter:
    """What a limit counts for one user, team or the organisation in one period."""

    scope: str  # "user:ann", "team:legal" or "organisation"
    unit: Unit
    period: str  # "2026-11-21T15:04", "2026-11-21" or "2026-11"


def limits_from(text: str, budget_usd_month: float | None = None) -> tuple[Limit, ...]:
    """The limits that QUOTH_LIMITS and QUOTH_BUDGET_USD_MONTH set.

    Raises:
        ConfigurationError: one cannot be read, or is given twice.
    """
    limits: dict[tuple[str, Unit, Period], Limit] = {}
    for item in _items(text):
        match = _ITEM.fullmatch(item)
        amount = float(match["amount"].replace("_", "")) if match else 0.0
        if match is None or not 0 <= amount <= MOST or (match["unit"] != "USD" and amount != int(amount)):
            raise ConfigurationError(
                f"QUOTH_LIMITS: {item!r} is not a limit. Write WHO AMOUNT requests|tokens|USD/minute|day|month, for "
                "example: user 20 requests/minute, team:legal 80 USD/month, organisation 500 USD/month."
            )
        limit = Limit(match["who"], amount, cast(Unit, match["unit"]), cast(Period, match["period"]))
        _put(limits, limit)
    if budget_usd_month is not None:
        _put(limits, Limit("organisation", budget_usd_month, "USD", "month"))
    return tuple(limits.values())


def counters_of(limits: Sequence[Limit], reader: Reader, now: datetime) -> list[tuple[Counter, Limit]]:
    """Which limits hold for a reader's call, each with what it counts, sorted: everybody locks in this order."""
    scopes = {f"user:{reader.name}": "user", ORGANISATION: ORGANISATION}
    scopes |= {f"team:{group}": "team" for group in reader.groups}
    named = {(limit.who, limit.unit, limit.period) for limit in limits}
    found = []
    for scope, kind in scopes.items():
        for limit in limits:
            special = (scope, limit.unit, limit.period) in named
            if limit.who == scope or (limit.who == kind and not special):
                found.append((Counter(scope, limit.unit, period_of(limit.period, now)), limit))
    return sorted(found, key=lambda one: (one[0], one[1].period))


def period_of(period: Period, now: datetime) -> str:
    """The name of the period that a moment lies in, in UTC."""
    form = {"minute": "%Y-%m-%dT%H:%M", "day": "%Y-%m-%d", "month": "%Y-%m"}[period]
    return now.astimezone(UTC).strftime(form)


def end_of(period: Period, now: datetime) -> datetime:
    """When the period that a moment lies in ends, in UTC."""
    now = now.astimezone(UTC)
    if period == "minute":
        return now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return today + timedelta(days=1)
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


def reached(limit: Limit, scope: str, now: datetime) -> str:
    """In words: which limit leaves no room, and when it ends."""
    kind, _, name = scope.partition(":")
    whose = {"user": "you", "team": f"the team {name!r}", "organisation": "the whole organisation"}[kind]
    end = end_of(limit.period, now).strftime("%H:%M UTC" if limit.period == "minute" else "%Y-%m-%d %H:%M UTC")
    return f"Too little is left of the limit of {limit} for {whose}. It is renewed at {end}."


def _put(limits: dict[tuple[str, Unit, Period], Limit], limit: Limit) -> None:
    key = (limit.who, limit.unit, limit.period)
    if key in limits:
        raise ConfigurationError(
            f"The limit of {limit.who} in {limit.unit}/{limit.period} is given twice. Keep one of the two in "
            "QUOTH_LIMITS or QUOTH_BUDGET_USD_MONTH."
        )
    limits[key] = limit


def _items(text: str) -> list[str]:
    if text.startswith("@"):
        path = Path(text[1:]).expanduser()
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"QUOTH_LIMITS={text!r}: the file cannot be read. Name a text file.") from error
        text = ",".join(line.partition("#")[0] for line in lines)
    return [item.strip() for item in text.split(",") if item.strip()]
