"""Commands about what becomes of documents: versions, diff, revert, properties, attention, proof of a removal."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Final

from assistant.attention import attention
from assistant.wire import document_json, receipt_json
from ingest.access import LOCAL, group_names
from ingest.comparing import Change, compare
from ingest.errors import UsageError
from ingest.properties import KEEP
from ingest.removal import proof
from ui.command_line import command, json_option, open_store, print_json
from ui.document_commands import receipt_line
from ui.running_commands import run_doctor

RED, GREEN, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"
NONE: Final = "none"  # takes a property away


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    versions = command(
        commands,
        "versions",
        help="list the stored versions of a document",
        example="quoth versions hr/leave.docx",
        more="A replaced version stays citable for QUOTH_KEEP_VERSIONS_DAYS days.",
    )
    versions.add_argument("document", metavar="DOCUMENT")
    json_option(versions)
    versions.set_defaults(run=run_versions)

    diff = command(
        commands,
        "diff",
        help="show what changed between two versions, or two documents",
        example="""
            quoth diff hr/leave.docx
            quoth diff hr/leave.docx@1 hr/leave.docx@3
            quoth diff hr/leave.docx hr/leave-2025.docx""",
        more="""
            With one name, the version before it is compared with it. Removed words stand in [-...-], added ones in
            {+...+}; in a terminal they are coloured.""",
    )
    diff.add_argument("old", metavar="DOCUMENT[@A]")
    diff.add_argument("new", nargs="?", metavar="DOCUMENT[@B]")
    json_option(diff)
    diff.set_defaults(run=run_diff)

    revert = command(
        commands,
        "revert",
        help="make an old version the current one again",
        example="quoth versions hr/leave.docx\nquoth revert hr/leave.docx@2",
        more="Its stored file is read again and becomes a new version; what it replaces stays in the history.",
    )
    revert.add_argument("document", metavar="DOCUMENT@N")
    json_option(revert)
    revert.set_defaults(run=run_revert)

    properties = command(
        commands,
        "properties",
        help="show or set a document's owner, dates, successor and readers",
        example="""
            quoth properties hr/leave.docx
            quoth properties hr/leave.docx --owner "HR office" --review-by 2027-03-31
            quoth properties hr/leave-2024.docx --expires-on 2026-12-31 --superseded-by hr/leave.docx
            quoth properties hr/leave.docx --expires-on none""",
        more="Dates are YYYY-MM-DD; none takes a property away. All of it holds at once.",
    )
    properties.add_argument("document", metavar="DOCUMENT")
    properties.add_argument("--owner", metavar="NAME")
    properties.add_argument("--review-by", metavar="DATE", help="listed by `quoth attention` after it")
    properties.add_argument("--effective-from", metavar="DATE", help="first day on which it answers")
    properties.add_argument("--expires-on", metavar="DATE", help="first day on which it no longer answers")
    properties.add_argument("--superseded-by", metavar="DOCUMENT", help="the document that replaces it")
    properties.add_argument("--readers", metavar="GROUP[,GROUP]", help="who may read it")
    json_option(properties)
    properties.set_defaults(run=run_properties)

    look = command(
        commands,
        "attention",
        help="list the documents that somebody should look at",
        example="quoth attention\nquoth attention --unused-days 180 --json",
        more="""
            Past review, expired or expiring, superseded, read badly or long ago, never drawn on by an answer, and
            files that could not be taken in.""",
    )
    look.add_argument("--unused-days", type=int, default=90, metavar="N", help="without an answer in N days (90)")
    json_option(look)
    look.set_defaults(run=run_attention)

    doctor = commands.choices["doctor"]  # of running_commands, which is added first
    doctor.add_argument("--removed", metavar="DOCUMENT", help="prove that nothing of a removed document is left")
    doctor.set_defaults(run=run_doctor_or_proof)


def run_versions(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        document, _ = quoth.catalog.find(LOCAL, arguments.document)
        found = quoth.history.versions(LOCAL, document.id)
    for one in found:
        if arguments.json:
            print_json(asdict(one))
            continue
        until = "current" if one.current else f"until {one.replaced_at:%Y-%m-%d %H:%M}" if one.replaced_at else ""
        remarks = f"  {one.findings} findings" if one.findings else ""
        print(
            f"version {one.number}  from {one.stored_at:%Y-%m-%d %H:%M}  {until:22}  {one.bytes} bytes  "
            f"{one.characters} characters  {one.chunks} chunks  {one.sha256[:12]}{remarks}"
        )
    return 0


def run_diff(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        old, old_version = quoth.catalog.find(LOCAL, arguments.old)
        if arguments.new is None:
            new, new_version = old, old_version
            earlier = [one.number for one in quoth.history.versions(LOCAL, old.id) if one.number < new_version]
            if not earlier:
                raise UsageError(
                    f"{old.source!r} has no stored version before {new_version}. Name another to compare it with."
                )
            old_version = max(earlier)
        else:
            new, new_version = quoth.catalog.find(LOCAL, arguments.new)
        before = quoth.catalog.text(LOCAL, old.id, old_version)
        after = quoth.catalog.text(LOCAL, new.id, new_version)
    changes = compare(before, after)
    if arguments.json:
        print_json(
            {
                "old": {"document": str(old.id), "source": old.source, "version": old_version},
                "new": {"document": str(new.id), "source": new.source, "version": new_version},
                "changes": [asdict(change) for change in changes if change.kind != "same"],
            }
        )
        return 0
    print(f"--- {old.collection}/{old.source}@{old_version}\n+++ {new.collection}/{new.source}@{new_version}")
    shown = [change for change in changes if change.kind != "same"]
    for change in shown:
        print("\n" + changed_text(change, before, after, coloured=sys.stdout.isatty()))
    if not shown:
        print("The texts are the same.", file=sys.stderr)
    return 0


def changed_text(change: Change, old: str, new: str, *, coloured: bool) -> str:
    """A changed paragraph as it is shown; control characters of the document do not reach the terminal."""
    removed, added = (f"{RED}[-", f"{GREEN}{{+") if coloured else ("[-", "{+")
    ends = (f"-]{PLAIN}", f"+}}{PLAIN}") if coloured else ("-]", "+}")
    if change.kind == "removed":
        return f"{removed}{_shown(old[slice(*change.old)])}{ends[0]}"
    if change.kind == "added":
        return f"{added}{_shown(new[slice(*change.new)])}{ends[1]}"
    parts = []
    for piece in change.pieces:
        words = _shown(piece.text, strip=False)
        marked = {"same": words, "removed": f"{removed}{words}{ends[0]}", "added": f"{added}{words}{ends[1]}"}
        parts.append(marked[piece.kind])
    return "".join(parts).strip()


def _shown(text: str, *, strip: bool = True) -> str:
    shown = "".join(character if character.isprintable() or character in "\n\t" else "\ufffd" for character in text)
    return shown.strip() if strip else shown


def run_revert(arguments: argparse.Namespace) -> int:
    name, at, number = arguments.document.rpartition("@")
    if not at or not number.isdigit():
        raise UsageError(f"{arguments.document!r} names no version. Say which: quoth revert {arguments.document}@1")
    with open_store() as quoth:
        document, _ = quoth.catalog.find(LOCAL, name)
        receipt = quoth.history.restore(document.id, int(number), by=LOCAL)
    if arguments.json:
        print_json(receipt_json(receipt))
    else:
        print(receipt_line(receipt))
    return 1 if receipt.status == "failed" else 0


def run_properties(arguments: argparse.Namespace) -> int:
    readers = None if arguments.readers is None else group_names(arguments.readers)
    given: dict[str, Any] = {
        name: _day(f"--{name.replace('_', '-')}", getattr(arguments, name))
        for name in ("review_by", "effective_from", "expires_on")
    }
    given["owner"] = KEEP if arguments.owner is None else arguments.owner
    with open_store() as quoth:
        document, _ = quoth.catalog.find(LOCAL, arguments.document)
        if arguments.superseded_by == NONE:
            given["superseded_by"] = None
        elif arguments.superseded_by is not None:
            given["superseded_by"] = quoth.catalog.find(LOCAL, arguments.superseded_by)[0].id
        quoth.properties.set(document.id, by=LOCAL, **given)
        if readers is not None:
            quoth.catalog.set_readers(document.id, readers)
        fields = document_json(quoth.catalog.find(LOCAL, str(document.id))[0])
    if arguments.json:
        print_json(fields)
        return 0
    names = ("document", "collection", "source", "title", "owner", "readers", "version", "review_by", "effective_from",
             "expires_on", "superseded_by")  # fmt: skip
    for name in names:
        value = ", ".join(fields[name]) if isinstance(fields[name], list) else fields[name]
        print(f"{name.replace('_', ' '):15} {value or ''}".rstrip())
    return 0


def _day(option: str, value: str | None) -> Any:
    if value is None:
        return KEEP
    if value == NONE:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise UsageError(f"{option} {value!r} is no date. Write it as 2027-03-31, or none.") from error


def run_attention(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.unused_days <= 36_500:
        raise UsageError(f"--unused-days {arguments.unused_days} must be from 1 to 36500.")
    with open_store() as quoth:
        found = attention(quoth.database, LOCAL, now=quoth.database.now(), unused_days=arguments.unused_days)
    for one in found:
        if arguments.json:
            print_json({**asdict(one), "document": None if one.document is None else str(one.document)})
        else:
            print(f"{one.kind:11}  {one.collection}/{one.source}  {one.words}")
    if not found:
        print("Nothing needs a look.", file=sys.stderr)
    return 0


def run_doctor_or_proof(arguments: argparse.Namespace) -> int:
    if arguments.removed is None:
        return run_doctor(arguments)
    return run_removed(arguments.removed, as_json=arguments.json)


def run_removed(reference: str, *, as_json: bool) -> int:
    """`quoth doctor --removed`: 0 when nothing is left, else 1."""
    with open_store() as quoth:
        folders: list[Path] = [quoth.settings.home / "scratch"]
        found = proof(quoth.database, quoth.originals, reference, folders)
    if as_json:
        print_json({**asdict(found), "document": str(found.document), "clean": found.clean})
        return 0 if found.clean else 1
    print(f"removed     {found.document} on {found.removed_at}, {found.versions} versions")
    print(f"looked at   {found.columns} columns of all tables, the stored originals, {found.files} private files")
    for one in found.leftovers:
        print(f"LEFT        {one.what} in {one.place}: {one.count}")
    for one in found.kept:
        print(f"kept        the bare id in {one.place}: {one.count}, for the audit")
    for note in found.notes:
        print(f"note        {note}")
    print("Nothing of it is left." if found.clean else "Something of it is left; see above.")
    return 0 if found.clean else 1
