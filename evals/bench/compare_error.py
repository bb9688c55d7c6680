"""How often two equal systems are told apart: the share of simulated comparisons with any significant measure.

    python -m evals.bench.compare_error [--runs 1000] [--cases 60]

Two runs are drawn from one system: for each case and measure, both values come from the same distribution, with the
cases' own difficulty and the measures' own dependence, as shares, as yes or no, and with many ties. The comparison is
that of `quoth eval compare`. Exit code 1 when more than 5 % of the comparisons find a difference (after Holm).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

import numpy as np

from evals.comparing import SIGNIFICANT
from evals.intervals import holm, paired_randomization

MEASURES: Final = 20
ROUNDS: Final = 2_000  # of the randomisation; a comparison has more
SEED: Final = 71


def simulated(rng: np.random.Generator, cases: int) -> list[np.ndarray]:
    """Differences of two runs of one system, (cases,) for each measure."""
    difficulty = rng.beta(2, 1, cases)  # most cases are easy
    differs = rng.random(cases) < 0.3  # the other cases come out the same: systems repeat themselves
    moves = []
    luck = rng.random((2, cases))  # shared by the measures of one run: a lost passage is lost for all of them
    for at in range(MEASURES):
        own = rng.random((2, cases))
        drawn = np.where(rng.random((2, cases)) < 0.7, luck, own) < difficulty
        if at % 3 == 0:  # yes or no
            values = drawn.astype(np.float64)
        elif at % 3 == 1:  # shares of few items
            values = rng.binomial(3, np.where(drawn, 0.9, 0.3)) / 3
        else:  # any number
            values = np.where(drawn, rng.beta(8, 2, (2, cases)), rng.beta(2, 4, (2, cases)))
        moves.append(np.where(differs, values[1] - values[0], 0.0))
    return moves


def false_alarms(runs: int, cases: int, *, rounds: int = ROUNDS, seed: int = SEED) -> tuple[int, int]:
    """Of `runs` comparisons of equal systems, those with a significant measure: after Holm, and without it."""
    rng = np.random.default_rng(seed)
    after = without = 0
    for _ in range(runs):
        pvalues = [paired_randomization(move.tolist(), rounds=rounds) for move in simulated(rng, cases)]
        after += min(holm(pvalues)) < SIGNIFICANT
        without += min(pvalues) < SIGNIFICANT
    return after, without


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.bench.compare_error")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--cases", type=int, default=60)
    arguments = parser.parse_args(argv)
    after, without = false_alarms(arguments.runs, arguments.cases)
    share = after / arguments.runs
    print(
        f"{arguments.runs} comparisons of equal systems, {MEASURES} measures over {arguments.cases} cases: {after} "
        f"({share:.1%}) find a difference after Holm; {without} ({without / arguments.runs:.1%}) would without it"
    )
    return 0 if share <= SIGNIFICANT else 1


if __name__ == "__main__":
    sys.exit(main())
