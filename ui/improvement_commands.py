"""Commands about what answers lack: handing a question on, the gaps, what people said of answers."""

from __future__ import annotations

import argparse
import sys
import uuid
from dataclasses import asdict
from datetime import timedelta

from assistant.gaps import gaps
from assistant.model import AnswerId
from assistant.question_routing import URGENCIES
from evals.case_run import ASKER
from ingest.errors import UsageError
from ui.command_line import asking_options, command, json_option, open_store, print_json, reader_of, say


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    handoff = command(
        commands,
        "handoff",
        help="send a question that was not answered to the owner of the nearest document",
        example='quoth handoff ANSWER\nquoth handoff ANSWER --note "It is for a trip in May" --yes',
        more="Shows what would be sent and asks first; --yes confirms it beforehand.",
    )
    handoff.add_argument("answer", metavar="ANSWER", help="its id, as `quoth ask --json` prints it")
    handoff.add_argument("--owner", help="to this owner instead of the one that is proposed")
    handoff.add_argument("--urgency", choices=URGENCIES, help="instead of the one that is proposed")
    handoff.add_argument("--subject", help="instead of the one that is proposed")
    handoff.add_argument("--note", default="", help="goes along with the question")
    handoff.add_argument("--yes", action="store_true", help="send it without asking")
    asking_options(handoff)
    handoff.set_defaults(run=run_handoff)

    missing = command(
        commands,
        "gaps",
        help="list what was asked and not answered well, questions of one subject together",
        example="quoth gaps --days 30\nquoth gaps --as ada --json",
    )
    missing.add_argument("--days", type=int, default=90, help="look back so many days (90)")
    asking_options(missing)
    json_option(missing)
    missing.set_defaults(run=run_gaps)

    said = command(
        commands,
        "feedback",
        help="list what people said of answers, latest first",
        example="quoth feedback --down --json > feedback.jsonl",
    )
    said.add_argument("--down", action="store_true", help="only thumbs down")
    asking_options(said)
    json_option(said)
    said.set_defaults(run=run_feedback)


def run_handoff(arguments: argparse.Namespace) -> int:
    try:
        wanted = AnswerId(uuid.UUID(arguments.answer))
    except ValueError as error:
        raise UsageError(f"{arguments.answer!r} is not an answer's id. `quoth ask --json` prints it.") from error
    with open_store() as quoth:
        reader = reader_of(quoth, arguments)
        letter = quoth.handoff.proposed(reader, quoth.answers.get(reader, wanted))
        if letter is None:
            raise UsageError("No document that you may read comes near this question, so nobody can be asked.")
        letter = quoth.handoff.revised(
            reader, letter, owner=arguments.owner, urgency=arguments.urgency, subject=arguments.subject
        )
        say(f"To:       {letter.owner} (owner of {letter.title}, {letter.source})")
        say(f"By:       {', '.join(letter.ways) or 'nothing: set QUOTH_HANDOFF_URL or QUOTH_SMTP_URL'}")
        say(f"Subject:  {letter.subject}  ({letter.urgency} urgency)")
        say(f"Question: {letter.question}")
        if arguments.note:
            say(f"Note:     {arguments.note}")
        if not letter.ways or not (arguments.yes or confirmed()):
            print("Not sent.")
            return 1
        ways = quoth.handoff.send(reader, letter, note=arguments.note)
    print(f"Sent by {' and '.join(ways)}.")
    return 0 if ways == letter.ways else 1


def confirmed() -> bool:
    if not sys.stdin.isatty():
        say("Nobody is there to confirm it. Use --yes.")
        return False
    return input("Send it? [y/N] ").strip().lower() in ("y", "yes")


def run_gaps(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        since = quoth.database.now() - timedelta(days=max(arguments.days, 0))
        found = gaps(quoth.database, reader_of(quoth, arguments), since=since, without=[ASKER])
    if arguments.json:
        print_json({"gaps": [asdict(gap) for gap in found]})
        return 0
    for gap in found:
        print(f"{gap.times:4}  {gap.questions[0]}")
        print(
            f"      nearest: {gap.source}, owner {gap.owner}; {gap.abstained} not answered, {gap.unhelpful} unhelpful"
        )
    if not found:
        say("Nothing was left open.")
    return 0


def run_feedback(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        reader = reader_of(quoth, arguments)
        found = quoth.feedback.listed(reader, helpful=False if arguments.down else None)
    for one in found:
        if arguments.json:
            print_json(asdict(one))
        else:
            given = one.given
            print(f"{'+' if given.helpful else '-'}  {given.given_at:%Y-%m-%d}  {one.question}")
            if given.reason or given.correction:
                print(f"   {given.reason or ''}  {given.correction or ''}".rstrip())
    return 0
