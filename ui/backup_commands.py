"""Commands that keep the store safe: backup, restore."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from assistant.backups import Manifest, backup, looked_at
from assistant.bootstrap import restore_store
from ui.command_line import command, json_option, open_store, print_json, say


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    make = command(
        commands,
        "backup",
        help="write everything into one file: database, originals, keys",
        example="quoth backup /srv/backups/quoth-2026-03-31.tar",
        more="""
            Questions are answered meanwhile. Whoever has the file has every document and the audit's key: keep it as
            you keep these. A document that is removed later stays in it until the file is deleted.""",
    )
    make.add_argument("file", metavar="FILE", type=Path)
    json_option(make)
    make.set_defaults(run=run_backup)

    again = command(
        commands,
        "restore",
        help="fill an empty store from a backup",
        example="quoth restore /srv/backups/quoth-2026-03-31.tar\nquoth restore --check quoth-2026-03-31.tar",
        more="""
            Stop Quoth first. Documents that were removed after the backup was made are removed again, as far as the
            stored originals, or the database that is replaced, tell of it. An interrupted one can be run again.""",
    )
    again.add_argument("file", metavar="FILE", type=Path)
    how = again.add_mutually_exclusive_group()
    how.add_argument("--replace", action="store_true", help="lose what the store holds now")
    how.add_argument("--check", action="store_true", help="only read the backup through and compare every hash")
    json_option(again)
    again.set_defaults(run=run_restore)


def run_backup(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        manifest = backup(quoth.database, quoth.originals, quoth.settings.home, arguments.file, say=say)
    if arguments.json:
        print_json({"file": str(arguments.file), "bytes": arguments.file.stat().st_size, **asdict(manifest)})
    else:
        print(f"{arguments.file}: {in_words(manifest)}, {arguments.file.stat().st_size / 1e6:,.1f} MB")
        for missing in manifest.missing:
            say(f"The original {missing[:12]} is missing from the store; its document's text is in the backup.")
    return 0


def run_restore(arguments: argparse.Namespace) -> int:
    if arguments.check:
        manifest, again = looked_at(arguments.file), 0
    else:
        manifest, again = restore_store(os.environ, arguments.file, replace=arguments.replace, say=say)
    if arguments.json:
        print_json({**asdict(manifest), "removed_again": again, "restored": not arguments.check})
        return 0
    print(f"{'Whole' if arguments.check else 'Restored'}: {in_words(manifest)}, of {manifest.made_at[:16]}")
    if again:
        print(f"{again} documents that were removed since the backup are removed again.")
    return 0


def in_words(manifest: Manifest) -> str:
    return f"{manifest.documents:,} documents, {manifest.originals:,} originals, {manifest.answers:,} answers"
