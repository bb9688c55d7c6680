"""Read the elements of one array of a JSON object while its text is still arriving."""

from __future__ import annotations

import json
from typing import Any, Final

MAX_CHARS: Final = 1_000_000  # far above any answer: a stream that does not end must not fill the memory
_SPACE: Final = " \t\r\n"


class MalformedJson(ValueError):
    """The text is not the object that was asked for, or ends too early."""


class ArrayReader:
    """Hands out each element of the array at `key` of the outermost object as soon as the element is complete.

    A scalar is complete when the comma or bracket behind it has come. Elements are those `json.loads` gives.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._text: list[str] = []  # everything, for `finish`
        self._chars = 0
        self._open: list[str] = []  # brackets not yet closed
        self._in_string = False
        self._escaped = False
        self._string: list[str] = []  # of the outermost object, which may be a key
        self._last_string = ""
        self._in_array = False
        self._element: list[str] = []
        self._count = 0

    def feed(self, piece: str) -> list[Any]:
        """Take the next piece of text; return the elements that it completes.

        Raises:
            MalformedJson: brackets do not match, or an element is not JSON.
        """
        self._chars += len(piece)
        if self._chars > MAX_CHARS:
            raise MalformedJson(f"more than {MAX_CHARS} characters")
        self._text.append(piece)
        found: list[Any] = []
        for character in piece:
            self._take(character, found)
        self._count += len(found)
        return found

    def finish(self) -> dict[str, Any]:
        """The whole object, when the text has come to its end.

        Raises:
            MalformedJson: the text is cut short, is not an object, or has no such array.
        """
        try:
            whole = json.loads("".join(self._text))
        except (ValueError, RecursionError) as error:
            raise MalformedJson(f"the text is not whole: {error}") from error
        if not isinstance(whole, dict) or not isinstance(whole.get(self._key), list):
            raise MalformedJson(f"the text is not an object with an array {self._key!r}")
        if len(whole[self._key]) != self._count:
            raise MalformedJson(f"the key {self._key!r} does not stand there once")
        return whole

    def _take(self, character: str, found: list[Any]) -> None:
        if self._in_string:
            self._take_in_string(character, found)
            return
        depth = len(self._open)
        inside = self._in_array and depth >= 2
        if inside and depth == 2 and character in ",]":
            self._complete(found)
        if character in "]}":
            self._close(character, found)
            return
        if inside and (depth > 2 or character not in (_SPACE + "," if not self._element else ",")):
            self._element.append(character)
        if character == '"':
            self._in_string = True
            self._string = []
        elif character in "[{":
            if character == "[" and depth == 1 and self._open == ["{"] and self._last_string == self._key:
                self._in_array = True
            self._open.append(character)
        elif character == "," and depth == 1:
            self._last_string = ""

    def _take_in_string(self, character: str, found: list[Any]) -> None:
        in_element = self._in_array and len(self._open) >= 2
        if in_element:
            self._element.append(character)
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif character == '"':
            self._in_string = False
            if len(self._open) == 1 and not self._last_string:
                self._last_string = _decoded('"' + "".join(self._string) + '"')
            if in_element and len(self._open) == 2:
                self._complete(found)
            return
        if len(self._open) == 1:
            self._string.append(character)

    def _close(self, character: str, found: list[Any]) -> None:
        if not self._open or (self._open[-1] == "[") != (character == "]"):
            raise MalformedJson(f"{character!r} closes nothing that is open")
        self._open.pop()
        depth = len(self._open)
        if self._in_array and depth == 1:
            self._in_array = False
        elif self._in_array and depth >= 2:
            self._element.append(character)
            if depth == 2:
                self._complete(found)

    def _complete(self, found: list[Any]) -> None:
        text = "".join(self._element)
        self._element = []
        if text:
            found.append(_decoded(text))


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedJson(f"an element is not JSON: {error}") from error
