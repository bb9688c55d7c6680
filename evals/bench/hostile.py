"""Whatever people and attackers upload: each file through the real parser, what became of it and what it cost.

    python -m evals.bench.hostile [--store] [--width 100] FOLDER...

Prints one line per file (outcome, words, seconds of wall clock, peak resident memory of the process that read it),
and a summary. Exit 1 when a file ends in anything but a document or a reason of the closed set, breaks a limit, or
hands over a document whose parts do not fit together. With --store each folder also goes through the whole pipeline
into a store of its own that is thrown away (in the server that QUOTH_DATABASE_URL names, or an embedded one).
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from ingest import postgres
from ingest.errors import REASONS, DocumentError
from ingest.model import ParsedDocument
from ingest.parser import Parser, ParserLimits

ADDED: Final = "added"
_MB: Final = 1 << 20
_KILL_GRACE_S: Final = 15.0  # a request over its time is killed and waited for


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    source: str
    outcome: str  # "added", a reason, or "FAULT"
    words: str  # what the owner is told; of an added file its size, warnings and findings
    seconds: float
    peak_mb: float  # resident, of the process that read it
    broken: tuple[str, ...] = ()  # limits and laws that did not hold


class _Tap:
    """A parser's server that remembers the requests it was given."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.requests: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def submit(self, message: dict[str, Any]) -> tuple[int, Any]:
        number, request = self._server.submit(message)
        self.requests.append(request)
        return number, request


class MeasuredParser(Parser):
    """The parser, with the peak memory of each request kept."""

    def __init__(self, limits: ParserLimits | None = None) -> None:
        super().__init__(limits)
        self.peak_mb = 0.0  # of the last request
        self._tap: _Tap | None = None

    def __enter__(self) -> MeasuredParser:
        return self

    def _started(self) -> Any:
        self._tap = _Tap(super()._started())
        return self._tap

    def parse(self, path: Path, *, name: str, **more: Any) -> ParsedDocument:
        self._tap = None
        try:
            return super().parse(path, name=name, **more)
        finally:
            requests: list[Any] = self._tap.requests if self._tap else []
            self.peak_mb = max((request.peak_kb for request in requests), default=0) / 1024


def broken_laws(document: ParsedDocument) -> list[str]:
    """What of a parsed document is not as `ingest.model` promises; empty for every honest one."""
    broken: list[str] = []
    size = len(document.text)
    if not unicodedata.is_normalized("NFC", document.text):
        broken.append("text is not NFC")
    if not any(character.isalnum() for character in document.text):
        broken.append("text has no letter or digit")
    for name, value in (("text", document.text), ("title", document.title)):
        bad = sorted({character for character in value if _control(character)})
        if bad:
            broken.append(f"{name} holds {', '.join(f'U+{ord(one):04X}' for one in bad[:5])}")
    at = 0
    for index, element in enumerate(document.elements):
        if element.ordinal != index:
            broken.append(f"element {index} has the ordinal {element.ordinal}")
        if not at <= element.start < element.end <= size:
            broken.append(f"element {index} spans {element.start} to {element.end} of {size}, after {at}")
            break
        between = document.text[at : element.start]
        if between.strip():
            broken.append(f"text before element {index} belongs to none: {between.strip()[:40]!r}")
        if not document.text[element.start : element.end].strip():
            broken.append(f"element {index} is blank")
        if element.page is not None and not 1 <= element.page <= (document.page_count or element.page):
            broken.append(f"element {index} is on page {element.page} of {document.page_count}")
        at = element.end
    if document.text[at:].strip():
        broken.append("text after the last element belongs to none")
    at = number = 0
    for page in document.pages:
        if page.start != at or not page.start <= page.end <= size or page.page <= number:
            broken.append(f"page {page.page} spans {page.start} to {page.end}, after {at}")
            break
        if page.boxes.shape != (page.end - page.start, 4):
            broken.append(f"page {page.page} has boxes of shape {page.boxes.shape} for {page.end - page.start}")
        elif ((page.boxes[:, 0] > page.boxes[:, 2]) | (page.boxes[:, 1] > page.boxes[:, 3])).any():
            broken.append(f"page {page.page} has a box turned inside out")
        at, number = page.end, page.page
    if document.pages and at != size:
        broken.append(f"the page maps end at {at} of {size}")
    for finding in document.findings:
        if finding.start is not None and not 0 <= finding.start < (finding.end or 0) <= size:
            broken.append(f"a finding spans {finding.start} to {finding.end} of {size}")
    for attachment in document.attachments:
        if "/" in attachment.name or "\\" in attachment.name or _unprintable(attachment.name):
            broken.append(f"an attachment is called {attachment.name!r}")
    return broken


def _control(character: str) -> bool:
    if character in "\n\t":
        return False
    return unicodedata.category(character) in ("Cc", "Cs") or character in "\u2028\u2029\ufeff\ufffe\uffff"


def _unprintable(value: str) -> bool:
    return any(_control(character) or character in "\n\t" for character in value)


def complaints(error: DocumentError, source: str) -> list[str]:
    """What is wrong with a refusal as its owner would see it."""
    broken = []
    if error.reason not in REASONS:
        broken.append(f"the reason {error.reason!r} is not of the closed set")
    if repr(source) not in error.detail:
        broken.append("the words do not name the file")
    if not error.detail.rstrip().endswith("."):
        broken.append("the words do not end as a sentence")
    if "Traceback" in error.detail or _unprintable(error.detail):
        broken.append("the words are no prose")
    return broken


def read_one(parser: MeasuredParser, file: Path, source: str, limits: ParserLimits) -> Outcome:
    """One file through the parser."""
    started = time.monotonic()
    broken: list[str] = []
    try:
        document = parser.parse(file, name=source)
    except DocumentError as error:
        outcome, words = str(error.reason), error.detail
        broken += complaints(error, source)
    except Exception as error:
        outcome, words = "FAULT", f"{type(error).__name__}: {error}"
        broken.append("neither a document nor a reason")
    else:
        outcome, words = ADDED, _summary(document)
        broken += broken_laws(document)
    seconds = time.monotonic() - started
    megabytes = file.stat().st_size / _MB
    if seconds > limits.wall_s + limits.wall_s_per_mb * megabytes + _KILL_GRACE_S:
        broken.append(f"took {seconds:.0f} s")
    if parser.peak_mb * _MB > limits.memory_bytes:
        broken.append(f"took {parser.peak_mb:.0f} MB")
    return Outcome(source, outcome, words, seconds, parser.peak_mb, tuple(broken))


def _summary(document: ParsedDocument) -> str:
    parts = [f"{len(document.text):,} characters", f"{len(document.elements):,} elements"]
    if document.page_count:
        parts.append(f"{document.page_count} pages")
    if document.attachments:
        parts.append(f"{len(document.attachments)} attachments")
    parts += [f"warning: {warning}" for warning in document.warnings]
    parts += [f"finding: {finding.words}" for finding in document.findings[:3]]
    return "; ".join(parts)


def files_under(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Every file, with the folder's name and the path below it as its source."""
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() or file.is_symlink():
                yield file, f"{folder.name}/{file.relative_to(folder).as_posix()}"


def line(one: Outcome, width: int) -> str:
    name = one.source if len(one.source) <= 58 else "…" + one.source[-57:]
    words = " ".join(one.words.split())
    text = f"{name:58} {one.outcome:16} {one.seconds:6.1f} s {one.peak_mb:6.0f} MB  {words[:width] if width else words}"
    return text + "".join(f"\n    BROKEN: {what}" for what in one.broken)


def report(outcomes: Sequence[Outcome]) -> bool:
    """Print the summary; True when nothing was broken."""
    counts = Counter(one.outcome for one in outcomes)
    broken = [one for one in outcomes if one.broken]
    print(f"\n{len(outcomes)} files: {counts.pop(ADDED, 0)} added")
    for reason, count in counts.most_common():
        print(f"  {count:4} {reason}")
    if outcomes:
        slowest = max(outcomes, key=lambda one: one.seconds)
        largest = max(outcomes, key=lambda one: one.peak_mb)
        print(
            f"slowest: {slowest.source} ({slowest.seconds:.1f} s); largest: {largest.source} ({largest.peak_mb:.0f} MB)"
        )
    print(
        f"{len(broken)} broke a limit or a law"
        + "".join(f"\n  {one.source}: {'; '.join(one.broken)}" for one in broken)
    )
    return not broken


def resident_mb(pid: int | None) -> float:
    return 0.0 if pid is None else psutil.Process(pid).memory_info().rss / _MB


def store_all(folders: Sequence[Path], environ: Mapping[str, str]) -> bool:
    """The folders through the whole pipeline into a new store; True when every receipt is as promised."""
    from assistant.bootstrap import open_quoth  # here: the parser alone needs none of it

    with tempfile.TemporaryDirectory(prefix="quoth-hostile-") as home:
        inner = {name: value for name, value in environ.items() if not name.startswith("QUOTH_")}
        inner["QUOTH_HOME"] = home
        server, name = environ.get("QUOTH_DATABASE_URL"), f"hostile_{secrets.token_hex(6)}"
        if server:
            _administer(server, f"create database {name}")
            inner["QUOTH_DATABASE_URL"] = make_url(server).set(database=name).render_as_string(hide_password=False)
        try:
            with open_quoth(inner) as quoth:
                return _store_folders(quoth, folders)
        finally:
            if server:
                _administer(server, f"drop database {name} with (force)")
            else:
                postgres.remove(Path(home))


def _store_folders(quoth: Any, folders: Sequence[Path]) -> bool:
    from ingest.access import LOCAL

    counts: Counter[str] = Counter()
    fine = True
    for folder in folders:
        for receipt in quoth.pipeline.add([folder], collection=folder.name):
            outcome = receipt.reason or receipt.status
            counts[outcome] += 1
            known = receipt.status in ("added", "updated", "unchanged") or receipt.reason in REASONS
            if not known or (receipt.status == "failed") != bool(receipt.reason):
                print(f"BROKEN: {receipt}")
                fine = False
    documents = quoth.catalog.documents(LOCAL)
    print(f"\nstored: {', '.join(f'{count} {outcome}' for outcome, count in counts.most_common())}")
    print(f"{len(documents)} documents, {sum(one.chunks for one in documents):,} chunks are in the store")
    return fine


def _administer(server: str, statement: str) -> None:
    engine = create_engine(make_url(server).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


def main(argv: Sequence[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    arguments.add_argument("--store", action="store_true", help="also through the whole pipeline into a scratch store")
    arguments.add_argument("--width", type=int, default=100, help="characters of the words to print; 0: all (100)")
    given = arguments.parse_args(argv)
    absent = [folder for folder in given.folders if not folder.is_dir()]
    if absent:
        print(f"There is no folder {', '.join(map(str, absent))}. Nothing was read.", file=sys.stderr)
        return 2
    limits = ParserLimits()
    outcomes: list[Outcome] = []
    with MeasuredParser(limits) as parser, tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.txt"
        probe.write_text("The first words that a new parser reads.", encoding="utf-8")
        parser.parse(probe, name="probe.txt")
        pid, before = parser.pid, resident_mb(parser.pid)
        for file, source in files_under(given.folders):
            outcomes.append(read_one(parser, file, source, limits))
            print(line(outcomes[-1], given.width), flush=True)
        last = read_one(parser, probe, "probe.txt", limits)
        fine = report(outcomes)
        same = parser.pid == pid and last.outcome == ADDED
        print(
            f"fork server: {'the same process' if same else 'ANOTHER PROCESS'}, resident {before:.0f} MB before, "
            f"{resident_mb(parser.pid):.0f} MB after, {len(psutil.Process(parser.pid).children())} children left"
        )
    if given.store:
        fine = store_all(given.folders, os.environ) and fine
    return 0 if fine and same else 1


if __name__ == "__main__":
    sys.exit(main())
