"""Does a quote support a claim? The check that needs no model.

Two kinds of signal. Exact ones refuse: a number, date, amount or unit, a name, a negation or a direction (more, less)
of the claim that the quotes do not have. The rest is coverage: how much of the claim the quotes say, with lesser credit
for what only the text around them says. Measured by evals/bench/checker.py. What it cannot see is a contradiction in
other words, which is why a stronger checker can take its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from itertools import pairwise
from typing import Final

from assistant.citing import squash
from assistant.model import Verdict
from assistant.quantities import Quantity, quantities
from ingest.analysis import Analyzer

# Half of what a claim says. On public sets (evals/bench/checker.py) it lets 0.1 % of unrelated evidence pass, and its
# balanced accuracy is within 0.01 of the best threshold's on AttributionBench; a lower one would let more paraphrases
# of long scientific sentences pass, and more contradictions with them.
THRESHOLD: Final = 0.5
MIN_QUOTED: Final = 0.25  # share of the claim that the quotes must say themselves, whatever stands around them
AROUND_CREDIT: Final = 0.5  # of a word that only the text around the quotes has
MATCHING_SHARE: Final = 0.5  # clauses that share this part of what the best clause shares are looked at too
NEGATION_REACH: Final = 2  # content words after "not" that it is taken to deny
REFUSED_SCORE: Final = 0.3  # the most that a claim with a refuted exact signal may score

# Said without a negating meaning, or with one that depends on more than the word.
_HARMLESS: Final = re.compile(
    r"\b(?:not only|whether or not|if not|why not|(?:no|not) (?:later|more|less|fewer|longer|earlier|sooner) than|"
    r"(?:do(?:es)?|may|must|shall|should|will|can)(?: ?not|n't) exceed|not exceeding|no\. ?\d|not least|no doubt)\b",
    re.I,
)
_NEGATION: Final = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|kein\w{0,2}|nicht|nie|niemals|ohne|pas|jamais|"
    r"sans|nunca|sin|sem|não|mai|senza)\b|n['’]t\b",
    re.I,
)
# Words that deny by themselves: whether a clause with them agrees with one that says "not" cannot be told from here.
_DENYING: Final = re.compile(
    r"\b(?:fail\w*|lack\w*|unable|impossible|prohibit\w*|forbid\w*|forbidden|refus\w*|den(?:y|ies|ied)|exclud\w*|exempt\w*|"
    r"ban(?:s|ned|ning)?|except\w*|unless|only|absent|absence|free of|reject\w*|prevent\w*|avoid\w*|zero|illegal|"
    r"invalid|ineligible|"
    r"un\w{4,}|in(?:sufficient|dependent|active|effective)\w*|non-?\w+|hardly|barely|few|little|rather than|instead)\b",
    re.I,
)
_OPPOSITES: Final = tuple(
    (re.compile(rf"\b(?:{one})\b", re.I), re.compile(rf"\b(?:{other})\b", re.I))
    for one, other in (
        (
            r"increas\w*|rais\w*|ris(?:es|ing|en)|rose|grow\w*|grew|higher",
            r"decreas\w*|reduc\w*|lower\w*|fall\w*|fell|declin\w*|diminish\w*",
        ),
        (r"more|greater|larger|above|exceeds?", r"less|fewer|smaller|below"),
        (r"minimum|at least", r"maximum|at most|up to"),
        (r"before|prior to", r"after|following"),
        (r"allowed|permitted|may", r"prohibited|forbidden|banned"),
        (r"mandatory|required|compulsory|must", r"optional|voluntary"),
        (r"accept\w*|approv\w*", r"reject\w*|refus\w*|den(?:y|ies|ied)"),
        (r"includ\w*", r"exclud\w*"),
        (r"always", r"never|rarely|seldom"),
        (r"enabled?|activat\w*|promot\w*", r"disabled?|inhibit\w*|deactivat\w*|suppress\w*"),
    )
)
_CLAUSE_END: Final = re.compile(
    r"(?<=[.!?;:])\s+|\n\s*\n|,\s+(?=but\b|however\b|although\b|while\b|whereas\b)|\s+but\s+", re.I
)
_SENTENCE_START: Final = re.compile(r"(?:^|[.!?:]\s+|\n\s*|[“\"‘(]\s*|[-•*]\s+)$")
_WORD: Final = re.compile(r"[^\W_][\w'’.-]*[\w]|[^\W_]")
_IDENTIFIER: Final = re.compile(r"(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z_])[\w]+(?:[.-][\w]+)*|\w+_\w+")
_MEASURE: Final = re.compile(r"\d+(?:[.,]\d+)?(?:[a-zA-Z]{1,3}|-[a-z]+)")  # 40mg, 12-month: quantities
_NOT_NAMES: Final = frozenset(
    "I A An The This That These Those It If In On At By For From To Of And Or But As Is Are Yes No".split()  # noqa: SIM905
)
# German writes every noun with a capital, so that capitals mark no names there.
_GERMAN: Final = re.compile(
    r"\b(?:der|das|den|dem|des|die|und|ist|sind|nicht|ein|eine|einer|im|zu|mit|für|muss)\b", re.I
)


class LocalChecker:
    """A Checker of coverage and exact comparisons. Threads may share one instance.

    Args:
        language: ISO 639-1, of the analyser's stems and stop words.
    """

    name: Final = "local-1"

    def __init__(self, language: str = "en", *, threshold: float = THRESHOLD) -> None:
        self._analyzer = Analyzer(language)
        self._threshold = threshold

    def check(self, claim: str, quotes: Sequence[str], *, around: Sequence[str]) -> Verdict:
        """Judge a claim against its quotes together.

        Args:
            around: the text each quote stands in, with its headings; may repeat the quote.

        Returns:
            The score is coverage in [0, 1], at most 0.3 where an exact comparison fails, 1.0 for a claim that is a
            quote.
        """
        said = " ".join(quotes)
        if not said.strip() or not claim.strip():
            return Verdict(False, 0.0, "there is no quotation")
        if squash(claim).text.strip(".") in [squash(quote).text.strip(".") for quote in (*quotes, said)]:
            return Verdict(True, 1.0, "the claim is the quotation")
        near = " ".join((said, *around))
        quoted, covered = self.coverage(claim, said, near)
        for reason in _refusals(claim, said, near, self._analyzer):
            return Verdict(False, min(covered, REFUSED_SCORE), reason)
        if quoted < MIN_QUOTED:
            return Verdict(False, min(covered, REFUSED_SCORE), f"the quotation says only {quoted:.0%} of the claim")
        return Verdict(covered >= self._threshold, covered, f"quotation and context cover {covered:.0%} of the claim")

    def coverage(self, claim: str, said: str, near: str) -> tuple[float, float]:
        """Share of the claim's different terms that the quotes have; and with half of those that only `near` has.

        Quantities are left out: they are compared exactly, and "twenty" is no other term than 20.
        """
        every = set(self._analyzer.terms(claim))
        numbers = {term for one in quantities(claim) for term in self._analyzer.terms(one.shown)}
        wanted = every - numbers or every
        if not wanted:
            return 0.0, 0.0
        quoted = wanted & set(self._analyzer.terms(said))
        beside = (wanted & set(self._analyzer.terms(near))) - quoted
        return len(quoted) / len(wanted), (len(quoted) + AROUND_CREDIT * len(beside)) / len(wanted)


def _refusals(claim: str, said: str, near: str, analyzer: Analyzer) -> Iterator[str]:
    """Every exact comparison that fails, in words."""
    for one in missing_quantities(claim, said):
        yield f"{one.shown!r} of the claim is not in the quotation"
    for name in missing_names(claim, near):
        yield f"the name {name!r} of the claim is neither in the quotation nor around it"
    clause = _matching_clauses(claim, said, analyzer)
    if negation_differs(claim, clause, analyzer):
        yield "one of claim and quotation is negated, the other is not"
    for word, opposite in _turned(claim, clause):
        yield f"the claim says {word!r} where the quotation says {opposite!r}"


def missing_quantities(claim: str, said: str) -> list[Quantity]:
    """The claim's numbers, dates, times and amounts that the quotes do not have with the same unit."""
    available = quantities(said)
    return [
        one
        for one in quantities(claim)
        if one.shown.lower() != "one" and not any(one.matches(other) for other in available)
    ]


def missing_names(claim: str, near: str) -> list[str]:
    """The claim's names and identifiers that stand neither in the quotes nor around them.

    A name is a capitalised word that does not begin a sentence; in German none can be told.
    An abbreviation counts as present where its letters begin words that follow each other.
    """
    claim = claim.strip()
    words = re.findall(r"\w+", _plain(near))
    present = {*words, *(one + other for one, other in pairwise(words))}  # "Ly-6C" and "TiO 2" are Ly6C and TiO2
    initials = "".join(word[0] for word in words if word[0].isalpha())
    identifiers = [one for one in _IDENTIFIER.finditer(claim) if not _MEASURE.fullmatch(one[0])]
    missing = [one[0] for one in identifiers if not _is_present(one[0], present)]
    inner = [
        word[0]
        for word in _WORD.finditer(claim)
        if word[0][0].isalpha() and not _SENTENCE_START.search(claim[: word.start()])
    ]
    capitals = [word for word in inner if word[0].isupper()]
    if len({word.lower() for word in _GERMAN.findall(claim)}) > 1:
        return missing
    for name in capitals:
        for part in name.split("-"):
            bare = re.sub(r"['’]s$", "", part)
            if not bare[:1].isupper() or bare in _NOT_NAMES or _IDENTIFIER.fullmatch(bare):
                continue
            if not (_is_present(bare, present) or (len(bare) > 1 and bare.isupper() and bare.lower() in initials)):
                missing.append(bare)
    return missing


def _is_present(name: str, present: Set[str]) -> bool:
    """Whether a name's words are among those present, in the singular or the plural, joined or apart."""
    parts = re.findall(r"\w+", _plain(name))
    if "".join(parts) in present:
        return True
    return all(part in present or part + "s" in present or part.removesuffix("s") in present for part in parts)


def negation_differs(claim: str, said: str, analyzer: Analyzer) -> bool:
    """Whether one of the two denies what the other says, as far as the words tell.

    A negation of the quotes counts when what it negates, one of the next words, is in the claim; one of the claim
    must be met by some negation of the quotes.
    """
    ours, theirs = _HARMLESS.sub(" ", claim), _HARMLESS.sub(" ", said)
    if _NEGATION.search(ours):
        return not (_NEGATION.search(theirs) or _DENYING.search(theirs) or _DENYING.search(ours))
    if _DENYING.search(ours):
        return False
    wanted = set(analyzer.terms(ours))
    for negation in _NEGATION.finditer(theirs):
        rest = _CLAUSE_END.split(theirs[negation.end() :], maxsplit=1)[0]
        if wanted & set(analyzer.terms(rest)[:NEGATION_REACH]):
            return True
    return False


def _turned(claim: str, clause: str) -> Iterator[tuple[str, str]]:
    """Directions of the claim of which the quotation has only the opposite."""
    if _NEGATION.search(claim) or _NEGATION.search(clause):
        return
    for pair in _OPPOSITES:
        for here, there in (pair, pair[::-1]):
            word, opposite = here.search(claim), there.search(clause)
            if word and opposite and not there.search(claim) and not here.search(clause):
                yield word[0], opposite[0]


def _matching_clauses(claim: str, said: str, analyzer: Analyzer) -> str:
    """The clauses of the quotes that say most of the claim, which is where a negation counts."""
    clauses = [clause for clause in _CLAUSE_END.split(said) if clause.strip()]
    wanted = set(analyzer.terms(claim))
    shared = [len(wanted & set(analyzer.terms(clause))) for clause in clauses]
    best = max(shared, default=0)
    return " ".join(clause for clause, count in zip(clauses, shared, strict=True) if count >= MATCHING_SHARE * best)


def _plain(text: str) -> str:
    return text.casefold().replace("’", "'").replace("\u00ad", "").replace("‑", "-")
