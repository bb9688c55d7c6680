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
        "sentence_cosine": 0.273,
        "passage_cosine": 0.1905,
        "best_cosine": 0.379,
        "sentence_coverage": 0.613,
        "around_coverage": 0.1612,
        "passage_coverage": -0.3578,
        "coverage_squared": -0.215,
        "lexical": -0.0978,
        "rarest_absent": -0.2073,
        "covered_but_rarest": -0.0084,
        "names_absent": -0.2556,
        "number_absent": -0.2222,
        "kind_absent": -0.1412,
        "negated": -0.2688,
        "margin": -0.0324,
        "passage_margin": -0.0443,
    },
    scales={
        "sentence_cosine": (0.557, 0.1438),
        "passage_cosine": (0.5171, 0.1564),
        "best_cosine": (0.5726, 0.134),
        "sentence_coverage": (0.6216, 0.2542),
        "around_coverage": (0.6647, 0.2544),
        "passage_coverage": (0.7067, 0.2433),
        "coverage_squared": (0.5586, 0.3156),
        "lexical": (0.8938, 0.3251),
        "rarest_absent": (0.1761, 0.1315),
        "covered_but_rarest": (0.1002, 0.07),
        "names_absent": (0.049, 0.1519),
        "number_absent": (0.0359, 0.1861),
        "kind_absent": (0.0401, 0.1963),
        "negated": (0.0851, 0.279),
        "margin": (0.2806, 0.2256),
        "passage_margin": (0.1908, 0.1443),
    },
    intercept=0.3709,
    threshold=THRESHOLD,
)
