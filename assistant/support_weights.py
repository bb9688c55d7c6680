"""The weights of the local support checker, and how they were made.

Fitted by `python -m evals.bench.checker DATA --fit` (logistic regression, ridge 1, Newton's method; every collection
counts the same) on samples of SciFact's claims with rationales and with those of other claims, AttributionBench and
Climate-FEVER, and on the tuning half of our own paraphrases with unrelated passages.
What evals/published/checker.md shows of a collection comes from weights fitted on the others.

The threshold keeps nine in ten of the supported pairs that no exact comparison refuses, on every collection, while
fewer than 2 % of unrelated quotes pass. It is far below one half: what a quotation says in other words scores low, and
what is nearly the same and false is for the exact comparisons to refuse.
"""

from __future__ import annotations

from typing import Final

from assistant.support import SupportModel

FITTED: Final = SupportModel(
    weights={
        "maxsim": 0.2897,
        "low": 0.2442,
        "sentence": 0.4745,
        "whole": 0.8115,
        "quantities": -0.4653,
        "names": -0.2252,
        "negation": -0.3278,
        "turned": -0.2291,
    },
    scales={
        "maxsim": (0.5105, 0.2102),
        "low": (0.3073, 0.1966),
        "sentence": (0.502, 0.2422),
        "whole": (0.5, 0.2439),
        "quantities": (0.3103, 0.6904),
        "names": (0.5008, 0.8968),
        "negation": (0.1417, 0.3487),
        "turned": (0.0238, 0.1525),
    },
    intercept=-0.92,
    threshold=0.15,
)
