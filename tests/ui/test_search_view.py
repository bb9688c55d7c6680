"""The search page over a real store: what it finds, why, and narrowing that a person takes up."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from assistant.bootstrap import Quoth
from ui.source_pane import OPEN

pytestmark = pytest.mark.integration


def script(quoth):  # type: ignore[no-untyped-def]  # its source is run alone
    from ingest.access import LOCAL
    from ui.views import search_view

    search_view.show(quoth, LOCAL)


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder = tmp_path_factory.mktemp("quays")
    (folder / "berths.md").write_text("# Berths\n\nA berth on the north quay costs nine crowns a night.\n")
    (folder / "fees.html").write_text(
        "<h1>Fees</h1><p>A berth for a *guest* <b>boat</b> is free on the first night.</p>"
    )
    assert len(list(quoth.pipeline.add([folder], owner="Ada"))) == 2
    return quoth


@pytest.fixture
def app(filled: Quoth) -> AppTest:
    return AppTest.from_function(script, args=(filled,), default_timeout=60).run()


def searched(app: AppTest, question: str) -> AppTest:
    app.text_input(key="search-question").set_value(question).run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    return "\n".join(one.value for one in [*app.markdown, *app.caption, *app.text, *app.info])


def test_it_shows_what_was_found_and_why(app: AppTest) -> None:
    searched(app, "What does a berth cost?")
    assert "A berth on the north quay costs nine crowns a night." in words(app)
    assert "A berth for a *guest* boat" in words(app)  # as it stands, no markup
    assert "Chosen from: 2 passages that you may read." in words(app)
    ranks = app.dataframe[1].value
    assert list(ranks["Final"]) == [1, 2]
    assert {"Words", "Words, score", "Meaning", "Both"} <= set(ranks.columns)


def test_an_offer_narrows_only_when_it_is_taken_up(app: AppTest) -> None:
    searched(app, "What do the web pages say of a berth? From the web pages by Ada")
    offers = {one.label: one for one in app.button if one.label.startswith("Only")}
    assert set(offers) == {"Only documents of Ada", "Only web pages"}
    assert "berths.md" in words(app).replace("\\", "")
    offers["Only web pages"].click().run()
    assert not app.exception
    assert "berths.md" not in words(app).replace("\\", "")
    assert "Chosen from: 1 passage that you may read; web pages." in words(app)
    app.button(key="search-all").click().run()
    assert "Chosen from: 2 passages that you may read." in words(app)


def test_a_hit_opens_its_source(app: AppTest) -> None:
    searched(app, "nine crowns")
    app.button(key="open-hit-0").click().run()
    assert not app.exception
    assert app.session_state[OPEN].passage == 0
    assert any(one.proto.component_name.endswith("section_text") for one in app.get("bidi_component"))


def test_nothing_found_is_said(app: AppTest) -> None:
    searched(app, '"words that stand nowhere"')
    assert "Nothing that you may read matches." in words(app)
    assert "word for word" in words(app)
