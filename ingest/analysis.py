"""Text to the terms of the lexical index: one function for documents and questions alike.

NFKC, case folding, words; identifiers whole and in parts, so that `INC-2041` is found by itself and by `2041`;
stop words and Snowball stems of the document's language; pairs of characters where a script has no spaces.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

import Stemmer

from ingest.stop_words import STOP_WORDS

RULES_VERSION: Final = 2  # raise it with every change of the terms: indexes name the version they were made with
MAX_TERM_CHARS: Final = 64
CACHED_WORDS: Final = 50_000
SHOUTED_CHARS: Final = 30  # shorter, "IT POLICY" may well be about IT

STEMMERS: Final = {  # ISO 639-1 to Snowball's names
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish",
    "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian",
    "it": "italian", "lt": "lithuanian", "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian",
    "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "st": "sesotho", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip

# Python's \w leaves out combining marks, which would cut Hindi, Hebrew or Arabic words at every vowel sign.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0900-\u0963\u0966-\u0dff\u0e31-\u0e3a\u0e47-\u0e4e"
    "\u0eb1-\u0ebc\u0ec8-\u0ecd\u1000-\u1049\u1780-\u17d3"
)
_WORD = rf"[\w{_MARKS}]+"
# Han, kana, Hangul, Thai, Lao, Burmese, Khmer
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17d3\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_COMPOUND = re.compile(rf"{_WORD}(?:(?:[-‐.'’]|(?<=\d),(?=\d{{3}}(?!\d))){_WORD})*")
_JOINTS = re.compile("[-‐.'’]")
_CAMEL = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_ACCENTED = re.compile("([a-z])[\u0300-\u036f]+")
_ENGLISH_ENDINGS: Final = frozenset({"s", "t", "d", "m", "ll", "re", "ve"})


class Analyzer:
    """The terms of one language's texts. Threads may share one instance.

    Args:
        language: ISO 639-1; where Snowball has no stemmer for it, or it is "", words are taken as they are.
    """

    def __init__(self, language: str) -> None:
        self.language: Final = re.split("[-_]", language.strip().lower(), maxsplit=1)[0]
        name = STEMMERS.get(self.language)
        # our own cache holds whole results, so the stemmer's would only cost memory
        self._stem = Stemmer.Stemmer(name, 0).stemWord if name else None
        self._stop_words = STOP_WORDS.get(self.language, frozenset[str]())
        # other stemmers tell words apart by their accents; English has none of its own, and is what short texts of any
        # language are taken for
        self._unaccented = name is None or name == "english"
        self._cache: dict[str, tuple[str, ...]] = {}
        library = ".".join(Stemmer.version().split(".")[:2])
        self.version: Final = f"{RULES_VERSION}/{name}-{library}" if name else f"{RULES_VERSION}/plain"

    def terms(self, text: str) -> list[str]:
        """The text's terms in order, repeats kept; an identifier's parts follow the whole.

        No term is longer than 64 characters. Time is linear in the text's length.
        """
        text = unshouted(_INVISIBLE.sub("", _normalized(text)))
        cache = self._cache
        found: list[str] = []
        for word in _COMPOUND.findall(text):
            terms = cache.get(word)
            if terms is None:
                terms = tuple(self._terms_of(word))
                if len(word) <= MAX_TERM_CHARS:
                    if len(cache) >= CACHED_WORDS:
                        cache.clear()
                    cache[word] = terms
            found += terms
        return found

    def _terms_of(self, word: str) -> list[str]:
        if self.language == "en" and ("'" in word or "’" in word):
            word = word.replace("’", "'")
            if word.casefold() in self._stop_words:
                return []
            stem, _, ending = word.rpartition("'")
            if ending.casefold() in _ENGLISH_ENDINGS:
                word = stem  # "the employee's" is about the employee
        word = word.replace(",", "")  # only ever between the digits of one number: "10,000"
        parts: list[str] = []
        for joined in _JOINTS.split(word):
            if joined:
                atoms = [atom for name in joined.split("_") for atom in _CAMEL.split(name) if atom]
                parts += [joined, *atoms] if len(atoms) > 1 else atoms
        if len(parts) > 1 and parts[0] != word and len(word) <= MAX_TERM_CHARS and "'" not in word and "’" not in word:
            parts.insert(0, word)
        terms: list[str] = []
        for part in parts:
            terms += self._simple_terms(part)
        # a compound says each of its terms once: INC-INC is not twice about INC
        return list(dict.fromkeys(terms)) if len(word) <= MAX_TERM_CHARS and len(parts) > 1 else terms

    def _simple_terms(self, word: str) -> list[str]:
        unspaced = _UNSPACED.search(word)
        if unspaced is None:
            return self._spaced_terms(word)
        terms: list[str] = []
        at = 0
        for run in _UNSPACED.finditer(word):
            if run.start() > at:
                terms += self._spaced_terms(word[at : run.start()])
            characters = run[0]
            terms += [characters[i : i + 2] for i in range(len(characters) - 1)] or [characters]
            at = run.end()
        if at < len(word):
            terms += self._spaced_terms(word[at:])
        return terms

    def _spaced_terms(self, word: str) -> list[str]:
        folded = word[:MAX_TERM_CHARS].casefold()
        if self._unaccented and not folded.isascii():
            folded = _ACCENTED.sub(r"\1", unicodedata.normalize("NFD", folded))
            folded = unicodedata.normalize("NFC", folded)
        if folded in self._stop_words and not (len(word) == 2 and word.isupper()):  # "ask IT" is about IT
            return []
        stem = self._stem(folded) if self._stem is not None else folded
        return [stem[:MAX_TERM_CHARS]] if stem else []  # case folding may lengthen


@cache
def analyzer_for(language: str) -> Analyzer:
    """The process's analyzer of a language, whose words need not be taken apart again for each text.

    Threads may share it: a stemmer without a cache of its own is one call under the interpreter's lock.
    """
    return Analyzer(language)


def unshouted(text: str) -> str:
    """A text all in capitals in small letters, for they say nothing of its words then; any other as it is."""
    return text.casefold() if len(text) > SHOUTED_CHARS and text.isupper() else text


def _normalized(text: str) -> str:
    """NFKC, piece by piece: sorting one endless run of combining marks would take quadratic time."""
    if text.isascii():
        return text
    pieces: list[str] = []
    at = 0
    while at < len(text):
        end = at + 512
        space = text.find(" ", end, end + 64)
        end = space if space >= 0 else end + 64
        pieces.append(unicodedata.normalize("NFKC", text[at:end]))
        at = end
    return "".join(pieces)
