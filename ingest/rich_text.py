"""Rich Text Format: paragraphs with their headings, tables and lists. The words of the format are striprtf's tables.

striprtf's own loop gives text alone; this one also keeps what a paragraph is, because headings and tables matter.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from striprtf.striprtf import charset_map, destinations

from ingest.canonical import Block

_TOKEN: Final = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?"  # a control word and its number
    rb"|\\'([0-9a-fA-F]{2})"  # a byte of text
    rb"|\\([^a-zA-Z])"  # a control symbol
    rb"|([{}])|[\r\n]+|([^\\{}\r\n]+)",
    re.DOTALL,
)
_CHARACTERS: Final = {
    "line": "\n", "lbr": "\n", "tab": "\t", "emdash": "—", "endash": "–", "emspace": " ", "enspace": " ",
    "qmspace": " ", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "softline": "\n",
}  # fmt: skip
_SYMBOLS: Final = {b"~": "\xa0", b"_": "\u2011"}
_CODE_PAGES: Final = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850", "ansi": "cp1252"}
_KEPT: Final = frozenset({"g", "result", "shptxt", "shp", "shpinst", "do", "dptxbxtext", "footnote", "upr"})
_SKIPPED: Final = (frozenset(destinations) - _KEPT) | {"nonshppict", "listtext"}
_MAX_DEPTH: Final = 500


@dataclass(slots=True)
class _State:
    skipped: bool = False  # the group is no text of the page
    destination: str = ""
    unicode_skip: int = 1  # bytes that stand for one \\u in programs that know no Unicode
    font: int = -1
    hidden: bool = False
    deleted: bool = False


@dataclass(slots=True)
class _Paragraph:
    outline: int = 9  # 0 to 8: a heading of that level
    style: int = 0
    in_table: bool = False
    listed: bool = False


def rtf_blocks(content: bytes) -> tuple[list[Block], str]:
    """Blocks of an RTF file, and the title among its properties."""
    reader = _Reader()
    return list(reader.blocks(content)), "".join(reader.title)


class _Reader:
    def __init__(self) -> None:
        self.title: list[str] = []
        self._code_page = "cp1252"
        self._fonts: dict[int, str] = {}
        self._default_font = -1
        self._styles: dict[int, str] = {}
        self._bytes = bytearray()
        self._pieces: list[str] = []
        self._names: list[str] = []  # of the style that is being read
        self._cells: list[str] = []
        self._rows: list[str] = []
        self._state = _State()
        self._paragraph = _Paragraph()
        self._style = 0
        self._noted: tuple[int, list[str], _Paragraph] | None = None  # the paragraph around the note that is read
        self._notes: list[str] = []
        self._high = 0  # first half of a surrogate pair

    def blocks(self, content: bytes) -> Iterator[Block]:
        stack: list[_State] = []
        skip = at = 0
        starts_group = False
        while found := _TOKEN.match(content, at):
            at = found.end()
            word, number, byte, symbol, brace, text = found.groups()
            if symbol is not None and symbol in b"{}\\":  # themselves, or the second byte of a character
                text = symbol
            if byte is not None or text is not None:
                raw = bytes.fromhex(byte.decode()) if byte is not None else text
                dropped = min(skip, len(raw))
                skip -= dropped
                self._take(raw[dropped:])
                starts_group = False
                continue
            if brace == b"{":
                self._flush()
                if len(stack) >= _MAX_DEPTH:
                    raise RecursionError
                stack.append(replace(self._state))
                starts_group, skip = True, 0
                continue
            if brace == b"}":
                self._flush()
                if not stack:
                    break
                self._end_group(len(stack))
                self._state = stack.pop()
                starts_group, skip = False, 0
                if not stack:
                    break
                continue
            if symbol is not None:
                skip = 0
                if symbol == b"*":
                    self._state.skipped = True  # unless the next word says otherwise, as below
                elif symbol in (b"\n", b"\r"):
                    yield from self._end_paragraph()
                elif symbol in _SYMBOLS:
                    self._put(_SYMBOLS[symbol])
                continue
            if word is None:
                continue
            name = word.decode()
            value = int(number) if number is not None else None
            if name == "bin":  # raw bytes follow
                at += max(0, value or 0)
            elif name == "u" and value is not None:
                self._flush()
                self._put_code(value % 0x10000)
                skip = self._state.unicode_skip
            else:
                skip = 0
                yield from self._word(name, value, starts_group, len(stack))
            starts_group = False
        self._flush()
        yield from self._end_paragraph()
        yield from self._end_table()

    def _word(self, name: str, value: int | None, starts_group: bool, level: int) -> Iterator[Block]:
        state = self._state
        if name in ("fonttbl", "stylesheet", "title") and (starts_group or state.skipped):
            state.destination, state.skipped = name, True
        elif name in _SKIPPED:
            self._flush()
            state.skipped, state.destination = True, state.destination or name
            self._paragraph.listed |= name in ("listtext", "pntext")
        elif name in _KEPT and state.destination in ("", "object"):
            state.skipped, state.destination = False, ""
            if name == "footnote":
                self._noted = (level, self._pieces, self._paragraph)
                self._pieces, self._paragraph = [], _Paragraph()
        if state.skipped:
            self._property(name, value)
            return
        self._flush()
        if name in ("par", "sect", "page", "column"):
            if self._noted is None:
                yield from self._end_paragraph()
            else:
                self._write(" ")
        elif name == "pard" and self._noted is None:
            self._paragraph = _Paragraph()
            self._style = 0
        elif name in ("cell", "nestcell"):
            self._cells.append(" ".join("".join(self._pieces).split()))
            self._pieces = []
        elif name in ("row", "nestrow"):
            line = " | ".join(self._cells).rstrip(" |")
            self._rows += [line] if line else []
            self._cells = []
        elif name in _CHARACTERS:
            self._put(_CHARACTERS[name])
        elif name == "f":
            state.font = value if value is not None else -1
        elif name == "plain":
            state.font, state.hidden = self._default_font, False
        elif name == "deff":
            self._default_font = state.font = value if value is not None else -1
        elif name == "uc":
            state.unicode_skip = max(0, value if value is not None else 1)
        elif name == "v":
            state.hidden = value != 0
        elif name == "deleted":
            state.deleted = value != 0
        elif name == "s":
            self._paragraph.style = value or 0
        elif name == "outlinelevel":
            self._paragraph.outline = value if value is not None else 9
        elif name == "intbl":
            self._paragraph.in_table = True
        elif name in ("ls", "pnlvlblt", "pnlvlbody"):
            self._paragraph.listed = name != "ls" or value != 0
        elif name in _CODE_PAGES:
            self._code_page = _CODE_PAGES[name]
        elif name == "ansicpg" and value:
            self._code_page = _known(f"cp{value}", "utf-8" if value == 65001 else self._code_page)

    def _property(self, name: str, value: int | None) -> None:
        """Control words inside the tables of fonts and styles and in the title."""
        if self._state.destination == "fonttbl":
            if name == "f" and value is not None:
                self._state.font = value
            elif name == "fcharset" and value:
                self._fonts[self._state.font] = _known(charset_map.get(value, ""), self._code_page)
        elif self._state.destination == "stylesheet" and name == "s" and value is not None:
            self._style = value

    def _take(self, raw: bytes) -> None:
        state = self._state
        shown = not (state.skipped or state.hidden or state.deleted)
        if shown or state.destination in ("title", "stylesheet"):
            self._bytes += raw

    def _flush(self) -> None:
        if self._bytes:
            encoding = self._fonts.get(self._state.font, self._code_page)
            text = bytes(self._bytes).decode(encoding, "replace")
            self._bytes = bytearray()
            self._write(text)

    def _put(self, text: str) -> None:
        self._flush()
        if not (self._state.skipped or self._state.hidden or self._state.deleted) or self._state.destination == "title":
            self._write(text)

    def _put_code(self, code: int) -> None:
        if 0xD800 <= code < 0xDC00:
            self._high = code
            return
        if 0xDC00 <= code < 0xE000 and self._high:
            code = 0x10000 + (self._high - 0xD800) * 0x400 + code - 0xDC00
        self._high = 0
        self._put(chr(code))

    def _write(self, text: str) -> None:
        if self._state.destination == "title":
            self.title.append(text)
        elif self._state.destination == "stylesheet":
            self._names.append(text)
        else:
            self._pieces.append(text)

    def _end_group(self, level: int) -> None:
        if self._noted is not None and self._noted[0] == level:
            self._notes.append("".join(self._pieces))
            _, self._pieces, self._paragraph = self._noted
            self._noted = None
        if self._names:
            self._styles[self._style] = "".join(self._names).strip().rstrip(";").lower()
            self._names, self._style = [], 0

    def _end_paragraph(self) -> Iterator[Block]:
        text = "".join(self._pieces)
        if self._paragraph.in_table:
            self._pieces = [text + " "] if text.strip() else []  # paragraphs of one cell
            return
        self._pieces = []
        yield from self._end_table()
        if not text.strip():
            return
        heading = re.match(r"heading (\d)$", self._styles.get(self._paragraph.style, ""))
        if self._paragraph.outline < 9 or heading:
            depth = int(heading[1]) - 1 if heading else self._paragraph.outline
            yield Block("title", text, max(0, depth))
        elif self._styles.get(self._paragraph.style) == "title":
            yield Block("title", text)
        else:
            yield Block("list_item" if self._paragraph.listed else "text", text)
        yield from (Block("text", note) for note in self._notes)
        self._notes = []

    def _end_table(self) -> Iterator[Block]:
        if self._rows:
            yield Block("table", "\n".join(self._rows))
            self._rows = []


def _known(encoding: str, other: str) -> str:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return other
    return encoding
