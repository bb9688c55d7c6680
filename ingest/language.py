"""Which language a text is written in, told from samples of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_MIN_LETTERS: Final = 40  # below, names and loan words decide and the guess is noise
_MIN_LETTERS_DENSE: Final = 10  # scripts that only few languages share say more per letter
_MIN_PROBABILITY: Final = 0.85
_SAMPLE_CHARS: Final = 1000  # from the start, the middle and the end; three times as many gave no other answer
_KINDS: Final = {"arz": "ar", "ary": "ar", "wuu": "zh", "yue": "zh"}  # spoken kinds that share a written language


def detect_language(text: str) -> str:
    """ISO 639-1 code, or "" when the text is short or the guess uncertain. The same text gives the same answer."""
    middle, n = len(text) // 2, _SAMPLE_CHARS
    sample = text if len(text) <= 3 * n else " ".join((text[:n], text[middle : middle + n], text[-n:]))
    letters = [character for character in sample if character.isalpha()]
    dense = sum(character >= "\u0900" for character in letters) > len(letters) // 2
    if len(letters) < (_MIN_LETTERS_DENSE if dense else _MIN_LETTERS):
        return ""
    code, probability = _identifier().classify(sample)
    code = _KINDS.get(code, code)
    return code if probability >= _MIN_PROBABILITY and len(code) == 2 else ""


@cache
def _identifier() -> LanguageIdentifier:
    """Loaded once, in most of a second: before a process that forks does so."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
