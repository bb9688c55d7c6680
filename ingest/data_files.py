"""XML and JSON: their texts and values, in blocks of about a chunk's size."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from lxml import etree

from ingest.canonical import Block
from ingest.errors import DocumentError
from ingest.sniffing import refuse_entities

_BLOCK_CHARS: Final = 1500


def xml_blocks(text: str, name: str) -> list[Block]:
    """The text of each element on a line of its own.

    Raises:
        DocumentError: unsafe.
    """
    refuse_entities(text.encode("utf-8", "replace"), name)
    text = re.sub(r"\A\s*<\?xml[^>]*\?>", "", text)
    root = etree.fromstring(text.encode("utf-8", "replace"), etree.XMLParser(resolve_entities=False, no_network=True))
    lines = (" ".join(piece.split()) for piece in root.itertext())
    return [Block("text", "\n".join(group)) for group in _grouped(line for line in lines if line)]


def json_blocks(text: str, name: str) -> list[Block]:
    """JSON, or one JSON value per line, printed with one value per line.

    Raises:
        DocumentError: corrupt.
    """
    try:
        values = [json.loads(text)]
    except json.JSONDecodeError:
        try:
            values = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise DocumentError("corrupt", f"{name!r} is no valid JSON (line {error.lineno}). Mend it.") from error
    entries = [entry for value in values for entry in (value if isinstance(value, list) else [value])]
    printed = (json.dumps(entry, ensure_ascii=False, indent=1) for entry in entries)
    return [Block("code", "\n".join(group)) for group in _grouped(printed)]


def _grouped(lines: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for line in lines:
        if group and size + len(line) > _BLOCK_CHARS:
            yield group
            group, size = [], 0
        group.append(line)
        size += len(line)
    if group:
        yield group
