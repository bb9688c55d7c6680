"""Test collections in BEIR form: read a folder, and index it in a scratch collection through the real pipeline.

The scratch collection is named after the corpus' content and kept, so that a second run, or one after an interruption,
only adds what is missing. It answers nobody who does not name it, and its readers are a group that nobody is in.
"""

from __future__ import annotations

import csv
import hashlib
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evals.cases import read_jsonl, required_text
from ingest.errors import UsageError
from ingest.language import detect_language
from ingest.model import Element, ParsedDocument
from ingest.pipeline import Pipeline
from ingest.storing import Identity

SCRATCH_PREFIX: Final = "eval-"
SCRATCH_READERS: Final = ("eval-scratch",)
PROFILE: Final = "beir-1"
SPLITS: Final = ("test", "dev", "validation")  # in order of preference

Progress = Callable[[str, str, int, int], None]  # source, stage, done, total


@dataclass(frozen=True, slots=True)
class Record:
    """One document of a corpus."""

    id: str
    title: str
    text: str

    @property
    def original(self) -> bytes:
        """Its bytes, for the store: the record as a line of JSON."""
        return json.dumps({"_id": self.id, "title": self.title, "text": self.text}, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class TestCollection:
    """A corpus, the queries that have a judgement, and the judgements."""

    __test__ = False  # not a test, whatever pytest takes from its name

    name: str
    records: tuple[Record, ...]
    empty: int  # records without a letter of text, which cannot be indexed and are never found
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]  # query id -> document id -> relevance; 0 and below: not relevant
    collection: str  # of the store: eval- and the start of the corpus' SHA-256

    @property
    def scored(self) -> tuple[str, ...]:
        """Queries with at least one relevant document; for the others no ranking is better than another."""
        return tuple(query for query, judged in self.qrels.items() if any(grade > 0 for grade in judged.values()))


def read_beir(folder: Path) -> TestCollection:
    """Read `corpus.jsonl`, `queries.jsonl` and the judgements of `qrels/`, preferring `test.tsv`.

    Raises:
        UsageError: a file or a field is missing or malformed; the message names the line.
    """
    corpus = folder / "corpus.jsonl"
    for needed in (corpus, folder / "queries.jsonl", folder / "qrels"):
        if not needed.exists():
            raise UsageError(
                f"{str(folder)!r} is not in BEIR form: {needed.name!r} is missing. It needs corpus.jsonl, "
                "queries.jsonl and qrels/*.tsv."
            )
    records, empty = _records(corpus)
    texts = {
        required_text(record, "_id", where): required_text(record, "text", where)
        for where, record in read_jsonl(folder / "queries.jsonl")
    }
    qrels = _qrels(_qrels_file(folder / "qrels"))
    unknown = [query for query in qrels if query not in texts]
    if unknown:
        raise UsageError(f"The judgements name the query {unknown[0]!r}, which queries.jsonl lacks. Add its text.")
    return TestCollection(
        name=folder.resolve().name,
        records=records,
        empty=empty,
        queries={query: texts[query] for query in qrels},
        qrels=qrels,
        collection=SCRATCH_PREFIX + hashlib.sha256(corpus.read_bytes()).hexdigest()[:12],
    )


def index_beir(tests: TestCollection, pipeline: Pipeline, progress: Progress) -> int:
    """Bring the scratch collection up to date; returns how many documents had to be indexed.

    Args:
        progress: called with a document's id, "indexing", done, total, before each document and at the end.

    Raises:
        ServiceError: the database or a remote embedder fails; what was indexed stays, and the next run goes on.
    """
    done = pipeline.up_to_date(tests.collection, PROFILE)
    missing = [one for one in tests.records if done.get(one.id) != hashlib.sha256(one.original).digest()]
    for at, record in enumerate(missing):
        progress(record.id, "indexing", at, len(missing))
        pipeline.add_parsed(
            Identity(tests.collection, record.id),
            record.original,
            parsed_record(record),
            profile=PROFILE,
            readers=SCRATCH_READERS,
        )
    progress("", "indexing", len(missing), len(missing))
    if missing:
        pipeline.merge()
    return len(missing)


def parsed_record(record: Record) -> ParsedDocument:
    """A record as the parser would hand it over: its text is the canonical text and one element.

    A record that has only a title has the title for its text.
    """
    text = record.text or record.title
    return ParsedDocument(
        title=record.title,
        text=text,
        elements=(Element(0, "text", 0, 0, len(text), None, {}),),
        pages=(),
        page_count=None,
        language=detect_language(text),
        media_type="application/json",
    )


def _records(path: Path) -> tuple[tuple[Record, ...], int]:
    found: dict[str, Record] = {}
    empty = 0
    for where, raw in read_jsonl(path):
        name = required_text(raw, "_id", where)
        title, text = (plain_text(raw.get(field), field, where) for field in ("title", "text"))
        if name in found:
            raise UsageError(f"{where}: the '_id' {name!r} was used before. Give each document its own.")
        if any(character.isspace() for character in name):
            raise UsageError(f"{where}: the '_id' {name!r} holds white space, which run files cannot. Rename it.")
        if not any(character.isalnum() for character in title + text):
            empty += 1
            continue
        found[name] = Record(name, title, text)
    if not found:
        raise UsageError(f"{str(path)!r} holds no document with text. Write one JSON object a line.")
    return tuple(found.values()), empty


def plain_text(value: object, field: str, where: str) -> str:
    """What canonical text may hold: NFC, \\n and no other line break, no control characters."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"{where}: {field!r} must be a text, not {value!r}.")
    lines = "\n".join(unicodedata.normalize("NFC", value).splitlines())
    return "".join(c for c in lines if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs")).strip()


def _qrels_file(folder: Path) -> Path:
    files = {file.stem: file for file in sorted(folder.glob("*.tsv"))}
    for split in SPLITS:
        if split in files:
            return files[split]
    if len(files) != 1:
        names = ", ".join(file.name for file in files.values()) or "no .tsv file"
        raise UsageError(f"{str(folder)!r} holds {names}. It needs test.tsv, or one .tsv file alone.")
    return next(iter(files.values()))


def _qrels(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            if not row or (number == 1 and not _is_grade(row[-1])):
                continue  # the header
            if len(row) != 3 or not _is_grade(row[2]):
                raise UsageError(
                    f"{path.name}, line {number}: {row!r} is not a judgement. Write query-id, corpus-id and score, "
                    "separated by tabs."
                )
            found.setdefault(row[0], {})[row[1]] = int(float(row[2]))
    if not found:
        raise UsageError(f"{str(path)!r} holds no judgement. Write query-id, corpus-id and score a line.")
    return found


def _is_grade(text: str) -> bool:
    try:
        return float(text).is_integer()
    except ValueError:
        return False
