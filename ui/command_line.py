"""What the commands share: who is asking, the store, printing."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping
from datetime import date
from textwrap import dedent
from typing import Any

from assistant.bootstrap import Quoth, open_quoth
from ingest.access import LOCAL, Reader, group_names
from ingest.errors import UsageError
from retrieval.narrowing import KINDS, Narrowing, Offer


def command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, *, help: str, example: str, more: str = ""
) -> argparse.ArgumentParser:
    """Add one command whose --help ends with an example."""
    text = help[0].upper() + help[1:] + "." + (f"\n\n{dedent(more).strip()}" if more else "")
    return commands.add_parser(
        name,
        help=help,
        description=text,
        epilog="example:\n" + "\n".join(f"  {line}" for line in dedent(example).strip().splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def asking_options(parser: argparse.ArgumentParser) -> None:
    """--as, --groups and --collection, as every reading command has them."""
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--as", dest="as_user", metavar="USER", help="ask as this user, with the user's groups")
    who.add_argument("--groups", metavar="GROUP[,GROUP]", help="ask as a member of these groups")
    parser.add_argument("--collection", metavar="NAME", help="only this collection")


def narrowing_options(parser: argparse.ArgumentParser) -> None:
    """What `narrowing_of` reads: which documents are searched."""
    parser.add_argument("--owner", metavar="NAME", help="only documents of this owner")
    parser.add_argument("--type", choices=sorted(KINDS), help="only documents of this kind")
    parser.add_argument("--since", type=_day, metavar="YYYY-MM-DD", help="only what changed on this day or later")
    parser.add_argument("--before", type=_day, metavar="YYYY-MM-DD", help="only what changed before this day")


def narrowing_of(arguments: argparse.Namespace) -> Narrowing:
    return Narrowing(arguments.owner, arguments.type, arguments.since, arguments.before)


def offered_flags(offer: Offer) -> str:
    """The options that take up an offer."""
    one = offer.narrowing
    given = {
        "--collection": offer.collection,
        "--owner": one.owner,
        "--type": one.kind,
        "--since": one.since,
        "--before": one.before,
    }
    return " ".join(f"{flag} {shlex.quote(str(value))}" for flag, value in given.items() if value)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day. Write it like 2026-03-31.") from error


def json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")


def open_store() -> Quoth:
    return open_quoth(os.environ, say=say)


def one_line(name: str) -> str:
    """`name` with line breaks and control characters written out: a file may be named by a terminal's codes."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in name)


def say(text: str) -> None:
    """Progress for people: to stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def reader_of(quoth: Quoth, arguments: argparse.Namespace) -> Reader:
    """Who is asking. An operator's impersonation is kept in the audit."""
    if arguments.as_user:
        reader = quoth.catalog.reader_for(arguments.as_user, operator=LOCAL.name)
    elif arguments.groups:
        reader = groups_reader(arguments.groups)
    else:
        return LOCAL
    quoth.catalog.audit_impersonation(reader)
    return reader


def groups_reader(groups: str) -> Reader:
    """A reader who is nobody in particular, in the groups given; '~' starts no user's name."""
    names = group_names(groups)
    return Reader("~" + ",".join(sorted(names)), frozenset(names), operator=LOCAL.name)


def named_documents(quoth: Quoth, references: list[str], reader: Reader, collection: str | None = None) -> list[Any]:
    """(Document, version) of each reference; all must exist before anything is done to one."""
    found, problems = [], []
    for reference in references:
        try:
            found.append(quoth.catalog.find(reader, reference, collection))
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError(" ".join(problems))
    return found
