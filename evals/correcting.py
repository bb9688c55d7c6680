"""What a judge's own errors do to a rate that it reports, and the rate with them taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from assistant.model import Checker
from evals.case_scores import uncited
from evals.checker_run import LabelledPair
from evals.intervals import SEED, Interval
from evals.judging import Judged, balanced_accuracy, confusion, kappa, labelled
from evals.outcome import Outcome

DRAWS: Final = 20_000
RATES: Final = ("supported_sentences", "faithful_sentences")


@dataclass(frozen=True, slots=True)
class JudgeRates:
    """A judge against human labels: how often it says yes to what people say yes to, and no to the rest."""

    true_yes: int
    yes: int  # labelled supported
    true_no: int
    no: int
    balanced_accuracy: float | None
    kappa: float | None

    @property
    def sensitivity(self) -> float | None:
        return self.true_yes / self.yes if self.yes else None

    @property
    def specificity(self) -> float | None:
        return self.true_no / self.no if self.no else None


@dataclass(frozen=True, slots=True)
class Corrected:
    """A rate as the judge reports it, and as it is once the judge's errors are taken out."""

    observed: float | None
    n: int
    value: float | None  # None: the judge is no better than a coin, or nothing was judged
    interval: Interval | None  # 95 %, with the uncertainty of the judge's own rates


def judge_rates(judge: Checker, pairs: Sequence[LabelledPair]) -> JudgeRates:
    """Measure a judge on labelled pairs."""
    verdicts = [judge.check(pair.claim, [pair.passage], around=[]) for pair in pairs]
    return rates_of(labelled([(one.score, one.supported) for one in verdicts], [pair.label for pair in pairs]))


def rates_of(judged: Judged) -> JudgeRates:
    counts = confusion(judged)
    some = len(judged.labels) > 0
    return JudgeRates(
        true_yes=counts["tp"],
        yes=counts["tp"] + counts["fn"],
        true_no=counts["tn"],
        no=counts["tn"] + counts["fp"],
        balanced_accuracy=balanced_accuracy(judged.accepted, judged.labels) if some else None,
        kappa=kappa(judged.accepted, judged.labels) if some else None,
    )


def corrected(hits: int, total: int, rates: JudgeRates) -> Corrected:
    """(observed + specificity - 1) / (sensitivity + specificity - 1), clipped to 0..1.

    The interval draws the three shares from their posteriors under Jeffreys' prior, Beta(hits + 1/2, misses + 1/2), and
    takes the middle 95 % of the corrected rates: few labels make it wide.

    Source: Rogan and Gladen, American Journal of Epidemiology, 1978.
    """
    observed = hits / total if total else None
    if observed is None or rates.sensitivity is None or rates.specificity is None:
        return Corrected(observed, total, None, None)
    power = rates.sensitivity + rates.specificity - 1
    if power <= 0:
        return Corrected(round(observed, 4), total, None, None)
    value = min(1.0, max(0.0, (observed + rates.specificity - 1) / power))
    rng = np.random.default_rng(SEED)
    seen, yes, no = (
        rng.beta(of + 0.5, among - of + 0.5, DRAWS)
        for of, among in ((hits, total), (rates.true_yes, rates.yes), (rates.true_no, rates.no))
    )
    powers = yes + no - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.where(powers > 0, np.clip((seen + no - 1) / powers, 0.0, 1.0), rng.random(DRAWS))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Corrected(
        round(observed, 4),
        total,
        round(value, 4),
        (round(min(float(low), value), 4), round(max(float(high), value), 4)),
    )


def corrected_rates(outcomes: Sequence[Outcome], rates: JudgeRates) -> dict[str, Corrected]:
    """Sentences that the judge says their citations support, and those that it says the context entails.

    A sentence without a citation is unsupported whatever the judge says, so it stays out of the correction's reach: the
    rates are over sentences that the judge was asked about.
    """
    asked = [claim for one in outcomes for claim in one.claims if claim.judged and not uncited(claim)]
    grounded = [claim for one in outcomes if one.context_known for claim in one.claims if claim.grounded is not None]
    return dict(
        zip(
            RATES,
            (
                corrected(sum(claim.supported for claim in asked), len(asked), rates),
                corrected(sum(bool(claim.grounded) for claim in grounded), len(grounded), rates),
            ),
            strict=True,
        )
    )


def corrected_json(rates: JudgeRates, found: Mapping[str, Corrected]) -> dict[str, Any]:
    return {
        "judge": {
            "labels": rates.yes + rates.no,
            "true_positive_rate": rates.sensitivity,
            "true_negative_rate": rates.specificity,
            "balanced_accuracy": rates.balanced_accuracy,
            "kappa": rates.kappa,
        },
        "corrected": {
            name: {
                "observed": one.observed,
                "value": one.value,
                "n": one.n,
                "interval": list(one.interval) if one.interval else None,
            }
            for name, one in found.items()
        },
    }


def corrected_table(rates: JudgeRates, found: Mapping[str, Corrected]) -> str:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    lines = [
        f"judge on {rates.yes + rates.no} labelled pairs: says yes to {shown(rates.sensitivity)} of the supported and "
        f"no to {shown(rates.specificity)} of the others; balanced accuracy {shown(rates.balanced_accuracy)}, "
        f"kappa {shown(rates.kappa)}"
    ]
    for name, one in found.items():
        span = "" if one.interval is None else f"  [{one.interval[0]:.3f}, {one.interval[1]:.3f}]"
        lines.append(f"{name:<28}{shown(one.observed):>8} reported, {shown(one.value)} corrected{span}, n {one.n}")
    return "\n".join(lines)
