"""Does a quote support a claim? The check that sends nothing anywhere.

Two kinds of signal. Exact comparisons refuse: a number, date, amount or unit, a name, a negation or a direction of the
claim that the quotes do not have. The rest is a probability, from similarities and the share of the claim's words that
the quotes say, weighed as labelled data taught (assistant/support.py). Measured by evals/bench/checker.py. What it
cannot see is a contradiction in other words, which is why a stronger checker can take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from assistant.citing import squash
from assistant.exact_comparisons import refusals
from assistant.first_words import is_name
from assistant.model import Verdict
from assistant.names import own_words
from assistant.support import SpanEmbedder, coverage, signals, similarities
from assistant.support_weights import FITTED
from ingest.analysis import Analyzer
from ingest.model import Span

COVERAGE_THRESHOLD: Final = 0.5  # of coverage alone: half of what a claim says
MIN_QUOTED: Final = 0.25  # share of the claim that the quotes must say themselves, where no meaning is compared
# Needed where the quotes have none, or one, of the claim's words that are no names: that they name the same thing makes
# sentences alike, and is true of most sentences of a document.
FEW_SHARED: Final = (0.45, 0.35)
REFUSED_SCORE: Final = 0.3  # the most that a claim with a refuted exact comparison may score


class LocalChecker:
    """A Checker of exact comparisons and fitted similarities. Threads may share one instance.

    Args:
        embedder: opens the shipped encoder, at first need; without one, coverage alone decides.
        language: ISO 639-1, of the analyser's stems and stop words.
        threshold: probability (of coverage, without an embedder) from which a claim counts as supported.
        release: gives the encoder's memory back.
    """

    def __init__(
        self,
        embedder: Callable[[], SpanEmbedder] | None = None,
        *,
        language: str = "en",
        threshold: float | None = None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._release = release
        self._analyzer = Analyzer(language)
        self._embedder = embedder
        usual = COVERAGE_THRESHOLD if embedder is None else FITTED.threshold
        self._threshold = usual if threshold is None else threshold

    @property
    def name(self) -> str:
        return "local-coverage" if self._embedder is None else "local-3"

    def check(self, claim: str, quotes: Sequence[str], *, around: Sequence[str]) -> Verdict:
        """Judge a claim against its quotes together.

        Args:
            around: the text each quote stands in, with its headings; may repeat the quote.

        Returns:
            The score is a probability in [0, 1], calibrated on labelled data, at most 0.3 where an exact comparison
            fails, 1.0 for a claim that is a quote. Without an embedder it is coverage.
        """
        plain = plain_verdict(claim, quotes)
        if plain is not None:
            return plain
        said = " ".join(quotes)
        near = " ".join((said, *around))
        reason = self.refusal(claim, said, near)
        if self._embedder is None:
            quoted, covered = coverage(claim, said, near, self._analyzer)
            if reason is None and quoted < MIN_QUOTED:
                reason = f"the quotation says only {quoted:.0%} of the claim"
            if reason is not None:
                return Verdict(False, min(covered, REFUSED_SCORE), reason)
            words = f"quotation and context cover {covered:.0%} of the claim"
            return Verdict(covered >= self._threshold, covered, words)
        alike = similarities(claim, said, self._embedder(), self._analyzer)
        likely = FITTED.probability(signals(alike, claim, said, near, self._analyzer))
        if reason is not None:
            return Verdict(False, min(likely, REFUSED_SCORE), reason)
        needed = max(self._threshold, needed_for_words(claim, said, self._analyzer))
        return Verdict(likely >= needed, likely, f"the quotation supports the claim with {likely:.0%}")

    def refusal(self, claim: str, said: str, near: str) -> str | None:
        """The first exact comparison that fails, in words.

        Args:
            said: the quotes.
            near: the quotes with the text around them.
        """
        names = None if self._embedder is None else self._is_name
        return next(refusals(claim, said, near, self._analyzer, is_name=names), None)

    def _is_name(self, claim: str, word: Span) -> bool:
        assert self._embedder is not None
        return is_name(claim, word, self._embedder())

    def release(self) -> None:
        """Give memory back; the next use takes it again."""
        self._release()


def needed_for_words(claim: str, said: str, analyzer: Analyzer) -> float:
    """The probability that a claim needs for how few of its own words the quotes have; 0 where they have enough."""
    shared, every = own_words(claim, said, analyzer)
    return FEW_SHARED[shared] if shared < min(every, len(FEW_SHARED)) else 0.0


def plain_verdict(claim: str, quotes: Sequence[str]) -> Verdict | None:
    """The verdict where nothing needs to be weighed: there is no quotation, or the claim is one."""
    said = " ".join(quotes)
    if not said.strip() or not claim.strip():
        return Verdict(False, 0.0, "there is no quotation")
    if squash(claim).text.strip(".") in [squash(quote).text.strip(".") for quote in (*quotes, said)]:
        return Verdict(True, 1.0, "the claim is the quotation")
    return None
