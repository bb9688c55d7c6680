"""Replacing a document while people search: does anybody ever see no version of it, two at once, or a mixture?

    python -m evals.bench.replacing [--replacements 200] [--threads 3]

One document alternates between two contents that share their subject and no sentence; each of its chunks holds the
marker of its content. Meanwhile threads search by every stage, ask, and read the text. Prints how often they looked
and all that was wrong. The store is a new one that is thrown away, in the server that QUOTH_DATABASE_URL names or an
embedded one. Exit 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import itertools
import os
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from ingest import postgres
from ingest.access import LOCAL
from ingest.errors import ServiceError, UsageError
from retrieval.model import STAGES

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

MARKERS: Final = ("kestrel", "bittern")  # of the odd versions and of the even ones
QUESTION: Final = "Who keeps the key of the harbour crane?"
SOURCE: Final = "crane.md"
MANY: Final = 100  # more than the document has chunks
_PLACES: Final = (
    "north quay", "fish hall", "dry dock", "pilot station", "sail loft", "ferry slip", "ice house", "rope walk"
)  # fmt: skip
_SECONDS: Final = 30.0  # for the last looks after the last replacement


def content(marker: str) -> str:
    """A document of which every chunk answers QUESTION and names the marker; the two have different lengths."""
    places = _PLACES if marker == MARKERS[0] else _PLACES[:5]
    filler = " ".join(
        f"The {marker} list has a line for crane rule {n}, signed at the {marker} desk." for n in range(7)
    )
    return "\n\n".join(
        f"## Harbour crane at the {place}\n\n"
        f"The key of the harbour crane at the {place} is kept by the {marker} office. {filler}"
        for place in places
    )


@dataclass(slots=True)
class Observed:
    """What the threads saw; filled by all of them under one lock."""

    replacements: int = 0
    seconds: float = 0.0
    looks: Counter[str] = field(default_factory=Counter)  # by kind: a stage, "ask", "text"
    versions: set[int] = field(default_factory=set)  # that somebody saw
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, version: int | None, fault: str | None) -> None:
        with self.lock:
            self.looks[kind] += 1
            if version is not None:
                self.versions.add(version)
            if fault:
                self.faults.append(f"{kind}: {fault}")


class Observer:
    """Looks at one document in every way there is, and judges what it sees.

    Made while nobody replaces: it takes down what a complete view of each of the two contents is.
    """

    def __init__(self, quoth: Quoth, folder: Path, collection: str) -> None:
        self._quoth = quoth
        self._file = folder / SOURCE
        self._collection = collection
        self._whole: dict[tuple[str, str], frozenset[str]] = {}  # stage and marker -> texts of all hits
        self._texts: dict[str, str] = {}
        self.number = 0  # of the current version
        for marker in MARKERS:
            self.replace()
            for stage in STAGES:
                hits = quoth.search(QUESTION, LOCAL, k=MANY, stage=stage, collection=collection).hits
                self._whole[stage, marker] = frozenset(hit.text for hit in hits)
                if not hits or not all(marker in hit.text for hit in hits):
                    raise ValueError(f"{stage} does not find every chunk of a document at rest")
            document, number = quoth.catalog.find(LOCAL, SOURCE, collection)
            self._texts[marker] = quoth.catalog.text(LOCAL, document.id, number)

    def replace(self) -> None:
        """Put the other content in the place of the current one."""
        self._file.write_text(content(MARKERS[self.number % 2]), encoding="utf-8")
        (receipt,) = self._quoth.pipeline.add([self._file], collection=self._collection)
        if receipt.version != self.number + 1:
            raise RuntimeError(f"version {self.number + 1} was to be stored, but: {receipt}")
        self.number = receipt.version

    def searched(self, stage: str) -> tuple[int | None, str | None]:
        """One search; the version it saw and what is wrong with that."""
        hits = self._quoth.search(QUESTION, LOCAL, k=MANY, stage=stage, collection=self._collection).hits  # type: ignore[arg-type]
        if not hits:
            return None, "no version"
        versions = {hit.version for hit in hits}
        if len(versions) > 1 or len({hit.document for hit in hits}) > 1:
            return None, f"versions {sorted(versions)} at once"
        (version,) = versions
        seen = frozenset(hit.text for hit in hits)
        if seen == self._whole[stage, marker_of(version)]:
            return version, None
        strange = seen - self._whole[stage, marker_of(version)]
        missing = self._whole[stage, marker_of(version)] - seen
        return version, f"version {version} with {len(strange)} strange chunks and {len(missing)} missing"

    def asked(self) -> tuple[int | None, str | None]:
        """One question; every citation must be of one version and in its words."""
        *_, answer = self._quoth.ask(QUESTION, LOCAL, collection=self._collection)
        citations = answer.citations  # type: ignore[union-attr]
        if not citations:
            return None, f"no version: the answer is {answer.status!r}"  # type: ignore[union-attr]
        versions = {citation.version for citation in citations}
        if len(versions) > 1:
            return None, f"cites versions {sorted(versions)} at once"
        (version,) = versions
        whole = self._texts[marker_of(version)]
        for citation in citations:
            if whole[citation.start : citation.end] != citation.quote:
                return version, f"cites {citation.quote[:40]!r}, which version {version} does not say there"
        return version, None

    def read(self) -> tuple[int | None, str | None]:
        """The list, the text and the elements."""
        documents = [one for one in self._quoth.catalog.documents(LOCAL, self._collection) if one.source == SOURCE]
        if len(documents) != 1:
            return None, f"{len(documents)} documents in the list"
        document, number = self._quoth.catalog.find(LOCAL, SOURCE, self._collection)
        if self._quoth.catalog.text(LOCAL, document.id, number) != self._texts[marker_of(number)]:
            return number, f"version {number} has the text of another"
        elements = self._quoth.catalog.elements(LOCAL, document.id, number)
        if not elements or elements[-1].end != len(self._texts[marker_of(number)]):
            return number, f"version {number} has the elements of another"
        return number, None

    def looks(self) -> list[tuple[str, Callable[[], tuple[int | None, str | None]]]]:
        """Every way to look, by name."""
        stages = [(stage, lambda stage=stage: self.searched(stage)) for stage in STAGES]
        return [*stages, ("ask", self.asked), ("text", self.read)]


def marker_of(version: int) -> str:
    return MARKERS[(version - 1) % 2]


def observe(quoth: Quoth, folder: Path, *, replacements: int, threads: int, collection: str = "replacing") -> Observed:
    """Replace a document again and again while threads look at it.

    Raises:
        RuntimeError: a replacement did not become the next version.
    """
    observer, observed, stop = Observer(quoth, folder, collection), Observed(), threading.Event()

    def look(offset: int) -> None:
        last = 0
        for kind, one in itertools.islice(itertools.cycle(observer.looks()), offset, None):
            if stop.is_set():
                return
            try:
                version, fault = one()
            except (ServiceError, UsageError, RuntimeError, ValueError) as error:
                version, fault = None, f"{type(error).__name__}: {error}"
            if version is not None and version < last:
                fault = fault or f"version {version} after version {last} had been seen"
            last = max(last, version or 0)
            observed.note(kind, version, fault)

    workers = [threading.Thread(target=look, args=(number * 2,), daemon=True) for number in range(threads)]
    started = time.monotonic()
    for worker in workers:
        worker.start()
    try:
        for _ in range(replacements):
            observer.replace()
            observed.replacements += 1
    finally:
        stop.set()
        for worker in workers:
            worker.join(_SECONDS)
        observed.seconds = time.monotonic() - started
    return observed


def report(observed: Observed) -> None:
    looks = ", ".join(f"{count:,} {kind}" for kind, count in sorted(observed.looks.items()))
    total = f"{observed.looks.total():,} looks"
    print(f"{observed.replacements} replacements in {observed.seconds:.0f} s under {total}: {looks}")
    print(f"{len(observed.versions)} versions were seen; {len(observed.faults)} looks saw what no reader may see")
    for fault, count in Counter(observed.faults).most_common(20):
        print(f"  {count:5} {fault}")


@contextmanager
def scratch_quoth(environ: Mapping[str, str]) -> Iterator[Quoth]:
    """A new store, gone afterwards: in the server that is named, or an embedded one."""
    from assistant.bootstrap import open_quoth

    with tempfile.TemporaryDirectory(prefix="quoth-replacing-") as home:
        inner = {name: value for name, value in environ.items() if not name.startswith("QUOTH_")}
        inner["QUOTH_HOME"] = home
        server, name = environ.get("QUOTH_DATABASE_URL"), f"replacing_{secrets.token_hex(6)}"
        if server:
            _administer(server, f"create database {name}")
            inner["QUOTH_DATABASE_URL"] = make_url(server).set(database=name).render_as_string(hide_password=False)
        try:
            with open_quoth(inner) as quoth:
                yield quoth
        finally:
            if server:
                _administer(server, f"drop database {name} with (force)")
            else:
                postgres.remove(Path(home))


def _administer(server: str, statement: str) -> None:
    engine = create_engine(make_url(server).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


def main(argv: Sequence[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--replacements", type=int, default=200)
    arguments.add_argument("--threads", type=int, default=3, help="that look all the time (3)")
    given = arguments.parse_args(argv)
    with scratch_quoth(os.environ) as quoth, tempfile.TemporaryDirectory() as folder:
        observed = observe(quoth, Path(folder), replacements=given.replacements, threads=given.threads)
    report(observed)
    return 1 if observed.faults or not observed.looks else 0


if __name__ == "__main__":
    sys.exit(main())
