"""Negation compared: whether one of claim and quotation denies what the other says, as far as the words tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from assistant.quantities import NUMBER_WORDS
from ingest.analysis import Analyzer

NEGATION_REACH: Final = 2  # content words after a "not" of the quotes that it is taken to deny
CLAIM_REACH: Final = 4  # the same in the claim, which says in other words what the quotes deny

_A_NUMBER: Final = rf"\d+|{'|'.join(NUMBER_WORDS)}"
# Said without a negating meaning, or with one that depends on more than the word: bounds are read with their numbers.
HARMLESS: Final = re.compile(
    r"\b(?:not only|whether or not|if not|why not|(?:no|not) (?:later|more|less|fewer|longer|shorter|earlier|sooner|"
    r"higher|lower|greater) than|(?:not|no) (?:below|above|under|over)(?= (?:\w+ )?[\d$€£])|not (?:below|above)|"
    r"(?:(?:do(?:es)?|may|must|shall|should|will|can)(?: ?not|n't)|cannot) "
    r"(?:exceed|(?:\w+ ){1,2}(?:more|longer|later|higher) than)|"
    rf"(?:nobody|no one|none|no \w+) (?:younger|older|shorter|taller|lighter|heavier) than(?= (?:{_A_NUMBER})\b)|"
    r"not exceeding|nothing (?:but|except|other than)|no\. ?\d|not least|no doubt|never the (?:other way|reverse)|"
    r"not later|not earlier)\b",
    re.I,
)
# Two negations that say a condition: "never without a permit", "without a permit nobody".
_CONDITIONAL: Final = re.compile(
    r"\b(?:nobody|no one|none|not|never|cannot|no)\b[^.;:,]{0,80}?\b(?:without|unless)\b"
    r"|\b(?:without|unless)\b[^.;:]{0,60}?\b(?:not|no|never|cannot|nobody)\b",
    re.I,
)
NEGATION: Final = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|hardly|scarcely|barely|kein\w{0,2}|nicht|nie|"
    r"niemals|ohne|pas|jamais|sans|nunca|sin|sem|não|mai|senza)\b|n['’]t\b",
    re.I,
)
_REFUSING: Final = re.compile(
    r"\b(?:prohibit\w*|forbid\w*|forbidden|ban(?:s|ned|ning)?|refus\w*|den(?:y|ies|ied)|exclud\w*|exempt\w*|fail\w*|"
    r"unable|impossible|illegal|ineligible)\b",
    re.I,
)
_BARRED: Final = re.compile(r"\b(?:prohibited|forbidden|banned|excluded|ineligible|illegal|impossible)\b", re.I)
# Deny only with a "not" and a condition: "not unless you ask" is "only if you ask".
_WEAKLY: Final = re.compile(r"\b(?:only|unless|otherwise|except\w*|few|little|rather than|instead)\b", re.I)
_CONDITION: Final = re.compile(r"\b(?:unless|without|except|before|until|otherwise)\b", re.I)
_AUXILIARY: Final = frozenset("get got longer wish want intend abl plan".split())  # noqa: SIM905 - stems
_OF_VERBS: Final = re.compile(r"not|never|cannot|n['’]t", re.I)  # deny the very next content word
# Words that deny by themselves: whether a clause with them agrees with one that says "not" cannot be told from here.
_DENYING: Final = re.compile(
    r"\b(?:fail\w*|lack\w*|missing|unable|impossible|prohibit\w*|forbid\w*|forbidden|refus\w*|den(?:y|ies|ied)|exclud\w*|"
    r"exempt\w*|ban(?:s|ned|ning)?|except\w*|unless|otherwise|only|absent|absence|free of|reject\w*|prevent\w*|"
    r"avoid\w*|stop\w*|ceas\w*|zero|illegal|invalid|ineligible|unused|"
    r"un(?!der|til|less|it|iv|iq|ion)\w{4,}|in(?:sufficient|dependent|active|effective)\w*|non-?\w+|few|little|"
    r"rather than|instead)\b",
    re.I,
)
_PART_END: Final = re.compile(
    r"[,;:.!?()]\s+|\s[–—-]\s|\s(?=(?:but|who|which|that|if|unless|while|where|when|because|"
    r"and (?:then|never|not|no))\b)",
    re.I,
)


def negation_differs(claim: str, clauses: str, analyzer: Analyzer, *, whole: str = "") -> bool:
    """Whether one of the two denies what the other says, as far as the words tell.

    A negation of the claim must be met: by one of the quotes that denies a common word, or by a word such as
    "forbidden" in a part of a sentence that shares a word with the claim's. Where the claim says "not" of a word that
    the quotes use, they must say it of that word. A negation of the quotes' clauses nearest to the claim counts when
    what it denies, one of the next words, is in the claim.
    """
    ours, nearest, theirs = (HARMLESS.sub(" ", text) for text in (claim, clauses, whole or clauses))
    conditions = [_CONDITIONAL.search(text) is not None for text in (ours, theirs)]
    if conditions[1]:
        if not conditions[0] and re.search(r"\b(?:unless|without)\b", ours, re.I):
            return not NEGATION.search(re.sub(r"\bwithout\b", " ", ours)) and "only" not in ours.lower()
        nearest, theirs = _CONDITIONAL.sub(" ", nearest), _CONDITIONAL.sub(" ", theirs)
        ours = _CONDITIONAL.sub(" ", ours)
    own, given = list(_denials(ours, analyzer)), list(_denials(theirs, analyzer))
    used = {word.lower() for word in _DENYING.findall(ours)}
    given_terms = set(analyzer.terms(theirs))
    for word, scope, part in own:
        predicate = scope[:1]
        by_verb = _OF_VERBS.fullmatch(word) is not None and bool(predicate) and predicate[0] in given_terms
        if by_verb and any(
            predicate == other[:1]
            or (predicate[0] in rest and not _OF_VERBS.fullmatch(same))
            or (same.lower() == "not" and other and set(other) <= set(scope))  # "against fire but not against theft"
            for same, other, rest in given
        ):
            continue
        wanted = set(scope[:CLAIM_REACH]) | (set() if scope else set(part))
        if not by_verb and any(
            wanted & set(other[: _reach(same, word)] or rest)
            or (
                same.lower() != "without"
                and len(set(part) & set(rest)) > (0 if same.lower() == word.lower() or len(part) <= 3 else 1)
            )
            for same, other, rest in given
        ):
            continue
        words = _REFUSING if by_verb else _DENYING
        denying = [
            found
            for found in words.finditer(theirs)
            if found[0].lower() not in used and (_CONDITION.search(ours) or not _WEAKLY.fullmatch(found[0]))
        ]
        parts = [set(analyzer.terms(_part_around(theirs, found.start()))) for found in denying]
        if any(set(part) & there or len(there) <= 1 for there in parts):
            continue
        return True
    if _DENYING.search(ours):
        return False
    terms = set(analyzer.terms(ours))
    barred = _BARRED.search(nearest)
    if barred and not own and not NEGATION.search(nearest) and terms & set(analyzer.terms(nearest)):
        return True
    met = {term for _, scope, part in own for term in (*scope[:CLAIM_REACH], *part)}
    for _, scope, _ in _denials(nearest, analyzer):
        denied = set(scope[:NEGATION_REACH])
        if denied & terms and not denied & met:
            return True
    return False


def _reach(theirs: str, ours: str) -> int:
    """How far a negation of the quotes is taken to deny, to meet one of the claim."""
    short = theirs.lower() in ("no", "without") and theirs.lower() != ours.lower()
    return NEGATION_REACH if short else CLAIM_REACH


def _denials(text: str, analyzer: Analyzer) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each negation with the terms after it in its part of the sentence, and all terms of that part."""
    for found in NEGATION.finditer(text):
        start, end = _part_bounds(text, found.start(), found.end())
        yield found[0], _content(text[found.end() : end], analyzer), analyzer.terms(text[start:end])


def _content(text: str, analyzer: Analyzer) -> list[str]:
    return [term for term in analyzer.terms(text) if term not in _AUXILIARY]


def _part_around(text: str, at: int) -> str:
    start, end = _part_bounds(text, at, at)
    return text[start:end]


def _part_bounds(text: str, start: int, end: int) -> tuple[int, int]:
    """From the comma or connective before to the one after."""
    before = [found.end() for found in _PART_END.finditer(text, 0, start)]
    after = _PART_END.search(text, end)
    return (before[-1] if before else 0), (after.start() if after else len(text))
