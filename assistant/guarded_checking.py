"""A stronger judge of meaning behind the exact comparisons, with the local checker for when it cannot judge."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from assistant.grounding import REFUSED_SCORE, LocalChecker, plain_verdict
from assistant.model import Verdict
from ingest.errors import ConfigurationError, ServiceError
from ingest.metering import Caller, in_name_of


class Judge(Protocol):
    """Says how likely it is that a text supports a claim."""

    @property
    def name(self) -> str: ...

    def judge(self, claim: str, said: str) -> Verdict:
        """Judge the claim by what the quotes say together, and by nothing else.

        Raises:
            ServiceError: it cannot judge now.
            ConfigurationError: it cannot judge until the operator mends it.
        """
        ...

    def release(self) -> None:
        """Give memory back; the next use takes it again."""
        ...


class GuardedChecker:
    """A Checker: exact comparisons first, then the judge; the local checker where the judge fails.

    A number, name or negation that the quotes do not have refuses a claim whatever the judge would say, so that a
    document which talks the judge into agreeing cannot change an amount.
    """

    def __init__(self, judge: Judge, local: LocalChecker) -> None:
        self._judge = judge
        self._local = local

    def for_caller(self, caller: Caller) -> GuardedChecker:
        """This checker for one answer; only a judge that calls a model makes a difference of it."""
        bound = copy.copy(self)
        bound._judge = in_name_of(self._judge, caller)
        return bound

    @property
    def name(self) -> str:
        return self._judge.name

    def check(self, claim: str, quotes: Sequence[str], *, around: Sequence[str]) -> Verdict:
        """As Checker; the reason begins with the judge's name where it failed and the local checker judged."""
        plain = plain_verdict(claim, quotes)
        if plain is not None:
            return plain
        said = " ".join(quotes)
        reason = self._local.refusal(claim, said, " ".join((said, *around)))
        if reason is not None:
            return Verdict(False, REFUSED_SCORE, reason)
        try:
            return self._judge.judge(claim, said)
        except (ServiceError, ConfigurationError) as error:
            verdict = self._local.check(claim, quotes, around=around)
            failed = f"{self._judge.name} did not judge ({error})"
            return replace(verdict, reason=f"{failed} {self._local.name}: {verdict.reason}", failed=failed)

    def release(self) -> None:
        """Give the models' memory back."""
        self._judge.release()
        self._local.release()
