"""Exact comparisons of a claim with its quotes: what the claim says that the quotes do not have, or turn around.

Numbers, dates, amounts and units, names, negation, directions (more, less) and quantifiers (all, some). Each refuses a
claim by itself, whatever a checker of meaning thinks of it: such a checker reads "21 weeks" as nearly "20 weeks".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from itertools import pairwise
from typing import Final

from assistant.quantities import MONTHS, NUMBER_WORDS, UNITS, Quantity, article_quantities, quantities
from ingest.analysis import Analyzer, analyzer_for
from ingest.model import Span

IsName = Callable[[str, Span], bool]  # of a claim and a word that begins a sentence of it

MATCHING_SHARE: Final = 0.5  # clauses that share this part of what the best clause shares are looked at too
NEGATION_REACH: Final = 2  # content words after a "not" of the quotes that it is taken to deny
CLAIM_REACH: Final = 4  # the same in the claim, which says in other words what the quotes deny

_A_NUMBER: Final = rf"\d+|{'|'.join(NUMBER_WORDS)}"
# Said without a negating meaning, or with one that depends on more than the word: bounds are read with their numbers.
_HARMLESS: Final = re.compile(
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
_NEGATION: Final = re.compile(
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
_OPPOSITES: Final = tuple(
    (re.compile(rf"\b(?:{one})\b", re.I), re.compile(rf"\b(?:{other})\b", re.I))
    for one, other in (
        (
            r"increas\w*|rais\w*|ris(?:es|ing|en)|rose|grow\w*|grew|higher",
            r"decreas\w*|reduc\w*|lower\w*|fall\w*|fell|declin\w*|diminish\w*",
        ),
        (r"more|greater|larger|above", r"less|fewer|smaller|below"),
        (r"starts?|begins?|starting|beginning", r"ends?|ending"),
        (r"cheaper|cheapest", r"dearer|more expensive"),
        (r"allowed|permitted|may|can|paid|covered", r"prohibited|forbidden|banned"),
        (r"mandatory|required|compulsory|must|need(?:s|ed)?|have to|has to", r"optional|voluntary"),
        (r"accept\w*|approv\w*", r"reject\w*|refus\w*|den(?:y|ies|ied)"),
        (r"includ\w*", r"exclud\w*"),
        (r"always", r"never|rarely|seldom"),
        (r"afterwards|subsequently|in arrears", r"beforehand|in advance|prior|previously"),
        (r"enabled?|activat\w*|promot\w*", r"disabled?|inhibit\w*|deactivat\w*|suppress\w*"),
    )
)
# Around the same word, one is the opposite of the other.
_RELATIONS: Final = tuple(
    (re.compile(rf"\b(?:{one})\s+(?=\w)", re.I), re.compile(rf"\b(?:{other})\s+(?=\w)", re.I))
    for one, other in (
        (r"before|prior to|ahead of|preceding|until", r"after|following|once"),
        (r"outside", r"inside|within|during"),
        (r"above|over", r"below|under|beneath"),
    )
)
_ALL: Final = re.compile(
    r"\b(?:all|every\w*|each|both|any(?:one|body|thing)?|always|never|nobody|none|no one|whoever|only|entire|whole)\b",
    re.I,
)
_SOME: Final = re.compile(
    r"\b(?:some(?!one|body|how|where)\w*|a few|several|one of the|partly|partially|(?<!at )(?<!the )most|"
    r"mainly|mostly|usually|generally|"
    r"normally|typically|largely|often|occasionally|rarely|seldom|hardly|not (?:all|every\w*))\b",
    re.I,
)
_ALL_OF_CLAIM: Final = re.compile(r"\b(?:all|every\w*|each|both|always|never|nobody|none|no one)\b", re.I)
_CLAUSE_END: Final = re.compile(
    r"(?<=[.!?;:])\s+|\n\s*\n|,\s+(?=but\b(?! not\b)|however\b|although\b|while\b|whereas\b)|\s+but\s+(?!not\b)",
    re.I,  # "insured against fire but not against floods" is one clause: its second half has no verb of its own
)
_PART_END: Final = re.compile(
    r"[,;:.!?()]\s+|\s[–—-]\s|\s(?=(?:but|who|which|that|if|unless|while|where|when|because|"
    r"and (?:then|never|not|no))\b)",
    re.I,
)
_SENTENCE_START: Final = re.compile(
    r"(?:^|(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bProf)[.!?:]\s+|\n\s*|[“\"‘(]\s*|[-•*]\s+|^\(?(?!Dr|Mr|Ms)\w{1,2}[.)]\s+)$"
)
_LIST_MARK: Final = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|[-•*])\s+(?=\S)")
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


def refusals(claim: str, said: str, near: str, analyzer: Analyzer, *, is_name: IsName | None = None) -> Iterator[str]:
    """Every exact comparison that fails, in words.

    Args:
        said: the quotes.
        near: the quotes with the text around them, where names may stand.
        is_name: tells names among first words of sentences; without it, a rule does.
    """
    available = [*quantities(said), *article_quantities(said)]
    for one in missing_quantities(claim, said):
        if any(one.matches(other) for other in available):
            yield f"the quotation bounds {one.shown!r} the other way or says it of another unit"
        else:
            yield f"{one.shown!r} of the claim is not in the quotation"
    for name in missing_names(claim, near, is_name=is_name):
        yield f"the name {name!r} of the claim is neither in the quotation nor around it"
    swapped = swapped_name(claim, said)
    if swapped:
        yield f"the claim names {swapped[0]!r} where the quotation names {swapped[1]!r}"
    clauses = matching_clauses(claim, said, analyzer)
    if negation_differs(claim, clauses, analyzer, whole=said):
        yield "one of claim and quotation is negated, the other is not"
    for word, opposite in turned(claim, clauses):
        yield f"the claim says {word!r} where the quotation says {opposite!r}"
    for word, opposite in turned_relations(claim, said, analyzer):
        yield f"the claim says {word!r} where the quotation says {opposite!r}"
    quantifiers = turned_quantifiers(claim, clauses)
    if quantifiers:
        yield f"the claim says {quantifiers[0]!r} where the quotation says {quantifiers[1]!r}"


def missing_quantities(claim: str, said: str) -> list[Quantity]:
    """The claim's numbers, dates, times and amounts that the quotes do not have with the same unit and bound."""
    claim = _LIST_MARK.sub("", claim)
    available = [*quantities(said), *article_quantities(said)]
    units = {other.unit for other in available} - {None}
    words = {UNITS.get(word) for word in re.findall(r"[^\W\d_]+|[%€$£¥]", said.lower())}
    missing = []
    bounded = [one for one in article_quantities(claim) if one.bound is not None]
    for one in (*quantities(claim), *bounded):
        alike = [
            other
            for other in available
            if one.matches(other) and (other.shown.lower() not in ("a", "an") or one.noun == other.noun)
        ]
        # after "25 minutes; the rest after fifteen", fifteen are minutes
        if one.unit is not None and units and one.unit not in units | words:
            alike = [other for other in alike if other.unit is not None]
        alike = _closest(one, alike)
        if one.shown.lower() in ("one", "a", "an") and not alike:
            # "one of them" is no amount, and where one of another unit is said, "one day" is not what is said
            singles = any(other.unit is not None and other.values == one.values for other in available)
            if one.unit is not None and (one.unit not in words or singles):
                missing.append(one)
        elif not any(not one.opposes(other) for other in alike):
            missing.append(one)
    return missing


def _closest(one: Quantity, alike: list[Quantity]) -> list[Quantity]:
    """Those of the same thing, else of the same unit, else all: a bound is compared with that of its own number."""
    for same in (lambda other: one.noun is not None and other.noun == one.noun, lambda other: other.unit == one.unit):
        kept = [other for other in alike if same(other)]
        if kept:
            return kept
    return alike


def missing_names(claim: str, near: str, *, is_name: IsName | None = None) -> list[str]:
    """The claim's names and identifiers that stand neither in the quotes nor around them.

    A name is a capitalised word that does not begin a sentence, or begins one and is a name there: by `is_name`, asked
    only for words that are missing; else by what follows it, "'s" or another capitalised word. In German none can be
    told. An abbreviation counts as present where its letters begin words that follow each other.
    """
    mark = _LIST_MARK.match(claim)
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


def negation_differs(claim: str, clauses: str, analyzer: Analyzer, *, whole: str = "") -> bool:
    """Whether one of the two denies what the other says, as far as the words tell.

    A negation of the claim must be met: by one of the quotes that denies a common word, or by a word such as
    "forbidden" in a part of a sentence that shares a word with the claim's. Where the claim says "not" of a word that
    the quotes use, they must say it of that word. A negation of the quotes' clauses nearest to the claim counts when
    what it denies, one of the next words, is in the claim.
    """
    ours, nearest, theirs = (_HARMLESS.sub(" ", text) for text in (claim, clauses, whole or clauses))
    conditions = [_CONDITIONAL.search(text) is not None for text in (ours, theirs)]
    if conditions[1]:
        if not conditions[0] and re.search(r"\b(?:unless|without)\b", ours, re.I):
            return not _NEGATION.search(re.sub(r"\bwithout\b", " ", ours)) and "only" not in ours.lower()
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
    if barred and not own and not _NEGATION.search(nearest) and terms & set(analyzer.terms(nearest)):
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
    for found in _NEGATION.finditer(text):
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


def turned(claim: str, clauses: str) -> Iterator[tuple[str, str]]:
    """Directions of the claim of which the quotation has only the opposite."""
    claim, clauses = _HARMLESS.sub(" ", claim), _HARMLESS.sub(" ", clauses)
    if _NEGATION.search(claim) or _NEGATION.search(clauses):
        return
    for pair in _OPPOSITES:
        for here, there in (pair, pair[::-1]):
            word, opposite = here.search(claim), there.search(clauses)
            if word and opposite and not there.search(claim) and not here.search(clauses):
                yield word[0], opposite[0]


def turned_relations(claim: str, said: str, analyzer: Analyzer) -> Iterator[tuple[str, str]]:
    """Before, after, outside or above something, of which the quotation says only the opposite."""
    for pair in _RELATIONS:
        for here, there in (pair, pair[::-1]):
            ours, theirs = _anchors(here, claim, analyzer), _anchors(there, said, analyzer)
            same = _anchors(here, said, analyzer)
            for anchor, word in ours.items():
                if anchor in theirs and anchor not in same:
                    yield word, theirs[anchor]


def _anchors(relation: re.Pattern[str], text: str, analyzer: Analyzer) -> dict[str, str]:
    """The first content word after each place of a relation, with the relation's words."""
    found = {}
    for one in relation.finditer(text):
        following = [term for term in analyzer.terms(text[one.end() : one.end() + 60]) if not term.isdigit()]
        if following:
            found[following[0]] = one[0].strip()
    return found


def turned_quantifiers(claim: str, clauses: str) -> tuple[str, str] | None:
    """Some of the claim where the quotation says all, or all where it says some."""
    some, all_said = _SOME.search(claim), _ALL.search(clauses)
    if some and all_said and not _SOME.search(clauses):
        return some[0], all_said[0]
    all_claimed, some_said = _ALL_OF_CLAIM.search(claim), _SOME.search(clauses)
    if all_claimed and some_said and not _ALL.search(clauses):
        return all_claimed[0], some_said[0]
    return None


def matching_clauses(claim: str, said: str, analyzer: Analyzer) -> str:
    """The clauses of the quotes that say most of the claim, which is where a negation counts."""
    clauses = [clause for clause in _CLAUSE_END.split(said) if clause.strip()]
    wanted = set(analyzer.terms(claim))
    shared = [len(wanted & set(analyzer.terms(clause))) for clause in clauses]
    best = max(shared, default=0)
    return " ".join(clause for clause, count in zip(clauses, shared, strict=True) if count >= MATCHING_SHARE * best)


def _plain(text: str) -> str:
    folded = text.casefold().replace("’", "'").replace("\u00ad", "").replace("‑", "-").translate(_GREEK)
    return re.sub(r"(?<=\b\w)[.*](?=\w\b)", "", folded)  # U.S. is US, and M*A*S*H is MASH
