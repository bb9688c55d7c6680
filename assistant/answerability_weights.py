"""The weights of answerability, and how they were made.

Written by `python -m evals.bench.abstention SQUAD_FOLDER --handbook QUESTIONS.jsonl FOLDER --write`: logistic
regression (ridge 10) on 1,200 questions of SQuAD 2.0, 600 of SQuAD 1.1 and 200 off topic, and on 96 of our own on a
public handbook, of which each counts twice. The sample handbook's cases were not among them. The threshold is the
highest at which no set loses more than a tenth of its answerable questions, by weights fitted without their articles or
documents; evals/published/abstention.md shows what it does.
"""

from __future__ import annotations

from typing import Final

from assistant.support import SupportModel

THRESHOLD: Final = 0.28
FITTED: Final = SupportModel(
    weights={
        "sentence_cosine": 0.2932,
        "passage_cosine": 0.3658,
        "best_cosine": 0.25,
        "sentence_coverage": 0.6947,
        "around_coverage": 0.1749,
        "passage_coverage": -0.2752,
        "coverage_squared": -0.0744,
        "lexical": -0.3075,
        "rarest_absent": -0.1938,
        "covered_but_rarest": 0.0737,
        "names_absent": -0.3194,
        "number_absent": -0.2749,
        "kind_absent": -0.155,
        "negated": -0.2819,
        "margin": -0.1915,
        "passage_margin": -0.005,
    },
    scales={
        "sentence_cosine": (0.5558, 0.1492),
        "passage_cosine": (0.5171, 0.1605),
        "best_cosine": (0.5705, 0.1402),
        "sentence_coverage": (0.6159, 0.2568),
        "around_coverage": (0.6559, 0.258),
        "passage_coverage": (0.6989, 0.2531),
        "coverage_squared": (0.5526, 0.3227),
        "lexical": (0.8847, 0.3409),
        "rarest_absent": (0.1755, 0.13),
        "covered_but_rarest": (0.0978, 0.0703),
        "names_absent": (0.0586, 0.1735),
        "number_absent": (0.0301, 0.1708),
        "kind_absent": (0.0392, 0.194),
        "negated": (0.0774, 0.2672),
        "margin": (0.2828, 0.2221),
        "passage_margin": (0.1921, 0.144),
    },
    intercept=0.4384,
    threshold=THRESHOLD,
)
