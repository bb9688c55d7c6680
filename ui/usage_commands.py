"""The command about what models cost, and how an answer was made: usage."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import asdict
from datetime import date
from uuid import UUID

from assistant.answer_record import record_json
from assistant.model import AnswerId
from assistant.model_calls import Used
from ingest.access import LOCAL
from ingest.errors import UsageError
from ui.command_line import command, json_option, open_store, print_json
from ui.record_sections import Section, sections_of

COLUMNS = ("calls", "failed", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd")
HEADS = ("calls", "failed", "input", "of it cached", "output", "USD")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    usage = command(
        commands,
        "usage",
        help="show what the calls of models came to",
        example="quoth usage\nquoth usage --by user --since 2026-11-01\nquoth usage --answers\nquoth usage --answer ID",
        more="""
            Every call of a chat model for an answer is recorded with its tokens and cost; its text is not. Costs are
            those of the published prices or of QUOTH_PRICES, at the time of the call. Days are those of UTC.

            --answer shows how one of your answers was made: what was found, what the model was given, each call, each
            statement with its check, and what was left out. Words of documents are read under your access of now.""",
    )
    usage.add_argument("--by", choices=("user", "model", "day"), default="day", help="what to add up by (day)")
    usage.add_argument("--since", metavar="DATE", help="from this day on, as 2026-11-01")
    which = usage.add_mutually_exclusive_group()
    which.add_argument("--answer", metavar="ID", help="how this answer was made")
    which.add_argument("--answers", action="store_true", help="list the latest answers with their ids")
    usage.add_argument("--as", dest="as_user", metavar="USER", help="with --answer and --answers: this user's")
    json_option(usage)
    usage.set_defaults(run=run_usage)


def run_usage(arguments: argparse.Namespace) -> int:
    if arguments.answer or arguments.answers:
        return _run_answers(arguments)
    if arguments.as_user:
        raise UsageError("--as goes with --answer or --answers. To see everybody's use, give --by user.")
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


def _run_answers(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        reader = LOCAL
        if arguments.as_user:
            reader = quoth.catalog.reader_for(arguments.as_user, operator=LOCAL.name)
            quoth.catalog.audit_impersonation(reader)
        if arguments.answers:
            asked = quoth.answer_records.listed(reader)
            if arguments.json:
                print_json({"answers": [{**asdict(one), "asked_at": one.asked_at.isoformat()} for one in asked]})
            for one in asked if not arguments.json else ():
                when = f"{one.asked_at:%Y-%m-%d %H:%M}"
                print(
                    f"{one.id}  {when}  {one.status:9}  {one.cost_usd:8.4f} USD  {textwrap.shorten(one.question, 70)}"
                )
            return 0
        try:
            wanted = AnswerId(UUID(arguments.answer))
        except ValueError:
            raise UsageError(
                f"{arguments.answer!r} is not an answer's id. `quoth usage --answers` lists them."
            ) from None
        record = quoth.answer_records.get(reader, wanted)
    if arguments.json:
        print_json(record_json(record))
    else:
        for section in sections_of(record):
            print("\n".join(section_lines(section)) + "\n")
    return 0


def section_lines(section: Section) -> list[str]:
    """A section of a record as text: its title, its facts, its rows."""
    lines = [section.title, *(f"  {name}: {value}" for name, value in section.facts)]
    for row in section.rows:
        cells = [f"{name} {value}" for name, value in zip(section.heads, row, strict=True) if value]
        lines += textwrap.wrap("; ".join(cells), 116, initial_indent="  - ", subsequent_indent="    ")
    return [*lines, *(f"  {section.empty}" for _ in range(not section.rows and bool(section.empty)))]


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
