"""Cases from whatever form they come in: JSONL, CSV, SQuAD's JSON (1.1 and 2.0), a folder in BEIR form."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from evals.beir import plain_text, read_beir
from evals.cases import Case, Gold, case_from, read_cases
from ingest.errors import UsageError
from ingest.sentences import sentence_spans

COLUMNS: Final = (
    "id", "question", "answerable", "source", "quote", "collection", "answer", "type", "tags", "turns", "groups",
)  # fmt: skip
LISTS: Final = ("tags", "turns", "groups")
SEPARATOR: Final = ";"
NONE: Final = "-"  # in the column of groups: somebody in no group
TRUTH: Final[Mapping[str, bool]] = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_case_file(path: Path) -> list[Case]:
    """Read cases; the form is told by the folder or the file's ending.

    Raises:
        UsageError: naming the place and what is wrong there.
    """
    if path.is_dir():
        return list(_of_beir(path))
    if path.suffix.lower() == ".csv":
        return list(_of_csv(path))
    if path.suffix.lower() == ".json":
        return list(_of_squad(path))
    return read_cases(path)


def _of_csv(path: Path) -> Iterator[Case]:
    """A header with some of COLUMNS, then a row a case; further rows of one id add gold quotes. In lists, parts stand
    between semicolons; groups of `-` are none at all, an empty cell leaves the asker to the run.
    """
    rows = csv.DictReader(io.StringIO(_text(path), newline=""))
    missing = [name for name in ("id", "question") if name not in (rows.fieldnames or ())]
    if missing:
        raise UsageError(f"{path.name}: there is no column {missing[0]!r}. The first line names: {', '.join(COLUMNS)}.")
    found: dict[str, Case] = {}
    for row in rows:
        where = f"{path.name}, line {rows.line_num}"
        if None in row:
            raise UsageError(f"{where}: there are more cells than columns. Put cells that hold a comma in quotes.")
        case = case_from(_record(row, where), where)
        former = found.get(case.id)
        if former is None:
            found[case.id] = case
        elif former.question == case.question and case.gold:
            found[case.id] = replace(former, gold=(*former.gold, *case.gold))
        else:
            raise UsageError(f"{where}: the id {case.id!r} was used before, for another question.")
    if not found:
        raise UsageError(f"{str(path)!r} holds no case. Write one a line, below the names of the columns.")
    yield from found.values()


def _record(row: Mapping[str, str | None], where: str) -> dict[str, Any]:
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    truth = cells["answerable"].lower() or "true"
    if truth not in TRUTH:
        raise UsageError(f"{where}: 'answerable' must be true or false, not {cells['answerable']!r}.")
    record: dict[str, Any] = {name: cells[name] or None for name in ("id", "question", "answer", "type")}
    record["answerable"] = TRUTH[truth]
    if cells["source"] or cells["quote"]:
        record["gold"] = [{name: cells[name] or None for name in ("source", "quote", "collection")}]
    for name in LISTS:
        if cells[name]:
            parts = [part.strip() for part in cells[name].split(SEPARATOR)]
            record[name] = [] if parts == [NONE] else [part for part in parts if part]
    return record


def _of_squad(path: Path) -> Iterator[Case]:
    """Each question of SQuAD's JSON. Its gold is the sentence of the paragraph in which an answer stands, in the
    document of the article's title; where annotators chose different sentences, the first is taken.

    Source: Rajpurkar et al., EMNLP 2016 (1.1) and ACL 2018 (2.0).
    """
    try:
        content = json.loads(_text(path))
        articles = content["data"]
        for article in articles:
            for paragraph in article["paragraphs"]:
                spans = sentence_spans(paragraph["context"])
                for asked in paragraph["qas"]:
                    yield _squad_case(article.get("title", ""), paragraph["context"], spans, asked)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{str(path)!r} is not SQuAD's JSON ({error!r}). Cases of our own are JSONL: name the file *.jsonl."
        ) from error


def _squad_case(title: str, context: str, spans: Sequence[tuple[int, int]], asked: Mapping[str, Any]) -> Case:
    answers = [] if asked.get("is_impossible", False) else asked["answers"]
    gold: tuple[Gold, ...] = ()
    if answers:
        first = answers[0]
        start, end = first["answer_start"], first["answer_start"] + len(first["text"])
        around = [span for span in spans if span[0] < end and span[1] > start] or [(start, end)]
        gold = (Gold(title, context[around[0][0] : around[-1][1]].strip(), by_title=True),)
    return Case(
        id=str(asked["id"]),
        question=asked["question"].strip(),
        answerable=bool(answers),
        gold=gold,
        answer=answers[0]["text"] if answers else None,
        type="answerable" if answers else "impossible",
    )


def _of_beir(folder: Path) -> Iterator[Case]:
    """Each query that has a relevant document; its gold are the relevant documents as a whole."""
    tests = read_beir(folder)
    texts = {record.id: plain_text(record.text or record.title, "text", record.id) for record in tests.records}
    for query in tests.scored:
        relevant = [name for name, grade in tests.qrels[query].items() if grade > 0]
        yield Case(
            id=query,
            question=tests.queries[query],
            gold=tuple(Gold(name, texts.get(name, name), tests.collection) for name in relevant),
        )


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read ({error.strerror}). Check the path.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(path)!r} is not UTF-8. Save it as UTF-8.") from error
