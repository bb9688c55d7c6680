"""Commands about who may read: readers of documents, groups and their members."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingest.access import LOCAL, PERSON, group_names
from ingest.document_list import names_in_use
from ingest.errors import UsageError
from ui.command_line import command, json_option, open_store, print_json, say


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    readers = command(
        commands,
        "readers",
        help="decide who may read a document, or add and remove readers of many; holds at once",
        example="""
            quoth readers hr/salaries.xlsx hr,board
            quoth readers hr/salaries.xlsx --add user:ada
            quoth readers --collection handbook --add interns
            quoth readers --collection minutes --remove everyone --add board""",
        more="""
            Name groups, single people as user:NAME, or everyone. What takes readers away holds for all documents at
            once or, where it fails, for none; what only adds says how far it is, and can be interrupted and run again.
            Nothing is parsed or embedded again.""",
    )
    readers.add_argument("document", metavar="DOCUMENT", nargs="?")
    readers.add_argument("groups", metavar="GROUP[,GROUP]", nargs="?", help="exactly these from now on")
    readers.add_argument("--collection", metavar="NAME", help="every document of it, instead of one")
    readers.add_argument("--add", metavar="GROUP[,GROUP]", help="these too")
    readers.add_argument("--remove", metavar="GROUP[,GROUP]", help="these no longer")
    json_option(readers)
    readers.set_defaults(run=run_readers)

    members = command(
        commands,
        "members",
        help="list local users' groups, or set one user's",
        example="quoth members\nquoth members ada hr,board",
        more="`quoth groups` shows the groups themselves, and makes groups members of groups.",
    )
    members.add_argument("user", nargs="?", metavar="USER")
    members.add_argument("groups", nargs="?", metavar="GROUP[,GROUP]", help="'' takes all groups away")
    json_option(members)
    members.set_defaults(run=run_members)

    _add_groups(commands)


def _add_groups(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    groups = command(
        commands,
        "groups",
        help="list groups and their members, and change them; groups may be members of groups",
        example="""
            quoth groups
            quoth groups add managers user:ada user:bo
            quoth groups add staff managers engineering
            quoth groups show ada
            quoth groups remove managers user:bo""",
        more="""
            user:NAME is a person, any other name a group, as in `quoth readers`. Who is in a group is in every group
            that it is a member of, however deep. A change holds at once, at every door.""",
    )
    json_option(groups)
    groups.set_defaults(run=run_groups, act="list")
    acts = groups.add_subparsers(title="what to do", metavar="ACT", dest="act")
    command(acts, "list", help="list groups and their members (what `quoth groups` does)", example="quoth groups list")
    for name, help_text, example in (
        ("add", "make people and groups members of a group", "quoth groups add staff user:ada engineering"),
        ("remove", "take members out of a group", "quoth groups remove staff user:ada"),
    ):
        act = command(acts, name, help=help_text, example=example)
        act.add_argument("group", metavar="GROUP")
        act.add_argument("members", metavar="MEMBER", nargs="+", help="user:NAME, or a group")
    show = command(
        acts,
        "show",
        help="show the groups of a user, its own and those that follow from them",
        example="quoth groups show ada\nquoth groups show group:engineering",
        more="group:NAME shows what a group is a member of.",
    )
    show.add_argument("user", metavar="USER")
    for act in acts.choices.values():
        act.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON and nothing else")


def run_readers(arguments: argparse.Namespace) -> int:
    add = () if arguments.add is None else group_names(arguments.add)
    remove = () if arguments.remove is None else group_names(arguments.remove)
    if (arguments.document is None) == (arguments.collection is None) or (
        (arguments.groups is None) != bool(add or remove)
    ):
        raise UsageError(
            "Give a document and its readers, as in `quoth readers hr/leave.docx hr,board`, or a document or "
            "--collection NAME with --add GROUP or --remove GROUP."
        )
    with open_store() as quoth:
        if arguments.collection is not None:
            with _counting("Deciding readers") as report:
                found = quoth.sharing.change(collection=arguments.collection, add=add, remove=remove, progress=report)
            fields = {"collection": arguments.collection, "added": list(add), "removed": list(remove),
                      "documents": found.documents, "changed": found.changed}  # fmt: skip
            if arguments.json:
                print_json(fields)
            else:
                print(f"{found.changed} of {found.documents} documents of {arguments.collection} changed their readers")
            return 0
        document, _ = quoth.catalog.find(LOCAL, arguments.document)
        if arguments.groups is not None:
            quoth.catalog.set_readers(document.id, group_names(arguments.groups))
        else:
            quoth.sharing.change(document=document.id, add=add, remove=remove)
        document, _ = quoth.catalog.find(LOCAL, str(document.id))
    if arguments.json:
        print_json({"document": str(document.id), "source": document.source, "readers": list(document.readers)})
    else:
        print(f"{document.collection}/{document.source} can now be read by: {', '.join(document.readers)}")
    return 0


@contextmanager
def _counting(what: str) -> Iterator:
    """Documents done, of how many: a bar where a person watches, lines on stderr otherwise."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: say(f"{what}: {done} of {total} documents")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def run_members(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        if arguments.user is not None and arguments.groups is not None:
            groups = group_names(arguments.groups) if arguments.groups.strip() else ()
            quoth.groups.set_of_user(arguments.user, groups)
        everyone = quoth.groups.of_users()
    shown = everyone if arguments.user is None else {arguments.user: everyone.get(arguments.user, ())}
    for user, groups in shown.items():
        if arguments.json:
            print_json({"user": user, "groups": list(groups)})
        else:
            print(f"{user}  {', '.join(groups) or '(no groups)'}")
    return 0


def run_groups(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        match arguments.act:
            case "show":
                name = arguments.user
                of_group = name.startswith("group:")
                member = name.removeprefix("group:") if of_group else PERSON + name.removeprefix(PERSON)
                found = quoth.groups.belonging(member)
                shown = {"group" if of_group else "user": member.removeprefix(PERSON),
                         "groups": list(found.direct), "inherited": list(found.inherited)}  # fmt: skip
                if arguments.json:
                    print_json(shown)
                    return 0
                print(f"{name}  {', '.join(found.direct) or '(no groups)'}")
                if found.inherited:
                    print(f"through these also in {', '.join(found.inherited)}")
                return 0
            case "add" | "remove":
                (group,) = group_names(arguments.group)
                members = [name for one in arguments.members for name in group_names(one)]
                if arguments.act == "add":
                    changed = quoth.groups.add(group, members)
                    known = {*quoth.groups.all(), *names_in_use(quoth.database, LOCAL).readers}
                else:
                    changed = quoth.groups.remove(group, members)
                    known = set(changed)
                now = quoth.groups.all().get(group, ())
                if arguments.json:
                    print_json({"group": group, "changed": list(changed), "members": list(now)})
                else:
                    print(f"{group}  {', '.join(now) or '(no members)'}")
                for name in changed:
                    if not name.startswith(PERSON) and name not in known:
                        say(f"{name!r} was taken for a group, which has no members yet. A person is user:{name}.")
                return 0
            case _:
                everything = quoth.groups.all()
    for name, own in everything.items():
        if arguments.json:
            print_json({"group": name, "members": list(own)})
        else:
            print(f"{name}  {', '.join(own)}")
    if not everything:
        print("There are no groups with members. Make one: quoth groups add managers user:ada", file=sys.stderr)
    return 0
