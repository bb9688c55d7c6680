"""Names compared: those of a claim that its quotes lack, or that stand in the place of another."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from itertools import pairwise
from typing import Final

from assistant.quantities import MONTHS, quantities
from ingest.analysis import Analyzer, analyzer_for
from ingest.model import Span

IsName = Callable[[str, Span], bool]  # of a claim and a word that begins a sentence of it

LIST_MARK: Final = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|[-•*])\s+(?=\S)")
_SENTENCE_START: Final = re.compile(
    r"(?:^|(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bProf)[.!?:]\s+|\n\s*|[“\"‘(]\s*|[-•*]\s+|^\(?(?!Dr|Mr|Ms)\w{1,2}[.)]\s+)$"
)
_GREEK: Final = str.maketrans(
    {
        "α": "alpha",
        "β": "beta",
        "γ": "gamma",
        "δ": "delta",
        "ε": "epsilon",
        "κ": "kappa",
        "λ": "lambda",
        "μ": "mu",
        "ω": "omega",
    }
)
_WORD: Final = re.compile(r"[^\W_][\w'’.-]*[\w]|[^\W_]")
_FULL_NAME: Final = re.compile(r"\b[A-Z][a-zà-ÿ]+(?:[ -][A-Z][a-zà-ÿ]+)+\b")
_IDENTIFIER: Final = re.compile(r"(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z_])[\w]+(?:[.-][\w]+)*|\w+_\w+")
_MEASURE: Final = re.compile(r"\d+(?:[.,]\d+)?(?:[a-zA-Z]{1,3}|-[a-z]+)")  # 40mg, 12-month: quantities
_TITLES: Final = "Dr Mr Mrs Ms Prof".split()  # noqa: SIM905
_NOT_NAMES: Final = frozenset(
    "I A An The This That These Those It If In On At By For From To Of And Or But As Is Are Yes No".split()  # noqa: SIM905
) | {*_TITLES}
# German writes every noun with a capital, so that capitals mark no names there.
_GERMAN: Final = re.compile(
    r"\b(?:der|das|den|dem|des|die|und|ist|sind|nicht|ein|eine|einer|im|zu|mit|für|muss)\b", re.I
)


def missing_names(claim: str, near: str, *, is_name: IsName | None = None) -> list[str]:
    """The claim's names and identifiers that stand neither in the quotes nor around them.

    A name is a capitalised word that does not begin a sentence, or begins one and is a name there: by `is_name`, asked
    only for words that are missing; else by what follows it, "'s" or another capitalised word. In German none can be
    told. An abbreviation counts as present where its letters begin words that follow each other.
    """
    mark = LIST_MARK.match(claim)
    begins = mark.end() if mark else len(claim) - len(claim.lstrip())
    words = re.findall(r"\w+", _plain(near))
    present = {*words, *(one + other for one, other in pairwise(words))}  # "Ly-6C" and "TiO 2" are Ly6C and TiO2
    initials = "".join(word[0] for word in words if word[0].isalpha())
    identifiers = [one for one in _IDENTIFIER.finditer(claim, begins) if not _MEASURE.fullmatch(one[0])]
    missing = [one[0] for one in identifiers if not _is_present(one[0], present)]
    if len({word.lower() for word in _GERMAN.findall(claim)}) > 1:
        return missing
    for word in _WORD.finditer(claim, begins):
        if not word[0][0].isupper():
            continue
        absent = [
            bare for part in word[0].split("-") if (bare := _bare_name(part)) and _absent(bare, present, initials)
        ]
        if absent and _SENTENCE_START.search(claim[begins : word.start()]):
            named = _begins_name(word, claim) if is_name is None else _may_be_name(word) and is_name(claim, word.span())
            absent = absent if named else []
        missing += absent
    return missing


def swapped_name(claim: str, said: str) -> tuple[str, str] | None:
    """A name of several words in the place of one of the quotes': each side has one that the other lacks, and no more.

    The text around the quotes may hold both, and then nothing else tells the one from the other.
    """
    if len({word.lower() for word in _GERMAN.findall(claim)}) > 1:
        return None
    ours, theirs = _full_names(claim), _full_names(said)
    lacking, left = _names_lacking(ours, said), _names_lacking(theirs, claim)
    if len(ours) == len(theirs) and len(lacking) == len(left) == 1:
        return lacking[0], left[0]
    return None


def _names_lacking(names: list[str], text: str) -> list[str]:
    """Those of which the text has not one word."""
    words = set(re.findall(r"\w+", _plain(text)))
    return [name for name in names if not any(_is_present(word, words) for word in name.split())]


def _full_names(text: str) -> list[str]:
    """Two or more capitalised words that follow each other; months are no names."""
    return [
        found[0]
        for found in _FULL_NAME.finditer(text)
        if not any(word in _NOT_NAMES or word.lower() in MONTHS for word in found[0].split())
    ]


def own_words(claim: str, said: str, analyzer: Analyzer) -> tuple[int, int]:
    """How many of the claim's words and quantities the quotes have, and how many there are; names are left out.

    That two sentences name the same thing says little: all those of a document do.
    """
    names: set[str] = set()
    if len({word.lower() for word in _GERMAN.findall(claim)}) <= 1:
        names = {
            term
            for text in (claim, said)
            for word in _WORD.finditer(text)
            if word[0][0].isupper() and (not _SENTENCE_START.search(text[: word.start()]) or _begins_name(word, text))
            for term in analyzer.terms(word[0])
        }
    counted, available = quantities(claim), quantities(said)
    numbers = {term for one in counted for term in analyzer.terms(one.shown)}
    words = set(analyzer.terms(claim)) - names - numbers
    matched = sum(any(one.matches(other) for other in available) for one in counted)
    return len(words & set(analyzer.terms(said))) + matched, len(words) + len(counted)


def _bare_name(part: str) -> str:
    """The word as it is compared; "" where it is no name."""
    bare = re.sub(r"['’]s?$", "", part)
    if not bare[:1].isupper() or bare in _NOT_NAMES or _IDENTIFIER.fullmatch(bare) or bare.lower() in MONTHS:
        return ""
    return bare


def _absent(bare: str, present: Set[str], initials: str) -> bool:
    letters = bare.replace(".", "").lower()
    short = len(letters) > 1 and bare.replace(".", "").isupper()
    return not (_is_present(bare, present) or (short and (letters in initials or letters in present)))


def _may_be_name(word: re.Match[str]) -> bool:
    return bool(analyzer_for("en").terms(word[0]))  # no stop word


def _begins_name(word: re.Match[str], claim: str) -> bool:
    """Whether a sentence's first word is a name for what follows it: "Maria's", "Maria Weber"."""
    if not _may_be_name(word):
        return False
    following = claim[word.end() :]
    return bool(re.search(r"['’]s$", word[0]) or re.match(r"(?: (?:&|and|of|de|van|von))? [A-Z][a-z]", following))


def _is_present(name: str, present: Set[str]) -> bool:
    """Whether a name's words are among those present: singular or plural, joined or apart, Americans for America."""
    parts = re.findall(r"\w+", _plain(name))
    if "".join(parts) in present:
        return True
    return all(
        part in present
        or part + "s" in present
        or part.removesuffix("s") in present
        or part.removesuffix("es") in present
        or re.sub(r"(?:ns?|ans?|ians?|ese|ish)$", "", part) in present
        or (len(part) > 4 and any(word.startswith(part) and len(word) - len(part) <= 3 for word in present))
        for part in parts
    )


def _plain(text: str) -> str:
    folded = text.casefold().replace("’", "'").replace("\u00ad", "").replace("‑", "-").translate(_GREEK)
    return re.sub(r"(?<=\b\w)[.*](?=\w\b)", "", folded)  # U.S. is US, and M*A*S*H is MASH
