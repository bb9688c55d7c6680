"""Limits as they are written, whom they hold for, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.limits import NANO, Limit, Period, amount_text, counters_of, end_of, limits_from, period_of, reached
from ingest.access import LOCAL, Reader
from ingest.errors import ConfigurationError

NOON = datetime(2026, 11, 21, 12, 30, 15, tzinfo=UTC)


def test_limits_are_read_from_a_line_and_from_a_file(tmp_path: Path) -> None:
    line = "user 20 requests/minute, team:case law 2_000 tokens / day, organisation 0.5 USD/month"
    limits = (
        Limit("user", 20, "requests", "minute"),
        Limit("team:case law", 2000, "tokens", "day"),
        Limit("organisation", 0.5, "USD", "month"),
    )
    assert limits_from(line) == limits
    file = tmp_path / "limits.txt"
    file.write_text("# for all\n" + line.replace(", ", "  # why\n"), encoding="utf-8")
    assert limits_from(f"@{file}") == limits
    assert limits_from("", 0.5) == limits[2:]
    assert limits_from(" , ") == ()
    assert limits[2].cap == NANO // 2


@pytest.mark.parametrize(
    "wrong",
    [
        "20 requests/minute",
        "user -1 requests/minute",
        "user 1.5 requests/minute",
        "user 5 EUR/month",
        "user 5 USD/year",
        "group 5 USD/month",
        "user: 5 USD/month",
        "user 5 USD/month, user 6 USD/month",
        "user 99999999999 tokens/day",
        "@/nowhere/limits.txt",
    ],
)
def test_what_is_no_limit_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="QUOTH_LIMITS"):
        limits_from(wrong)


def test_a_budget_given_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        limits_from("organisation 5 USD/month", 6)


def test_a_limit_with_a_name_replaces_the_one_for_all_of_the_same_kind() -> None:
    limits = limits_from("user 5 USD/month, user:ann 50 USD/month, user 9 requests/day, team:hr 8 USD/month")
    ann, bo = Reader("ann", frozenset({"hr", "legal"})), Reader("bo", frozenset())

    def held(reader: Reader) -> list[tuple[str, str, float]]:
        return [(counter.scope, counter.unit, limit.amount) for counter, limit in counters_of(limits, reader, NOON)]

    assert held(ann) == [("team:hr", "USD", 8), ("user:ann", "USD", 50), ("user:ann", "requests", 9)]
    assert held(bo) == [("user:bo", "USD", 5), ("user:bo", "requests", 9)]
    assert [scope for scope, _, _ in held(LOCAL)] == ["user:local", "user:local"]


def test_a_limit_for_teams_counts_for_each_team_of_the_reader() -> None:
    held = counters_of(limits_from("team 8 USD/month"), Reader("ann", frozenset({"hr", "legal"})), NOON)
    assert [counter.scope for counter, _ in held] == ["team:hr", "team:legal"]


@given(st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1)), st.sampled_from(["minute", "day", "month"]))
def test_a_period_ends_where_the_next_begins(at: datetime, period: Period) -> None:
    now = at.replace(tzinfo=UTC)
    end = end_of(period, now)
    assert now < end
    assert period_of(period, end - timedelta(microseconds=1)) == period_of(period, now) != period_of(period, end)
    assert end_of(period, now.astimezone(timezone(timedelta(hours=-9)))) == end


def test_words_say_which_limit_and_until_when() -> None:
    assert reached(Limit("user", 20, "requests", "minute"), "user:ann", NOON) == (
        "Too little is left of the limit of 20 requests a minute for you. It is renewed at 12:31 UTC."
    )
    words = reached(Limit("organisation", 1500, "USD", "month"), "organisation", NOON)
    assert "1,500 USD a month for the whole organisation" in words and "2026-12-01 00:00 UTC" in words
    assert "1 request a day for the team 'hr'" in reached(Limit("team", 1, "requests", "day"), "team:hr", NOON)


def test_large_limits_are_written_in_full() -> None:
    said = {
        Limit("user", 2_000_000, "tokens", "month"): "2,000,000 tokens a month",
        Limit("user", 0.5, "USD", "day"): "0.5 USD a day",
    }
    assert {str(limit) for limit in said} == set(said.values())
    assert amount_text(123_456_789) == "123,456,789"
