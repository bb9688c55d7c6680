"""Cases to answer: a question, what its answer must rest on, and who asks. Read from JSONL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.access import group_names
from ingest.errors import UsageError


@dataclass(frozen=True, slots=True)
class Gold:
    """A sentence of a document that a right answer cites."""

    source: str
    quote: str
    collection: str | None = None  # None: the run's collection, or whichever holds the source
    by_title: bool = False  # `source` is a title: any folder and ending, blanks or underscores


@dataclass(frozen=True, slots=True)
class Nugget:
    """A fact that a right answer holds, in words."""

    text: str
    vital: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    question: str
    answerable: bool = True
    gold: tuple[Gold, ...] = ()
    answer: str | None = None  # a reference answer in words
    type: str | None = None  # results are also shown per type
    turns: tuple[str, ...] = ()  # earlier questions of the same conversation, oldest first
    groups: tuple[str, ...] | None = None  # the asker's; (): none but everyone; None: as the run says
    tags: tuple[str, ...] = ()
    nuggets: tuple[Nugget, ...] = ()


def read_cases(path: Path) -> list[Case]:
    """Read a JSONL file of cases, one object a line; blank lines are skipped, unknown fields ignored.

    Raises:
        UsageError: naming the line and the field, for what is missing or of another type, and for an id used twice.
    """
    cases: dict[str, Case] = {}
    for where, record in read_jsonl(path):
        case = case_from(record, where)
        if case.id in cases:
            raise UsageError(f"{where}: the id {case.id!r} was used before. Give each case its own.")
        cases[case.id] = case
    if not cases:
        raise UsageError(f"{str(path)!r} holds no case. Write one JSON object a line.")
    return list(cases.values())


def read_jsonl(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, each with 'FILE, line N' for messages. Lines end with \\n only.

    Raises:
        UsageError: the file cannot be read, is not UTF-8, or a line is not a JSON object.
    """
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read ({error.strerror}). Check the path.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(path)!r} is not UTF-8. Save it as UTF-8.") from error
    found = []
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{where}: this is not JSON ({error}). Write one object a line.") from error
        if not isinstance(record, dict):
            raise UsageError(f"{where}: this is not a JSON object. Write one object a line.")
        found.append((where, record))
    return found


def required_text(record: Mapping[str, Any], field: str, where: str) -> str:
    """A field that must hold words (a number is taken for its digits, as ids often are).

    Raises:
        UsageError: it is missing, of another type, or blank.
    """
    value = record.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}: {field!r} must be a text that is not empty, not {value!r}.")
    return value


def case_from(record: Mapping[str, Any], where: str) -> Case:
    """A case from its object.

    Raises:
        UsageError: naming the field that is missing or of another type.
    """
    answerable = record.get("answerable", True)
    if not isinstance(answerable, bool):
        raise UsageError(f"{where}: 'answerable' must be true or false, not {answerable!r}.")
    return Case(
        id=required_text(record, "id", where),
        question=required_text(record, "question", where),
        answerable=answerable,
        gold=tuple(_gold(one, at, where) for at, one in enumerate(_list(record, "gold", where))),
        answer=_optional_text(record, "answer", where),
        type=_optional_text(record, "type", where),
        turns=tuple(_turn(one, at, where) for at, one in enumerate(_list(record, "turns", where)) if _is_asked(one)),
        groups=_groups(record, where),
        tags=_tags(record, where),
        nuggets=tuple(_nugget(one, at, where) for at, one in enumerate(_list(record, "nuggets", where))),
    )


def _gold(record: object, at: int, where: str) -> Gold:
    place = f"{where}: gold[{at}]"
    if not isinstance(record, dict):
        raise UsageError(f'{place} must be an object {{"source", "quote"}}, not {record!r}.')
    return Gold(
        required_text(record, "source", place),
        required_text(record, "quote", place),
        _optional_text(record, "collection", place),
    )


def _is_asked(turn: object) -> bool:
    """Whether a turn is the asker's; what an assistant once said is not replayed."""
    return not isinstance(turn, dict) or turn.get("role", "user") == "user"


def _turn(turn: object, at: int, where: str) -> str:
    if isinstance(turn, dict):
        turn = next((turn[name] for name in ("question", "content", "text") if name in turn), None)
    if not isinstance(turn, str) or not turn.strip():
        raise UsageError(f'{where}: turns[{at}] must be a question: a text, or {{"question": "..."}}.')
    return turn


def _nugget(record: object, at: int, where: str) -> Nugget:
    if isinstance(record, str):
        record = {"text": record}
    place = f"{where}: nuggets[{at}]"
    if not isinstance(record, dict) or not isinstance(record.get("vital", True), bool):
        raise UsageError(f'{place} must be a text, or {{"text": "...", "vital": true}}, not {record!r}.')
    return Nugget(required_text(record, "text", place), record.get("vital", True))


def _tags(record: Mapping[str, Any], where: str) -> tuple[str, ...]:
    tags = _list(record, "tags", where)
    if not all(isinstance(tag, str) and tag for tag in tags):
        raise UsageError(f"{where}: 'tags' must be a list of words, not {tags!r}.")
    return tuple(dict.fromkeys(tags))


def _groups(record: Mapping[str, Any], where: str) -> tuple[str, ...] | None:
    if record.get("groups") is None:
        return None
    names: list[str] = []
    for name in _list(record, "groups", where):
        if not isinstance(name, str):
            raise UsageError(f"{where}: 'groups' must be a list of names, not {record['groups']!r}.")
        try:
            names.extend(group_names(name))
        except UsageError as error:
            raise UsageError(f"{where}: 'groups': {error}") from error
    return tuple(dict.fromkeys(names))


def _list(record: Mapping[str, Any], field: str, where: str) -> list[Any]:
    value = record.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise UsageError(f"{where}: {field!r} must be a list, not {value!r}.")
    return value


def _optional_text(record: Mapping[str, Any], field: str, where: str) -> str | None:
    value = record.get(field)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{where}: {field!r} must be a text or null, not {value!r}.")
    return value or None
