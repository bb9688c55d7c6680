"""The evaluators' page over a real store: what it shows of runs and cases, what it keeps, and for whom it is not there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from assistant.bootstrap import Quoth
from assistant.callers import Caller
from assistant.model import Answer
from evals.answers_run import Asking, evaluate_answers, load_run
from evals.case_files import read_case_file
from evals.case_import import import_cases
from evals.case_record import from_json, to_json
from evals.kept_cases import KeptCases
from evals.proposing import Proposals
from evals.reviewing import ClaimKey, Reviews
from evals.run_jobs import RunJobs
from evals.run_store import KeptRun, Runs
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
def runs(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> tuple[KeptRun, KeptRun]:
    """The cases as they are answered, and a later run in which the first of them was not."""
    for name, text, readers in DOCUMENTS:
        root = tmp_path_factory.mktemp("documents")
        (root / name).write_text(text, encoding="utf-8")
        list(quoth.pipeline.add([root], readers=readers))
    file = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in CASES), encoding="utf-8")
    first = evaluate_answers(quoth, file, Asking(LOCAL)).kept
    kept = Runs(quoth.database)
    later = kept.begin(replace(first.facts, settings={**first.facts.settings, "models": "gpt-x"}))
    for at, stored in kept.records(first.id).items():
        one = from_json(stored)
        if one.case_id == "leave":
            silent = replace(one.outcome, status="abstained", claims=(), citations=())
            one = replace(one, outcome=silent, failure_class="wrongly abstained", answer=None)
        kept.keep(later.id, at, one.case_id, to_json(one))
    kept.finish(later.id)
    return first, kept.find(later.id)


@pytest.fixture
def app(quoth: Quoth, runs: tuple[KeptRun, KeptRun]) -> AppTest:
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
    quoth: Quoth, app: AppTest, runs: tuple[KeptRun, KeptRun], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert all(one.id in words(app) for one in runs)
    assert "1.000 (1.00 to 1.00)" in words(app) and "A measure over time" in [one.label for one in app.expander]
    file = tmp_path_factory.mktemp("more") / "more.jsonl"
    file.write_text(json.dumps(CASES[2]) + "\n", encoding="utf-8")
    more = evaluate_answers(quoth, file, Asking(LOCAL))
    opened(app, more.id).run()
    app.button(key=f"delete-{more.id}").click().run()
    assert f"The run {more.id} is forgotten" in words(app)
    assert any(more.id in one.detail for one in quoth.latest_events(action="eval.run.deleted"))
    assert more.id not in [one.id for one in Runs(quoth.database).list()]


def test_a_case_shows_its_answer_what_was_found_and_where_it_went_wrong(
    app: AppTest, runs: tuple[KeptRun, KeptRun]
) -> None:
    at(opened(app, runs[0].id, "leave"), "Cases")
    assert not app.exception and not app.error
    shown = words(app)
    assert f"1. {LEAVE}" in shown and "Nothing was lost" in shown
    assert f"[1] {LEAVE}" in shown and "judge: supported" in shown and "★" in shown
    app.text_input(key="cases-words").set_value("krypton").run()
    assert "leave" not in app.dataframe[0].value["Case"].tolist()


def test_words_of_documents_out_of_reach_are_not_shown(
    quoth: Quoth, app: AppTest, runs: tuple[KeptRun, KeptRun]
) -> None:
    at(opened(app, runs[0].id, "pay"), "Cases")
    assert "you may not read" in words(app) and "71,000" not in words(app)
    run = load_run(Runs(quoth.database), runs[0].id)
    lines = run_lines(quoth, EVALUATOR, run)
    assert "71,000" not in lines and LEAVE in lines
    insider = Caller(Reader("ida", frozenset(("hr",))), EVALUATOR.roles, "session")
    assert "71,000" in run_lines(quoth, insider, run)


def test_two_runs_are_compared_case_by_case(app: AppTest, runs: tuple[KeptRun, KeptRun]) -> None:
    shown = words(at(app, "Compare"))
    assert "3 cases that both have" in shown and "models: quoted, then gpt-x" in shown
    moved = next(one.value for one in app.dataframe if "Case" in one.value)
    assert moved.values.tolist() == [["leave", "worse", "fact", "used", "wrongly abstained"]]
    table = next(one.value for one in app.dataframe if "Measure" in one.value).set_index("Measure")
    recall = table.loc["gold_citation_recall_of_answerable"]
    assert (recall["Before"], recall["After"], recall["Losses"], recall["Ties"]) == (1.0, 0.5, 1, 1)
    app.selectbox(key="compare-type").set_value("none").run()
    assert "No measure differs" in words(app)


def test_statements_are_reviewed_blind_and_the_labels_correct_the_reported_rate(
    quoth: Quoth, app: AppTest, runs: tuple[KeptRun, KeptRun]
) -> None:
    shown = words(at(app, "Review"))
    assert LEAVE in shown and "0 of" in app.get("progress")[0].proto.text
    for hidden in (runs[0].id, runs[1].id, "quoted", "gpt-x", "71,000", "0.9", "checker"):
        assert hidden not in shown, "neither the system nor a score, nor what this reviewer may not read"
    stale = next(one for one in app.button if str(one.key).startswith("review-not-"))
    stale.click().run()
    assert not app.exception and "is “Not supported”" in words(app)
    assert stale.key not in {one.key for one in app.button}, "pressed again, it says nothing of the next statement"
    reviews = Reviews(quoth.database)
    key = ClaimKey(runs[0].id, "leave", 0)
    given = {(one.key, one.reviewer): one.label for one in reviews.labels([runs[0].id])}
    assert given == {(key, "eva@example.org"): "not"}
    reviews.label(key, "not", by=Reader("ulf", frozenset()))
    app.run()
    assert "ulf" in words(app) and "You have seen every statement" in words(app)
    at(opened(app, runs[0].id), "Runs")
    assert "Says yes to 0 of 0 supported, no to 0 of 1 others" in words(app)


def test_a_person_says_what_really_became_of_a_case(quoth: Quoth, app: AppTest, runs: tuple[KeptRun, KeptRun]) -> None:
    at(opened(app, runs[0].id, "leave"), "Cases")
    next(one for one in app.selectbox if one.label == "What happened").set_value("used in part")
    next(one for one in app.text_input if one.label == "Why").set_value("It leaves out the blocks.")
    next(one for one in app.button if one.label == "Keep it with my name").click().run()
    assert not app.exception and not app.error
    (said,) = Reviews(quoth.database).overrides(runs[0].id)["leave"]
    assert (said.verdict, said.by) == ("used in part", "eva@example.org")
    assert "used in part. It leaves out" in words(app)
    at(opened(app, runs[0].id), "Runs")
    table = next(one.value for one in app.dataframe if "With people's verdicts" in one.value).set_index("Measure")
    assert table.loc["cases_right"]["By the rules"].startswith("1.000")
    assert table.loc["cases_right"]["With people's verdicts"].startswith("0.667")


def test_an_answer_that_did_not_help_becomes_a_case_of_a_versioned_file(
    quoth: Quoth, app: AppTest, runs: tuple[KeptRun, KeptRun]
) -> None:
    asker = Reader("ada", frozenset())
    answer = list(quoth.ask(str(CASES[0]["question"]), asker))[-1]
    assert isinstance(answer, Answer)
    quoth.feedback.give(asker, answer.id, helpful=False, reason="incomplete")
    app.query_params["answer"] = str(answer.id)
    assert LEAVE.rstrip(".") in words(at(app, "Make cases"))
    app.run()
    (opening,) = quoth.latest_events(action="answer.opened")  # once, however often the page is drawn
    assert (opening.principal, str(opening.subject)) == ("eva@example.org", str(answer.id))
    next(one for one in app.button if one.label == "Make it a case").click().run()
    assert not app.exception and not app.error
    kept = KeptCases(quoth.database)
    (case,) = kept.cases("conversations", EVALUATOR.reader)
    assert (case.question, case.made_by) == (CASES[0]["question"], "eva@example.org")
    assert [(one["source"], one["quote"]) for one in case.gold] == [("leave.md", LEAVE)]
    next(one for one in app.button if one.label == "Make it a case").click().run()
    assert "has a case with this question already" in words(app)
    app.button(key="take-out").click().run()
    assert kept.cases("conversations", EVALUATOR.reader) == [] and len(kept.history("conversations")) == 2
    assert [one.id for one in kept.cases("conversations", EVALUATOR.reader, version=1)] == [case.id]


def test_who_is_no_evaluator_sees_nothing_of_it(quoth: Quoth, runs: tuple[KeptRun, KeptRun]) -> None:
    owner = Caller(Reader("ada", frozenset()), frozenset(("reader", "owner")), "session")
    page = AppTest.from_function(script, args=(quoth, owner), default_timeout=60).run()
    assert "needs the role" in words(page) and not page.dataframe and not page.button


def test_the_scores_of_a_run_are_held_against_the_truth_with_the_numbers_as_tables(
    app: AppTest, runs: tuple[KeptRun, KeptRun]
) -> None:
    opened(app, runs[0].id).run()
    assert not app.exception and not app.error
    assert "Calibration and risk" in [one.label for one in app.expander]
    columns = [list(frame.value.columns) for frame in app.dataframe]
    assert ["Share of the given answers", "Risk"] in columns
    assert any("Mean score" in one and "Share right" in one for one in columns)
    assert "no such label" in words(app)  # nobody has labelled a statement of it


def test_a_run_is_started_from_the_page_watched_and_cancelled(
    quoth: Quoth, app: AppTest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("import") / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in (CASES[0], CASES[2])), encoding="utf-8")
    found = import_cases(quoth, "started", read_case_file(file), EVALUATOR.reader)
    assert found.added == 2
    app.run()
    app.selectbox(key="start-file").set_value("started").run()
    app.button(key="start-estimate").click().run()
    assert "2 cases" in words(app)
    app.button(key="start-run").click().run()
    assert not app.exception and "A run of 2 cases waits for the worker" in words(app)
    assert "No worker lives now" in words(app)
    job = RunJobs(quoth).list()[0]
    assert (job.state, job.asked_by.name) == ("waiting", EVALUATOR.reader.name)
    app.button(key=f"cancel-{job.id}").click().run()
    assert RunJobs(quoth).find(job.id).state == "cancelled"
    app.button(key="start-run").click().run()
    jobs = RunJobs(quoth)
    again = jobs.list()[0]
    jobs.take(again.id, lambda: False, False)  # as the worker does
    app.run()
    run = str(jobs.find(again.id).run)
    assert f"run {run} · for eva" in words(app)


def test_cases_are_proposed_on_the_page_and_decided_on(quoth: Quoth, app: AppTest) -> None:
    at(app, "Make cases")
    next(one for one in app.button if one.label == "Propose").click().run()
    assert not app.exception and "are proposed" in words(app)
    proposals = Proposals(quoth)
    first, *others = proposals.listed(EVALUATOR.reader)
    assert others and not any("pay.txt" in one.source for one in (first, *others))
    app.text_input(key=f"proposal-question-{first.id}").set_value("How long can parents stay away?")
    next(one for one in app.button if one.label == "Accept").click().run()
    assert "It is case" in words(app) and first.id not in {one.id for one in proposals.listed(EVALUATOR.reader)}
    kept = [
        case.question
        for one in KeptCases(quoth.database).files()
        for case in KeptCases(quoth.database).cases(one.file, LOCAL)
    ]
    assert "How long can parents stay away?" in kept
    next(one for one in app.button if one.label == "Reject").click().run()
    assert "It is rejected" in words(app)
    assert len(proposals.listed(EVALUATOR.reader)) == len(others) - 1
