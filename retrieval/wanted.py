"""What a person writes into a question besides words: "exact phrases", -words that must not occur, and identifiers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

MOST_PHRASES: Final = 8
MOST_PHRASE_WORDS: Final = 32

_PHRASE = re.compile(r'["“”„«»]([^"“”„«»\n]{2,400})["“”„«»]')
_EXCLUDED = re.compile(r"(?<!\S)[-−]([^\W\d_][\w'’.-]*)")
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"[\w][\w./:#+-]*[\w]")
_LETTER_AND_DIGIT = re.compile(r"(?=.*[^\W\d_])(?=.*\d)")
_INNER_CAPITAL = re.compile(r"[a-z\d][A-Z]|[A-Z].*[-_./].*[A-Z]|_")


@dataclass(frozen=True)
class Wanted:
    """A question, taken apart.

    Attributes:
        text: what to search for: the question without its marks and without what it excludes.
        phrases: words that a passage must hold one after another.
        excluded: words that a passage must not hold.
    """

    text: str
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def narrowed(self) -> bool:
        return bool(self.phrases or self.excluded)

    def in_words(self) -> tuple[str, ...]:
        """What a passage must and must not hold."""
        return (*(f"with the words “{one}”" for one in self.phrases), *(f"without {one}" for one in self.excluded))

    @cached_property
    def identifiers(self) -> tuple[str, ...]:
        """Names that mean exactly themselves: INC-2041, X-Frame-Options, max_tokens, parseFile."""
        return tuple(dict.fromkeys(token for token in _TOKEN.findall(self.text) if is_identifier(token)))

    def admits(self, text: str) -> bool:
        """Whether a passage holds every phrase and no excluded word; case and punctuation do not count."""
        if not self.narrowed:
            return True
        words = _words(text)
        if any(_runs(words, _words(one)) for one in self.excluded):
            return False
        return all(_runs(words, _words(one)) for one in self.phrases)


def wanted_from(question: str) -> Wanted:
    """Take a question apart; marks that say nothing, such as an empty pair of quotes, stay as they are."""
    phrases = [one.strip() for one in _PHRASE.findall(question) if 0 < len(_words(one)) <= MOST_PHRASE_WORDS]
    outside = _PHRASE.sub(" ", question)
    excluded = list(dict.fromkeys(_EXCLUDED.findall(outside)))
    text = _PHRASE.sub(lambda found: f" {found[1]} ", question)
    for word in excluded:
        text = re.sub(rf"(?<!\S)[-−]{re.escape(word)}", " ", text)
    return Wanted(" ".join(text.split()), tuple(dict.fromkeys(phrases))[:MOST_PHRASES], tuple(excluded))


def is_identifier(token: str) -> bool:
    """Whether a token is a name rather than a word: letters and digits together, or capitals within."""
    return len(token) <= 80 and bool(_LETTER_AND_DIGIT.search(token) or _INNER_CAPITAL.search(token))


def holds_identifier(text: str, identifier: str) -> bool:
    """Whether the text holds it as a whole, whatever its case."""
    folded = _folded(identifier)
    return re.search(rf"(?<![\w]){re.escape(folded)}(?![\w])", _folded(text)) is not None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _words(text: str) -> list[str]:
    return _WORD.findall(_folded(text))


def _runs(words: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether the phrase's words stand one after another among the words."""
    if not phrase:
        return False
    length = len(phrase)
    return any(
        word == phrase[0] and words[at : at + length] == phrase
        for at, word in enumerate(words[: len(words) - length + 1])
    )
