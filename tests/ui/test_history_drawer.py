"""The drawer of conversations, shared links and feedback, over the scripted store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

sys.path.insert(0, str(Path(__file__).parent))
from scripted_quoth import QUOTE, ScriptedQuoth
from test_ask_view import TIMEOUT_S, ask, components, script, words

from ingest.access import LOCAL
from ui.history_drawer import link_to


@pytest.fixture
def quoth() -> ScriptedQuoth:
    return ScriptedQuoth()


@pytest.fixture
def app(quoth: ScriptedQuoth) -> AppTest:
    return AppTest.from_function(script, args=(quoth,), default_timeout=TIMEOUT_S).run()


def drawer(quoth):  # type: ignore[no-untyped-def]  # its source is run alone: the drawer's content, without the drawer
    import streamlit as st

    from ingest.access import LOCAL
    from ui.history_drawer import show_history

    current = quoth.answers.kept[-1].conversation if quoth.answers.kept else None
    shown = st.session_state.setdefault("shown", [])
    show_history(quoth, LOCAL, current, shown.append, lambda: shown.append(None))


@pytest.fixture
def two(quoth: ScriptedQuoth) -> AppTest:
    """The drawer over two conversations, the later one open."""
    list(quoth.ask("How long is leave?", LOCAL))
    list(quoth.ask("Where are desks *booked*?", LOCAL))
    return AppTest.from_function(drawer, args=(quoth,), default_timeout=TIMEOUT_S).run()


def titles(app: AppTest) -> list[str]:
    return [one.label for one in app.button if (one.key or "").startswith("open-")]


def test_conversations_are_listed_latest_first_and_as_plain_text(two: AppTest) -> None:
    assert not two.exception
    assert titles(two) == ["Where are desks \\*booked\\*\\?", "How long is leave\\?"]


def test_a_search_narrows_the_list(two: AppTest) -> None:
    two.text_input(key="history-search").set_value("leave").run()
    assert titles(two) == ["How long is leave\\?"]
    two.text_input(key="history-search").set_value("nothing of that").run()
    assert "No conversation holds these words." in words(two)


def test_another_conversation_is_opened(two: AppTest, quoth: ScriptedQuoth) -> None:
    first = quoth.answers.kept[0].conversation
    two.button(key=f"open-{first}").click().run()
    assert not two.exception
    assert two.session_state["shown"] == [first]


def test_the_page_opens_the_drawer(app: AppTest, quoth: ScriptedQuoth) -> None:
    assert "history" not in {one.key for one in app.button}
    ask(app, "How long is leave?")
    app.button(key="history").click().run()
    assert not app.exception
    assert titles(app) == ["How long is leave\\?"]


def test_renaming_sharing_and_withdrawing(two: AppTest, quoth: ScriptedQuoth) -> None:
    current = quoth.answers.kept[1].conversation
    two.text_input(key=f"title-{current}").set_value("Desks").run()
    assert quoth.conversations.titles == {current: "Desks"}
    two.button(key=f"share-{current}").click().run()
    assert quoth.conversations.links == {"token-0": current}
    assert any("s=token-0" in one.value for one in two.code)
    two.button(key=f"unshare-{current}").click().run()
    assert not two.exception
    assert quoth.conversations.links == {}


def test_deleting_is_asked_twice_and_the_open_one_makes_room(two: AppTest, quoth: ScriptedQuoth) -> None:
    current = quoth.answers.kept[1].conversation
    two.button(key=f"delete-{current}").click().run()
    assert len(quoth.answers.kept) == 2
    first = quoth.answers.kept[0].conversation
    two.button(key=f"delete-sure-{current}").click().run()
    assert not two.exception
    assert [one.conversation for one in quoth.answers.kept] == [first]
    assert two.session_state["shown"] == [None]


def shared_app(quoth: ScriptedQuoth, token: str) -> AppTest:
    app = AppTest.from_function(script, args=(quoth,), default_timeout=TIMEOUT_S)
    app.query_params["s"] = token
    return app.run()


def test_a_link_opens_the_conversation_read_only(quoth: ScriptedQuoth) -> None:
    *_, kept = quoth.ask("leave", LOCAL)
    app = shared_app(quoth, quoth.conversations.share(LOCAL, kept.conversation))
    assert not app.exception
    assert len(components(app, "cited_answer")) == 1
    assert "Shared by \\*ada\\* on 6 March 2026. You see what you may read yourself." in words(app)
    assert not app.chat_input
    app.button(key="leave-shared").click().run()
    assert "s" not in app.query_params and app.chat_input


def test_what_the_reader_of_a_link_may_not_read_is_said(quoth: ScriptedQuoth) -> None:
    *_, kept = quoth.ask("leave", LOCAL)
    token = quoth.conversations.share(LOCAL, kept.conversation)
    quoth.conversations.withheld.add(token)
    app = shared_app(quoth, token)
    assert not app.exception
    (shown,) = components(app, "cited_answer")
    assert QUOTE not in str(shown)
    assert "may not read" in app.info[0].value


def test_a_void_link_says_so(quoth: ScriptedQuoth) -> None:
    app = shared_app(quoth, "invented")
    assert not app.exception
    assert "opens nothing" in app.info[0].value


def test_thumbs_are_kept_at_once_and_reason_and_correction_after(app: AppTest, quoth: ScriptedQuoth) -> None:
    ask(app, "How long is leave?")
    answer = quoth.answers.kept[0].id
    app.feedback(key=f"thumb-{answer}").set_value(1).run()
    assert quoth.feedback.given[answer].helpful
    app.feedback(key=f"thumb-{answer}").set_value(0).run()
    assert not quoth.feedback.given[answer].helpful
    app.pills(key=f"reason-{answer}").set_value("outdated").run()
    app.text_area(key=f"correction-{answer}").set_value("It is 24 weeks.").run()
    given = quoth.feedback.given[answer]
    assert (given.helpful, given.reason, given.correction) == (False, "outdated", "It is 24 weeks.")
    assert not app.exception


def test_feedback_given_before_is_shown_again(quoth: ScriptedQuoth) -> None:
    *_, kept = quoth.ask("leave", LOCAL)
    quoth.feedback.give(LOCAL, kept.id, helpful=False, reason="wrong", correction="No.")
    app = AppTest.from_function(script, args=(quoth,), default_timeout=TIMEOUT_S)
    app.query_params["c"] = str(kept.conversation)
    app.run()
    assert not app.exception
    assert app.feedback(key=f"thumb-{kept.id}").value == 0
    assert app.text_area(key=f"correction-{kept.id}").value == "No."


def test_a_link_leads_to_the_server_it_was_made_on() -> None:
    assert link_to("https://ask.example/quoth/?c=1#x", "abc") == "https://ask.example/quoth/?s=abc"
    assert link_to("", "abc") == "/?s=abc"


def test_an_abstention_names_who_could_know_and_sends_only_when_confirmed(app: AppTest, quoth: ScriptedQuoth) -> None:
    ask(app, "What is the meaning of life?")
    assert "\\*People\\* Team owns the nearest document, Office notes." in words(app)
    answer = quoth.answers.kept[0]
    app.button(key=f"hand-on-{answer.id}").click().run()
    assert not app.exception
    assert quoth.handoff.sent == []
    assert app.button(key=f"send-{answer.id}").label == "Send"
    assert app.selectbox(key=f"to-{answer.id}").options == ["*People* Team", "Ada"]
    assert app.selectbox(key=f"urgency-{answer.id}").value == "high"
    shown = AppTest.from_function(confirming, args=(quoth, answer), default_timeout=TIMEOUT_S).run()
    shown.text_input(key=f"subject-{answer.id}").set_value("Meaning")
    shown.selectbox(key=f"to-{answer.id}").set_value("Ada").run()
    assert quoth.handoff.sent == [] and not shown.exception
    shown.button(key=f"send-{answer.id}").click().run()
    assert not shown.exception
    ((letter, note),) = quoth.handoff.sent
    assert (letter.owner, letter.urgency, letter.subject, note) == ("Ada", "high", "Meaning", "")


def confirming(quoth: object, answer: object) -> None:
    from ingest.access import LOCAL
    from ui.handoff_panel import confirm

    confirm(quoth, LOCAL, answer)
