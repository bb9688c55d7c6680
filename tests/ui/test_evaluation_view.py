"""The evaluators' page over a real store: what it shows of runs and cases, what it keeps, and for whom it is not there."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from assistant.bootstrap import Quoth
from assistant.callers import Caller
from evals.answers_run import AnswersRun, Asking, RunOptions, evaluate_answers
from evals.run_store import Runs
from ingest.access import LOCAL, Reader
from ui.run_panel import run_lines

pytestmark = pytest.mark.integration
EVALUATOR = Caller(Reader("eva@example.org", frozenset()), frozenset(("reader", "evaluator")), "session")
LEAVE = "New parents receive twenty weeks of paid parental leave."
SALARY = "The salary band of a senior engineer starts at 71,000 euros a year."
DOCUMENTS = (
    ("leave.md", f"# Parental leave\n\n{LEAVE} It can be taken in two blocks.", ["everyone"]),
    ("travel.txt", "Hotel rooms may cost at most 140 euros a night.", ["everyone"]),
    ("pay.txt", f"{SALARY} Bands are reviewed every March.", ["hr"]),
)
CASES = [
    {
        "id": "leave",
        "question": "How many weeks of paid parental leave do new parents receive?",
        "gold": [{"source": "leave.md", "quote": LEAVE}],
        "type": "fact",
    },
    {
        "id": "pay",
        "question": "Where does the salary band of a senior engineer start?",
        "gold": [{"source": "pay.txt", "quote": SALARY}],
        "groups": ["hr"],
        "type": "secret",
    },
    {"id": "krypton", "question": "Which wavelength does a krypton laser emit?", "answerable": False, "type": "none"},
]


def script(quoth, caller):  # type: ignore[no-untyped-def]  # its source is run alone
    from ui.app import errors_in_words
    from ui.views import evaluation_view

    with errors_in_words():
        evaluation_view.show(quoth, caller)


@pytest.fixture(scope="module")
def runs(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> tuple[AnswersRun, AnswersRun]:
    """The same cases twice: with the documents, and after a while without half of the knowledge."""
    for name, text, readers in DOCUMENTS:
        root = tmp_path_factory.mktemp("documents")
        (root / name).write_text(text, encoding="utf-8")
        list(quoth.pipeline.add([root], readers=readers))
    file = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in CASES), encoding="utf-8")
    first = evaluate_answers(quoth, file, Asking(LOCAL))
    return first, evaluate_answers(quoth, file, Asking(LOCAL), RunOptions(fresh=True))


@pytest.fixture
def app(quoth: Quoth, runs: tuple[AnswersRun, AnswersRun]) -> AppTest:
    return AppTest.from_function(script, args=(quoth, EVALUATOR), default_timeout=60).run()


def at(app: AppTest, section: str) -> AppTest:
    app.segmented_control(key="evaluation-section").set_value(section).run()
    assert not app.exception and not app.error
    return app


def words(app: AppTest) -> str:
    shown = [*app.text, *app.caption, *app.success, *app.info, *app.error, *app.markdown, *app.subheader]
    return "\n".join(str(one.value).replace("\\", "") for one in shown) + "\n".join(
        frame.value.to_csv() for frame in app.dataframe
    )


def opened(app: AppTest, run: str, case: str = "") -> AppTest:
    app.query_params["run"] = run
    if case:
        app.query_params["case"] = case
    return app


def test_runs_are_listed_with_intervals_and_one_is_forgotten_after_asking(
    quoth: Quoth, app: AppTest, runs: tuple[AnswersRun, AnswersRun], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert all(one.id in words(app) for one in runs)
    assert "1.000 (1.00 to 1.00)" in words(app) and "A measure over time" in [one.label for one in app.expander]
    file = tmp_path_factory.mktemp("more") / "more.jsonl"
    file.write_text(json.dumps(CASES[2]) + "\n", encoding="utf-8")
    more = evaluate_answers(quoth, file, Asking(LOCAL))
    opened(app, more.id).run()
    app.button(key=f"delete-{more.id}").click().run()
    assert f"The run {more.id} is forgotten" in words(app)
    assert more.id not in [one.id for one in Runs(quoth.database).list()]


def test_a_case_shows_its_answer_what_was_found_and_where_it_went_wrong(
    app: AppTest, runs: tuple[AnswersRun, AnswersRun]
) -> None:
    opened(at(app, "Cases"), runs[0].id, "leave").run()
    assert not app.exception and not app.error
    shown = words(app)
    assert f"1. {LEAVE}" in shown and "Nothing was lost" in shown
    assert f"[1] {LEAVE}" in shown and "judge: supported" in shown and "★" in shown
    app.text_input(key="cases-words").set_value("krypton").run()
    assert "leave" not in app.dataframe[0].value["Case"].tolist()


def test_words_of_documents_out_of_reach_are_not_shown(
    quoth: Quoth, app: AppTest, runs: tuple[AnswersRun, AnswersRun]
) -> None:
    opened(at(app, "Cases"), runs[0].id, "pay").run()
    assert "you may not read" in words(app) and "71,000" not in words(app)
    lines = run_lines(quoth, EVALUATOR, runs[0])
    assert "71,000" not in lines and LEAVE in lines
    insider = Caller(Reader("ida", frozenset(("hr",))), EVALUATOR.roles, "session")
    assert "71,000" in run_lines(quoth, insider, runs[0])


def test_who_is_no_evaluator_sees_nothing_of_it(quoth: Quoth, runs: tuple[AnswersRun, AnswersRun]) -> None:
    owner = Caller(Reader("ada", frozenset()), frozenset(("reader", "owner")), "session")
    page = AppTest.from_function(script, args=(quoth, owner), default_timeout=60).run()
    assert "needs the role" in words(page) and not page.dataframe and not page.button
