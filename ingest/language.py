"""Which language a text is written in, told from samples of it."""

from __future__ import annotations

from typing import Final

_MIN_LETTERS: Final = 60  # below, names and loan words decide and the guess is noise
_MIN_LETTERS_DENSE: Final = 15  # scripts that only few languages share say more per letter
_MIN_PROBABILITY: Final = 0.85
_SAMPLE_CHARS: Final = 1000  # from the start, the middle and the end; three times as many gave no other answer


def detect_language(text: str) -> str:
    """ISO 639-1 code, or "" when the text is short or the guess uncertain. The same text gives the same answer."""
    from langdetect import DetectorFactory, LangDetectException, detect_langs

    middle, n = len(text) // 2, _SAMPLE_CHARS
    sample = text if len(text) <= 3 * n else " ".join((text[:n], text[middle : middle + n], text[-n:]))
    letters = [character for character in sample if character.isalpha()]
    dense = sum(character >= "\u0900" for character in letters) > len(letters) // 2
    if len(letters) < (_MIN_LETTERS_DENSE if dense else _MIN_LETTERS):
        return ""
    DetectorFactory.seed = 0  # its random start would let the same bytes change their language
    try:
        best = detect_langs(sample)[0]
    except LangDetectException:
        return ""
    return str(best.lang)[:2] if best.prob >= _MIN_PROBABILITY else ""
