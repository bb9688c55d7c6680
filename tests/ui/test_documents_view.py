from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

sys.path.insert(0, str(Path(__file__).parent))
from scripted_quoth import ScriptedQuoth

from ui.views import documents_view

TIMEOUT_S = 30


def page(quoth):  # type: ignore[no-untyped-def]  # its source is run alone
    from ingest.access import LOCAL
    from ui.views import documents_view

    documents_view.show(quoth, LOCAL)


def detail(quoth):  # type: ignore[no-untyped-def]
    from ingest.access import LOCAL
    from ui.views import documents_view

    documents = quoth.catalog.documents(LOCAL)
    documents_view.show_document(quoth, LOCAL, documents[0], documents)


@pytest.fixture
def quoth() -> ScriptedQuoth:
    return ScriptedQuoth()


@pytest.fixture
def app(quoth: ScriptedQuoth) -> AppTest:
    return AppTest.from_function(page, args=(quoth,), default_timeout=TIMEOUT_S).run()


def plain(text: str) -> str:
    return text.replace("\\", "")


def add(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    for name, content in files:
        app.file_uploader[0].upload(name, content, "text/plain")
    app.button(key="add-files").click().run()
    assert not app.exception
    return app


def results(app: AppTest) -> list[str]:
    return [plain(one.value) for one in app.markdown if one.value.startswith("**")]


def test_the_table_lists_what_may_be_read(app: AppTest) -> None:
    assert not app.exception
    table: Any = app.dataframe[0].value
    assert list(table["Source"]) == ["hr/leave.pdf", "office/notes.md"]
    assert list(table["Pages"]) == ["2", ""]
    assert list(table["May read"]) == ["everyone", "everyone"]


def test_files_are_added_and_each_says_what_became_of_it(app: AppTest, quoth: ScriptedQuoth) -> None:
    add(app, ("new.md", b"Some text."), ("blank.md", b"  "))
    assert results(app) == [
        "**new.md**  \nAdded: 2 passages. It can be asked about now.",
        "**blank.md**  \nNo text in it. There is no text.",
    ]
    assert quoth.pipeline.added == [("new.md", b"Some text."), ("blank.md", b"  ")]
    assert "new.md" in list(app.dataframe[0].value["Source"])
    app.button(key="dismiss-results").click().run()
    assert results(app) == []


def test_files_of_one_name_do_not_overwrite_one_another(app: AppTest, quoth: ScriptedQuoth) -> None:
    add(app, ("a.md", b"first"), ("a.md", b"second"))
    assert quoth.pipeline.added == [("a.md", b"first"), ("a.md", b"second")]


def test_nothing_to_add_is_said(app: AppTest) -> None:
    app.button(key="add-files").click().run()
    assert app.error[0].value == "Choose at least one file first."


@pytest.mark.parametrize(
    ("files", "collection", "said"),
    [(0, "default", "at least one"), (101, "default", "quoth add FOLDER"), (1, " ", "collection's name"),
     (1, "eval-x", "collection's name"), (1, "default", None), (100, "hr", None)],
)  # fmt: skip
def test_what_stops_an_upload(files: int, collection: str, said: str | None) -> None:
    problem = documents_view.upload_problem(files, collection)
    assert problem is None if said is None else said in str(problem)


@given(st.text())
def test_a_file_name_is_never_a_path(name: str) -> None:
    safe = documents_view.safe_name(name)
    assert safe and PurePosixPath(safe).name == safe and safe not in (".", "..")
    assert not safe.startswith(".") and "\0" not in safe and "\\" not in safe
    assert len(safe.encode()) <= 200


@pytest.mark.parametrize(
    ("name", "safe"),
    [("plan.pdf", "plan.pdf"), ("../../etc/passwd", "passwd"), (r"C:\docs\plan.pdf", "plan.pdf"), ("..", "unnamed"),
     ("a/.hidden", "hidden"), ("", "unnamed"), ("é" * 300 + ".pdf", "é" * 98 + ".pdf")],
)  # fmt: skip
def test_file_names_as_browsers_send_them(name: str, safe: str) -> None:
    assert documents_view.safe_name(name) == safe


def test_readers_are_changed_at_once(quoth: ScriptedQuoth) -> None:
    app = AppTest.from_function(detail, args=(quoth,), default_timeout=TIMEOUT_S).run()
    assert app.button(key="save-readers").disabled
    app.multiselect[0].set_value(["hr", "user:ada"]).run()
    app.button(key="save-readers").click().run()
    assert not app.exception
    assert quoth.catalog.readers_set == [(quoth.policy.document.id, ("hr", "user:ada"))]


def test_a_name_that_is_no_group_is_refused_in_words(quoth: ScriptedQuoth) -> None:
    app = AppTest.from_function(detail, args=(quoth,), default_timeout=TIMEOUT_S).run()
    app.multiselect[0].set_value(["*"]).run()
    app.button(key="save-readers").click().run()
    assert "is not a group name" in plain(app.error[0].value)
    assert quoth.catalog.readers_set == []


def test_taking_all_readers_away_is_refused_in_words(quoth: ScriptedQuoth) -> None:
    app = AppTest.from_function(detail, args=(quoth,), default_timeout=TIMEOUT_S).run()
    app.multiselect[0].set_value([]).run()
    app.button(key="save-readers").click().run()
    assert "names no group" in plain(app.error[0].value)


def test_reindexing_says_what_became_of_it(quoth: ScriptedQuoth) -> None:
    app = AppTest.from_function(detail, args=(quoth,), default_timeout=TIMEOUT_S).run()
    app.button(key="reindex").click().run()
    assert not app.exception
    assert app.session_state[documents_view.NOTICE] == ("good", "Reindexed: 3 passages.")


def test_removing_asks_first(quoth: ScriptedQuoth) -> None:
    app = AppTest.from_function(detail, args=(quoth,), default_timeout=TIMEOUT_S).run()
    app.button(key="remove").click().run()
    assert any("It cannot be undone" in one.value for one in app.markdown)
    assert quoth.policy.document.id in quoth.catalog.stored
