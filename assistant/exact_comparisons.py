"""Exact comparisons of a claim with its quotes: what the claim says that the quotes do not have, or turn around.

Numbers, dates, amounts and units, names, negation, directions (more, less) and quantifiers (all, some). Each refuses a
claim by itself, whatever a checker of meaning thinks of it: such a checker reads "21 weeks" as nearly "20 weeks".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from assistant.names import LIST_MARK, IsName, missing_names, swapped_name
from assistant.negations import negation_differs
from assistant.opposites import turned, turned_quantifiers, turned_relations
from assistant.quantities import UNITS, Quantity, article_quantities, quantities
from ingest.analysis import Analyzer

MATCHING_SHARE: Final = 0.5  # clauses that share this part of what the best clause shares are looked at too
_CLAUSE_END: Final = re.compile(
    r"(?<=[.!?;:])\s+|\n\s*\n|,\s+(?=but\b(?! not\b)|however\b|although\b|while\b|whereas\b)|\s+but\s+(?!not\b)",
    re.I,  # "insured against fire but not against floods" is one clause: its second half has no verb of its own
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
    claim = LIST_MARK.sub("", claim)
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


def matching_clauses(claim: str, said: str, analyzer: Analyzer) -> str:
    """The clauses of the quotes that say most of the claim, which is where a negation counts."""
    clauses = [clause for clause in _CLAUSE_END.split(said) if clause.strip()]
    wanted = set(analyzer.terms(claim))
    shared = [len(wanted & set(analyzer.terms(clause))) for clause in clauses]
    best = max(shared, default=0)
    return " ".join(clause for clause, count in zip(clauses, shared, strict=True) if count >= MATCHING_SHARE * best)
