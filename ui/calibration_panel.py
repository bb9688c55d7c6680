"""Whether a run's scores mean what they say, as curves and, for who cannot see them, as tables of the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import altair
import streamlit as st

from evals.answers_run import AnswersRun
from evals.calibration import (
    Calibration,
    answers,
    at_coverages,
    calibration,
    risk_curve,
    statements_by_people,
    statements_by_reference,
)
from evals.reviewing import Reviews

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

HEIGHT_PX: Final = 260
MOST_POINTS: Final = 300  # of a curve
SHARE: Final = altair.Scale(domain=[0, 1])


def show_calibration(quoth: Quoth, run: AnswersRun) -> None:
    """The support score against people and the reference answers; the answer's score against being right; risk."""
    people = calibration(statements_by_people(run, Reviews(quoth.database).labels([run.id])))
    reference = calibration(statements_by_reference(run))
    given = calibration(answers(run))
    with st.expander("Calibration and risk", icon=":material/monitoring:", key=f"calibration-{run.id}"):
        left, right = st.columns(2)
        with left:
            _reliability(people, "Statements: support score against people", "said to be supported")
            _reliability(reference, "Statements: support score against the reference answers", "right by the reference")
        with right:
            _reliability(given, "Answers: confidence against being right", "cite what a right answer rests on")
            _risk(run)


def _reliability(found: Calibration, title: str, right: str) -> None:
    st.markdown(f"**{title}**")
    if not found.n:
        st.caption("There is nothing to compare: no such label, or no score.")
        return
    rows = [
        {
            "Scores from": one.low, "to": one.high, "n": one.n, "Mean score": one.mean_score, "Share right": one.share,
            "Low": one.interval[0], "High": one.interval[1],
        }
        for one in found.bins
    ]  # fmt: skip
    said = "; ".join(f"{one.share:.2f} at {one.mean_score:.2f}, n={one.n}" for one in found.bins)
    base = altair.Chart(altair.Data(values=rows)).encode(
        x=altair.X("Mean score:Q", scale=SHARE, title="mean score"),
    )
    even = altair.Chart(altair.Data(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}])).mark_line(
        strokeDash=[4, 4], opacity=0.5
    )
    _chart(
        even.encode(x="x:Q", y="y:Q")
        + base.mark_rule(opacity=0.5).encode(y=altair.Y("Low:Q", scale=SHARE, title="share right"), y2="High:Q")
        + base.mark_line(point=True).encode(
            y=altair.Y("Share right:Q", scale=SHARE),
            tooltip=["n:Q", "Mean score:Q", "Share right:Q", "Low:Q", "High:Q"],
        ),
        f"{title}. Share {right} by mean score: {said}.",
    )
    st.caption(
        f"ECE {found.ece:.3f}, Brier {found.brier:.3f}, n={found.n}. On the dotted line scores are what they say; "
        f"upright lines are 95 % intervals of the share {right}."
    )
    _table(rows, f"{title}, in numbers")


def _risk(run: AnswersRun) -> None:
    title = "Answers: risk by share answered"
    st.markdown(f"**{title}**")
    curve = risk_curve(run)
    measure = run.measure("aurc")
    if not curve or measure is None or measure.value is None:
        st.caption("There is nothing to compare: no answer has a confidence.")
        return
    step = max(1, len(curve) // MOST_POINTS)
    points = [{"share": share, "risk": risk} for share, risk in (*curve[::step], curve[-1])]
    rows = [{"Share of the given answers": share, "Risk": round(risk, 4)} for share, risk in at_coverages(curve)]
    line = altair.Chart(altair.Data(values=points)).mark_line().encode(
        x=altair.X("share:Q", scale=SHARE, title="share of the given answers, the surest first"),
        y=altair.Y("risk:Q", scale=SHARE, title="mean loss"),
        tooltip=["share:Q", "risk:Q"],
    )  # fmt: skip
    said = "; ".join(f"{row['Risk']:.2f} at {row['Share of the given answers']:.2f}" for row in rows)
    _chart(line, f"{title}: {said}.")
    span = f" ({measure.interval[0]:.3f} to {measure.interval[1]:.3f})" if measure.interval else ""
    st.caption(
        f"Area under the curve {measure.value:.3f}{span}; 0 is best. Loss: the gold that an answer leaves uncited."
    )
    _table(rows, f"{title}, in numbers")


def _chart(chart: Any, description: str) -> None:
    st.altair_chart(chart.properties(description=description, height=HEIGHT_PX))


def _table(rows: Sequence[dict[str, float]], alt: str) -> None:
    st.dataframe(rows, hide_index=True, alt=alt, height="content")
