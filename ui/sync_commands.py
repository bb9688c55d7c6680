"""The command that keeps documents in step with a place: sync, once or for good."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import watchfiles

from assistant.wire import receipt_json
from ingest.access import group_names
from ingest.errors import ConfigurationError, QuothError, ServiceError, UsageError
from ingest.folder_source import FolderSource
from ingest.model import Receipt
from ingest.source_addresses import source_at
from ingest.sources import Source
from ingest.syncing import Syncing, Terms
from ui.command_line import command, json_option, open_store, print_json, say
from ui.document_commands import receipt_line

EVERY_S: Final = 300.0
QUIET_S: Final = 2.0  # a watched folder's file that changed less long ago is still being written
DEBOUNCE_MS: Final = 1000
LOOK_MS: Final = 500
AGAIN_S: Final = (5.0, 60.0)  # after a failure: at first, at most


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sync = command(
        commands,
        "sync",
        help="keep documents in step with a folder, a store or a web site",
        example="""
            quoth sync /srv/handbook
            quoth sync /srv/handbook --watch
            quoth sync s3://bucket/policies --readers hr --collection hr
            quoth sync ftp://host/manuals --watch --every 3600
            quoth sync https://intranet.example/handbook/ --intranet --depth 3
            quoth sync https://www.example.org/sitemap.xml""",
        more="""
            What is new or changed is added as by `quoth add`, a file that moved keeps its document under the new name,
            and documents whose file is gone are removed. Nothing is removed for what could not be listed or read.

            SOURCE is a folder; an address such as s3://BUCKET/PREFIX, ftp://USER@HOST/FOLDER, sftp://HOST/FOLDER (with
            credentials from where the store's library looks for them); or a web address: a sitemap, or a page whose
            links are followed as far as they lead beneath it.

            A source that lost all its files, or more than half of twenty documents or more, looks like one that is not
            mounted: nothing is changed then, unless --force says that it is meant.""",
    )
    sync.add_argument("sources", nargs="+", metavar="SOURCE")
    sync.add_argument("--watch", action="store_true", help="go on until Ctrl-C: folders at once, others by --every")
    sync.add_argument(
        "--every",
        type=float,
        default=EVERY_S,
        metavar="SECONDS",
        help=f"with --watch: look at everything at least so often ({EVERY_S:.0f})",
    )
    sync.add_argument("--collection", metavar="NAME", default="default")
    sync.add_argument("--readers", metavar="GROUP[,GROUP]", help="who may read (new documents: everyone)")
    sync.add_argument("--owner", metavar="NAME", help="who answers for the documents")
    sync.add_argument(
        "--force",
        action="store_true",
        help="remove however many are gone, and take over documents kept in step with another source (once)",
    )
    sync.add_argument("--pages", type=int, default=1000, metavar="N", help="of a web site, at most (1000)")
    sync.add_argument("--depth", type=int, default=10, metavar="N", help="of links followed in a web site (10)")
    sync.add_argument("--intranet", action="store_true", help="the web site is one of a private network")
    json_option(sync)
    sync.set_defaults(run=run_sync)


def run_sync(arguments: argparse.Namespace) -> int:
    terms = Terms(
        arguments.collection,
        None if arguments.readers is None else group_names(arguments.readers),
        arguments.owner,
        arguments.force,
    )
    _check(arguments)
    with ExitStack() as opened:
        sources = []
        for address in dict.fromkeys(arguments.sources):
            source = source_at(
                address,
                quiet_s=QUIET_S if arguments.watch else 0.0,
                max_pages=arguments.pages,
                max_depth=arguments.depth,
                intranet=arguments.intranet,
            )
            opened.callback(source.close)
            if isinstance(source, FolderSource):
                source.check()
            sources.append(source)
        quoth = opened.enter_context(open_store())
        if not arguments.watch:
            codes = [Told(as_json=arguments.json).tell(quoth.syncing, source, terms) for source in sources]
            return max(codes)
        Watch(quoth.syncing, sources, terms, arguments.every, as_json=arguments.json).forever()
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.collection.strip() or arguments.collection.startswith("eval-"):
        raise UsageError(f"{arguments.collection!r} cannot be a collection's name. Choose another.")
    if arguments.every < 1:
        raise UsageError(f"--every {arguments.every:g} must be at least 1 second.")
    if arguments.pages < 1 or arguments.depth < 0:
        raise UsageError("--pages must be at least 1, and --depth at least 0.")


# -- one pass ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """What has been printed about one source; later passes print only what is news."""

    as_json: bool
    passes: int = 0
    failures: dict[str, str | None] = field(default_factory=dict)  # source -> detail
    news: bool = False  # whether the last pass had any
    postponed: int = 0  # files the last pass left because they were being written

    def tell(self, syncing: Syncing, source: Source, terms: Terms) -> int:
        """Carry out one pass and print it as it goes; 1 when some failed."""
        counts: dict[str, int] = {}
        failures: dict[str, str | None] = {}
        started = time.monotonic()
        news = self.passes == 0
        one_pass = syncing.sync(source, terms)
        with closing(iter(one_pass)) as receipts:  # an interrupt cancels what still waits
            for receipt in receipts:
                kind = kind_of(receipt)
                counts[kind] = counts.get(kind, 0) + 1
                if kind == "failed":
                    failures[receipt.source] = receipt.detail
                if self.passes and self._known(kind, receipt):
                    continue
                news = True
                if self.as_json:
                    print_json(receipt_json(receipt))
                else:
                    print(sync_line(receipt), flush=True)
        self.passes += 1
        self.failures = failures
        if one_pass.postponed and news:
            counts["still being written"] = one_pass.postponed
        if news and not self.as_json:
            print(f"{source.origin}: {summary(counts)} in {time.monotonic() - started:.1f} s", file=sys.stderr)
        self.news, self.postponed = news, one_pass.postponed
        return 1 if failures else 0

    def _known(self, kind: str, receipt: Receipt) -> bool:
        if kind == "failed":
            return self.failures.get(receipt.source, "") == receipt.detail
        return kind == "unchanged"


def kind_of(receipt: Receipt) -> str:
    if receipt.status == "unchanged" and receipt.detail:
        return "renamed"
    return receipt.status


def sync_line(receipt: Receipt) -> str:
    kind = kind_of(receipt)
    if kind == "removed":
        within = f" with {receipt.parent}" if receipt.parent else ""
        return f"{kind:9}  {receipt.source}{within}"
    if kind == "renamed":
        return f"{kind:9}  {receipt.source}  {receipt.detail}"
    line = receipt_line(receipt)
    return f"{line}, {receipt.detail}" if kind == "updated" and receipt.detail else line


def summary(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing to do"


# -- for good ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Watched:
    source: Source
    told: Told
    due: float = 0.0  # time.monotonic() of the next pass
    rested: float = 0.0  # and of the soonest there may be one: a large place that changes all the time is not all we do
    again_s: float = 0.0  # between passes that fail
    complaint: str = ""  # said last


class Watch:
    """Passes over some sources whenever they change, or their time has come. What fails is said and tried again."""

    def __init__(self, syncing: Syncing, sources: list[Source], terms: Terms, every_s: float, *, as_json: bool) -> None:
        self._syncing = syncing
        self._terms = terms
        self._every_s = every_s
        self._watched = [Watched(source, Told(as_json)) for source in sources]

    def forever(self) -> None:
        """Until interrupted.

        Raises:
            UsageError, ConfigurationError: in the first pass, as without watching; later they are said.
        """
        folders = [one.source.root for one in self._watched if isinstance(one.source, FolderSource)]
        changes = changed_in(folders)
        next(changes)  # from here on no change is missed
        for one in self._watched:
            self._pass(one)
        say("Watching. Ctrl-C stops it.")
        while True:
            changed = next(changes)
            for one in self._watched:
                if isinstance(one.source, FolderSource) and _concerns(changed, one.source.root):
                    one.due = min(one.due, one.rested)
                if time.monotonic() >= one.due:
                    self._pass(one)

    def _pass(self, one: Watched) -> None:
        began = time.monotonic()
        terms = replace(self._terms, force=self._terms.force and one.told.passes == 0)
        try:
            one.told.tell(self._syncing, one.source, terms)
        except (UsageError, ConfigurationError, ServiceError) as error:
            if one.told.passes == 0 and not isinstance(error, ServiceError):
                raise
            self._complain(one, error)
            return
        if one.complaint:
            say(f"{one.source.origin}: answers again.")
        one.complaint, one.again_s = "", 0.0
        ended = time.monotonic()
        one.rested = ended if one.told.news else ended + min(ended - began, self._every_s)
        one.due = max(one.rested, ended + (min(QUIET_S, self._every_s) if one.told.postponed else self._every_s))

    def _complain(self, one: Watched, error: QuothError) -> None:
        first_s, most_s = AGAIN_S
        one.again_s = min(most_s, max(first_s, one.again_s * 2), max(first_s, self._every_s))
        one.due = time.monotonic() + one.again_s
        if str(error) != one.complaint:
            one.complaint = str(error)
            say(f"quoth: {error}\nTrying again every so often; the documents stay as they are.")


def _concerns(changed: frozenset[Path], folder: Path) -> bool:
    return any(path.is_relative_to(folder) for path in changed)


def changed_in(folders: list[Path]) -> Iterator[frozenset[Path]]:
    """What changed beneath some folders, empty sets while nothing does; the first comes once watching has begun.

    Where the system cannot watch (no such folder any more, no more watches to be had) it yields empty sets for a
    while, then tries again.
    """
    complaint = ""
    while True:
        there = _identities(folders)
        began = time.monotonic()
        if not there:
            yield frozenset()
            time.sleep(LOOK_MS / 1000)
            continue
        try:
            for changes in watchfiles.watch(
                *there,
                watch_filter=None,
                debounce=DEBOUNCE_MS,
                step=LOOK_MS // 5,
                rust_timeout=LOOK_MS,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            ):
                yield frozenset(Path(path) for _, path in changes)
                if _identities(folders) != there:
                    break  # one came or went, and with it what watches it
        except OSError as error:
            if str(error) != complaint:
                complaint = str(error)
                say(f"Changes cannot be watched for ({error}); folders are looked at every so often instead.")
            while time.monotonic() < began + AGAIN_S[1]:
                yield frozenset()
                time.sleep(LOOK_MS / 1000)


def _identities(folders: list[Path]) -> dict[Path, tuple[int, int]]:
    """The folders that are there, and which they are: one may be unmounted, and mounted again."""
    found = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            status = folder.stat()
            found[folder] = (status.st_dev, status.st_ino)
    return found
