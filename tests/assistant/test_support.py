"""The fitted checker with the real encoder: what it adds to exact comparisons, and the laws of its score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.grounding import LocalChecker
from assistant.support import SAID_CHARS, nearest_sentences, similarities
from assistant.support_weights import FITTED
from ingest.analysis import Analyzer
from ingest.local_embedding import LocalEmbedder

ENGLISH = Analyzer("en")
EMBEDDER = LocalEmbedder(threads=1)
CHECKER = LocalChecker(lambda: EMBEDDER)
SIGNALS = st.fixed_dictionaries({name: st.floats(-1, 3) for name in FITTED.weights})


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("Staff who fall sick on vacation get the days back.", "Days of illness during a holiday are credited back."),
        ("Convenience copies have to be erased after at most 90 days.", "Copies are deleted within ninety days."),
        ("Using a private car earns 0.41 euros per kilometre.", "For your own car we pay €0.41 per kilometre."),
    ],
)
def test_other_words_of_the_same_meaning_are_supported(claim: str, quote: str) -> None:
    verdict = CHECKER.check(claim, [quote], around=[])
    assert verdict.supported, verdict


@pytest.mark.parametrize(
    "claim", ["Cats sleep on warm roofs.", "Copies are deleted within ninety weeks.", "Copies are never deleted."]
)
def test_what_is_said_of_something_else_is_not(claim: str) -> None:
    assert not CHECKER.check(claim, ["Copies are deleted within ninety days."], around=[]).supported


def test_context_alone_supports_nothing() -> None:
    around = "Managers approve expenses in writing. See the annex for the form."
    verdict = CHECKER.check("Managers approve expenses in writing.", ["See the annex for the form."], around=[around])
    assert not verdict.supported


def test_nothing_is_embedded_where_the_claim_is_its_quote() -> None:
    def fail() -> LocalEmbedder:
        raise AssertionError("the encoder was asked for")

    assert LocalChecker(fail).check("Leave is paid.", ["Leave is paid."], around=[]).score == 1.0


def test_similarities_rise_with_what_is_shared() -> None:
    same, other = (
        similarities("Leave is paid in full.", said, EMBEDDER, ENGLISH)
        for said in ("Leave is paid in full.", "The lathe is cleaned on Mondays.")
    )
    assert same.maxsim == pytest.approx(1, abs=1e-3) and same.sentence > 0.95
    assert other.maxsim < same.maxsim and other.whole < same.whole


@pytest.mark.parametrize("said", ["", "...", "© 2024", "word " * 3000, "字" * 4000])
def test_every_text_can_be_compared(said: str) -> None:
    found = similarities("Leave is paid.", said, EMBEDDER, ENGLISH)
    assert -1.001 <= found.low <= found.maxsim <= 1.001


def test_of_long_quotes_the_sentences_nearest_to_the_claim_are_kept_in_order() -> None:
    said = " ".join(f"Sentence {number} is about nothing at all." for number in range(80))
    said = f"First, leave is paid. {said} Last, leave is long."
    kept = nearest_sentences("Leave is long and paid.", said, ENGLISH)
    assert len(kept) <= SAID_CHARS
    assert kept.startswith("First, leave is paid.") and kept.endswith("Last, leave is long.")


@given(SIGNALS, st.sampled_from(sorted(FITTED.weights)), st.floats(0, 1))
def test_likeness_never_lowers_the_probability_and_failed_comparisons_never_raise_it(
    signals: dict[str, float], name: str, more: float
) -> None:
    before = FITTED.probability(signals)
    after = FITTED.probability({**signals, name: signals[name] + more})
    assert 0 <= before <= 1
    if name in ("quantities", "names", "negation", "turned"):
        assert after <= before
    else:
        assert after >= before
