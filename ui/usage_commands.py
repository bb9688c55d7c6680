"""The command about what models cost: usage."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import date

from assistant.model_calls import Used
from ingest.errors import UsageError
from ui.command_line import command, json_option, open_store, print_json

COLUMNS = ("calls", "failed", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd")
HEADS = ("calls", "failed", "input", "of it cached", "output", "USD")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    usage = command(
        commands,
        "usage",
        help="show what the calls of models came to",
        example="quoth usage\nquoth usage --by user --since 2026-11-01\nquoth usage --by model --json",
        more="""
            Every call of a chat model for an answer is recorded with its tokens and cost; its text is not. Costs are
            those of the published prices or of QUOTH_PRICES, at the time of the call. Days are those of UTC.""",
    )
    usage.add_argument("--by", choices=("user", "model", "day"), default="day", help="what to add up by (day)")
    usage.add_argument("--since", metavar="DATE", help="from this day on, as 2026-11-01")
    json_option(usage)
    usage.set_defaults(run=run_usage)


def run_usage(arguments: argparse.Namespace) -> int:
    try:
        since = date.fromisoformat(arguments.since) if arguments.since else None
    except ValueError:
        raise UsageError(f"--since {arguments.since!r} is not a day. Write it as 2026-11-01.") from None
    with open_store() as quoth:
        *groups, total = quoth.model_calls.used(arguments.by, since=since)
    if arguments.json:
        rows = [{arguments.by: one.name, **_numbers(one)} for one in groups]
        print_json({"by": arguments.by, "since": arguments.since, "rows": rows, "total": _numbers(total)})
        return 0
    for line in table(arguments.by, groups, total):
        print(line)
    return 0


def table(by: str, groups: list[Used], total: Used) -> list[str]:
    """The groups and their total in aligned columns."""
    lines = [(by, *HEADS), *(_cells(one.name, one) for one in groups), _cells("total", total)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def _cells(name: str, used: Used) -> tuple[str, ...]:
    counts = tuple(f"{number:,}" for number in list(_numbers(used).values())[:-1])
    return (name, *counts, f"{used.cost_usd:,.4f}")


def _numbers(used: Used) -> dict[str, float]:
    values = asdict(used)
    return {name: values[name] for name in COLUMNS}
