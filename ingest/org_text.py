"""Org files (of Emacs): headings by their stars, lists, source blocks and tables; drawers and settings are no text."""

from __future__ import annotations

import re
from typing import Final

from ingest.canonical import Block

_HEADING: Final = re.compile(
    r"(?P<stars>\*{1,20})[ \t]+(?:(?:TODO|DONE|NEXT|WAITING|CANCELLED)[ \t]+)?(?:\[#[A-Z]\][ \t]+)?"
    r"(?P<words>\S.*?)(?:[ \t]+:[\w@#%:]+:)?[ \t]*$"
)
_SETTING: Final = re.compile(r"[ \t]*#\+(?P<key>[\w-]+):[ \t]*(?P<value>.*)", re.IGNORECASE)
_BEGIN: Final = re.compile(r"[ \t]*#\+begin_(?P<kind>\w+)", re.IGNORECASE)
_DRAWER: Final = re.compile(r"[ \t]*:(?!END:)[\w-]+:[ \t]*$", re.IGNORECASE)
_DRAWER_END: Final = re.compile(r"[ \t]*:END:[ \t]*$", re.IGNORECASE)
_PLANNED: Final = re.compile(r"[ \t]*(?:SCHEDULED|DEADLINE|CLOSED|CLOCK):")
_ITEM: Final = re.compile(r"[ \t]*(?:[-+]|[ \t]\*|\d+[.)])[ \t]+(?:\[[ X-]\][ \t]+)?(?P<words>\S.*)")
_RULE: Final = re.compile(r"[ \t]*\|[-+|]+[ \t]*$")
_LINK: Final = re.compile(r"\[\[[^][]{1,2000}\](?:\[([^][]{1,500})\])?\]")
_MARKED: Final = re.compile(r"(?<![\w~=])([~=])([^~=\n]{1,200})\1(?!\w)")
_VERBATIM: Final = frozenset({"src", "example", "export"})


def org_blocks(text: str) -> tuple[list[Block], str]:
    """Blocks of canonical text, and its own title (`#+TITLE:`), else ""."""
    return _Reader().read(text)


class _Reader:
    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._lines: list[str] = []  # of the paragraph, item or table that is open
        self._kind = ""  # "text", "list_item", "table" or ""

    def read(self, text: str) -> tuple[list[Block], str]:
        title = ""
        verbatim: list[str] | None = None
        ending = ""
        in_drawer = False
        for line in text.split("\n"):
            if verbatim is not None:
                if line.strip().lower() == ending:
                    self._blocks += [Block("code", "\n".join(verbatim))] * any(one.strip() for one in verbatim)
                    verbatim = None
                else:
                    verbatim.append(line)
                continue
            if in_drawer:
                in_drawer = not _DRAWER_END.match(line) and not line.startswith("*")
                if not line.startswith("*"):
                    continue
            if heading := _HEADING.match(line):
                self._close()
                self._blocks.append(Block("title", _plain(heading["words"]), len(heading["stars"]) - 1))
            elif begin := _BEGIN.match(line):
                self._close()
                if begin["kind"].lower() in _VERBATIM:
                    verbatim, ending = [], f"#+end_{begin['kind'].lower()}"
            elif setting := _SETTING.match(line):
                self._close()
                if setting["key"].lower() == "title":
                    title = title or setting["value"]
            elif _DRAWER.match(line):
                self._close()
                in_drawer = True
            elif _PLANNED.match(line) or line.lstrip().lower().startswith(("# ", "#+")):
                self._close()
            else:
                self._take(line)
        if verbatim:  # the end is missing: what follows is read all the same
            self._blocks.append(Block("code", "\n".join(verbatim)))
        self._close()
        return self._blocks, _plain(title)

    def _take(self, line: str) -> None:
        item = _ITEM.match(line)
        if not line.strip():
            self._close()
        elif item:
            self._close()
            self._kind, self._lines = "list_item", [item["words"]]
        elif line.lstrip().startswith("|"):
            if self._kind != "table":
                self._close()
                self._kind = "table"
            if not _RULE.match(line):
                self._lines.append(" | ".join(cell.strip() for cell in line.strip().strip("|").split("|")))
        else:
            if self._kind == "table":
                self._close()
            self._kind = self._kind or "text"
            self._lines.append(line.strip())

    def _close(self) -> None:
        if self._lines:
            if self._kind == "table":
                self._blocks.append(Block("table", _plain("\n".join(self._lines))))
            else:
                self._blocks.append(
                    Block("list_item" if self._kind == "list_item" else "text", _plain(" ".join(self._lines)))
                )
        self._kind, self._lines = "", []


def _plain(text: str) -> str:
    """Words without the marks of links and code."""
    text = _LINK.sub(lambda link: link[1] or link[0].strip("[]"), text)
    return _MARKED.sub(r"\2", text)
