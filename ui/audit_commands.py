"""Commands about the audit: whether its chain is whole."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ingest.access import LOCAL
from ui.command_line import command, json_option, open_store, print_json, say


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    whole = command(
        commands,
        "audit",
        help="verify the record of who did what",
        example="quoth audit verify",
        more="The record is a chain, which shows whether anything in it was touched.",
    )
    inner = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verify = command(
        inner,
        "verify",
        help="say whether the audit's chain is whole, else its first broken event",
        example="quoth audit verify\nquoth audit verify --json",
        more="The exit code is 1 when the chain is not whole.",
    )
    json_option(verify)
    verify.set_defaults(run=run_verify)
    accept = command(
        inner,
        "accept",
        help="accept that newer events are gone, after restoring an older database",
        example="quoth audit accept 412",
    )
    accept.add_argument("number", metavar="NUMBER", type=int, help="of the event that `quoth audit verify` names")
    accept.set_defaults(run=run_accept)


def run_verify(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        found = quoth.verify_audit()
    if arguments.json:
        print_json({"whole": found.whole, **asdict(found)})
        return 0 if found.whole else 1
    for note in found.notes:
        say(note)
    if found.whole:
        print(f"The chain is whole: {found.events:,} events.")
        return 0
    print(f"The chain is broken at event {found.broken}: {found.reason}.")
    return 1


def run_accept(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        quoth.accept_audit(arguments.number, LOCAL)
    print(f"Accepted: the chain goes on at event {arguments.number}.")
    return 0
