from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ingest.access import LOCAL

sys.path.insert(0, str(Path(__file__).parent))
from scripted_quoth import QUOTE, QUOTE_BOX, ScriptedQuoth

from ui.source_pane import OPEN, OpenSource, boxes_on, target_of

TIMEOUT_S = 30


def script(quoth):  # type: ignore[no-untyped-def]  # its source is run alone
    from ui.app import main

    main(quoth)


@pytest.fixture
def quoth() -> ScriptedQuoth:
    return ScriptedQuoth()


@pytest.fixture
def app(quoth: ScriptedQuoth) -> AppTest:
    return AppTest.from_function(script, args=(quoth,), default_timeout=TIMEOUT_S).run()


def ask(app: AppTest, question: str) -> AppTest:
    app.chat_input[0].set_value(question).run()
    assert not app.exception
    return app


def components(app: AppTest, name: str) -> list[dict[str, Any]]:
    """What the mounted components of that name were given."""
    protos = [one.proto for one in app.get("bidi_component")]
    return [json.loads(proto.json) for proto in protos if proto.component_name.endswith(name)]


def words(app: AppTest) -> str:
    return "\n".join(one.value for one in [*app.title, *app.markdown, *app.caption, *app.text])


def test_the_empty_page_says_what_is_known(app: AppTest) -> None:
    assert not app.exception
    assert "Ask your documents" in words(app)
    assert "2 documents, last updated 5 March 2026" in words(app)


def test_without_documents_it_leads_to_adding_some(quoth: ScriptedQuoth) -> None:
    quoth.catalog.stored.clear()
    app = AppTest.from_function(script, args=(quoth,), default_timeout=TIMEOUT_S).run()
    assert not app.exception
    assert "There are no documents yet." in words(app)


def test_an_answer_is_shown_with_its_citations(app: AppTest) -> None:
    ask(app, "How long is leave, and what about desks?")
    (shown,) = components(app, "cited_answer")
    assert [claim["markers"] for claim in shown["claims"]] == [[1], [2]]
    assert shown["citations"][0]["quote"] == QUOTE
    assert shown["citations"][0]["place"] == "page 2"
    assert shown["verified"] == "2 of 2 statements carry a quotation checked word for word"
    assert shown["all_verified"]
    assert "1 drafted statement left out" in {one.label for one in app.expander}


def test_an_ambiguous_question_is_asked_back_with_a_button_for_each_choice(app: AppTest, quoth: ScriptedQuoth) -> None:
    ask(app, "which meeting point?")
    (shown,) = components(app, "cited_answer")
    assert shown["lead"].startswith("This can mean several things") and shown["choices"] == []
    first = quoth.answers.kept[0]
    assert app.button(key=f"choice-0-{first.id}").label == "Evacuation \\*Northport\\*"
    app.button(key=f"choice-1-{first.id}").click().run()
    assert not app.exception
    assert [one.question for one in quoth.answers.kept] == [
        "which meeting point?", "which meeting point? (Evacuation Southport)"
    ]  # fmt: skip
    assert len({one.conversation for one in quoth.answers.kept}) == 1
    earlier, _ = components(app, "cited_answer")
    assert earlier["choices"] == list(first.choices)  # no longer to be chosen, still to be read


def test_the_conversation_goes_on_and_is_in_the_address(app: AppTest, quoth: ScriptedQuoth) -> None:
    ask(app, "How long is leave?")
    ask(app, "And desks?")
    assert len({one.conversation for one in quoth.answers.kept}) == 1
    assert str(quoth.answers.kept[0].conversation) in app.query_params["c"]
    assert len(components(app, "cited_answer")) == 2


def test_an_address_opens_its_conversation(quoth: ScriptedQuoth) -> None:
    *_, kept = quoth.ask("leave", LOCAL)
    app = AppTest.from_function(script, args=(quoth,), default_timeout=TIMEOUT_S)
    app.query_params["c"] = str(kept.conversation)
    app.run()
    assert len(components(app, "cited_answer")) == 1


@pytest.mark.parametrize("named", ["7c3f4f0e-5a0b-4a55-9d0e-1f2d8f6a1b11", "no-uuid", "' or 1=1"])
def test_an_address_of_no_conversation_of_the_readers_shows_the_empty_page(quoth: ScriptedQuoth, named: str) -> None:
    app = AppTest.from_function(script, args=(quoth,), default_timeout=TIMEOUT_S)
    app.query_params["c"] = named
    app.run()
    assert not app.exception
    assert "Ask your documents" in words(app)


def test_a_new_conversation_begins_empty(app: AppTest) -> None:
    ask(app, "How long is leave?")
    app.button(key="new-conversation").click().run()
    assert "c" not in app.query_params
    assert components(app, "cited_answer") == []


def test_what_the_documents_do_not_say(app: AppTest) -> None:
    ask(app, "What is the meaning of life?")
    (shown,) = components(app, "cited_answer")
    assert shown["heading"] == "The documents do not say."
    assert shown["claims"] == [] and shown["verified"] == ""
    assert [one["name"] for one in shown["passages"]] == ["Office notes"]


def test_what_is_missing_and_what_was_degraded_is_said(app: AppTest) -> None:
    ask(app, "leave, in part, degraded")
    (shown,) = components(app, "cited_answer")
    assert {note["text"] for note in shown["notes"]} == {
        "A simpler way answered: the model did not answer in time",
        "Not answered: Nothing says who approves it.",
    }


def test_a_failing_service_is_said_in_words(app: AppTest) -> None:
    ask(app, "fail")
    assert app.error[0].value.replace("\\", "") == "The database does not answer. Try again in a minute."
    assert "fail" in words(app)


def test_the_source_opens_at_the_quotation(app: AppTest, quoth: ScriptedQuoth) -> None:
    ask(app, "leave and desks")
    answer = quoth.answers.kept[0]
    app.session_state[OPEN] = OpenSource(str(answer.id), marker=1)
    app.run()
    assert not app.exception
    (page,) = components(app, "page_picture")
    assert page["url"].startswith("data:image/png;base64,")
    assert page["alt"].startswith("Page 2 of Leave policy, with the quotation")
    assert page["top"] == pytest.approx(QUOTE_BOX[1] / 842, abs=0.01)
    assert "Page 2 of 2" in words(app) and "Citation 1 of 2" in words(app)
    (shown,) = components(app, "cited_answer")
    assert shown["selected"] == 1

    app.button(key="source-previous-page").click().run()
    (page,) = components(app, "page_picture")
    assert page["alt"] == "Page 1 of Leave policy"
    app.button(key="source-back").click().run()
    assert "Page 2 of 2" in words(app)

    app.button(key="source-next-citation").click().run()
    (section,) = components(app, "section_text")
    marked = [part["text"] for block in section["blocks"] for part in block["parts"] if part["marked"]]
    assert marked == ["Desks are booked a day ahead."]
    assert section["blocks"][0]["parts"][0]["text"] == "Desks"

    app.button(key="source-close").click().run()
    assert components(app, "section_text") == []


def test_a_removed_source_shows_nothing_of_it(app: AppTest, quoth: ScriptedQuoth) -> None:
    ask(app, "leave")
    app.session_state[OPEN] = OpenSource(str(quoth.answers.kept[0].id), marker=1)
    app.run()
    assert components(app, "page_picture")
    quoth.catalog.remove(quoth.policy.document.id)
    app.run()
    assert not app.exception
    assert components(app, "page_picture") == []
    assert "no longer available" in app.info[0].value


def test_a_newer_version_is_named(app: AppTest, quoth: ScriptedQuoth) -> None:
    from dataclasses import replace

    ask(app, "leave")
    one = quoth.catalog.stored[quoth.policy.document.id]
    quoth.catalog.stored[one.document.id] = replace(one, document=replace(one.document, version=2))
    app.session_state[OPEN] = OpenSource(str(quoth.answers.kept[0].id), marker=1)
    app.run()
    assert "Superseded by version 2 on 5 March 2026" in words(app)


def test_a_nearest_passage_opens_its_source(app: AppTest, quoth: ScriptedQuoth) -> None:
    ask(app, "Anything?")
    app.session_state[OPEN] = OpenSource(str(quoth.answers.kept[0].id), passage=0)
    app.run()
    assert not app.exception
    assert len(components(app, "section_text")) == 1
    assert words(app).startswith("Passage")


def test_a_forged_marker_opens_nothing(quoth: ScriptedQuoth) -> None:
    from ingest.errors import UsageError

    *_, answer = quoth.ask("leave", LOCAL)
    for forged in (OpenSource(str(answer.id), marker=9), OpenSource(str(answer.id), passage=99)):
        with pytest.raises(UsageError):
            target_of(quoth, LOCAL, answer, forged)  # type: ignore[arg-type]


def test_boxes_of_further_pages() -> None:
    from ingest.model import Locator

    locator = Locator(2, 3, ((0, 0, 1, 1),), {3: ((2, 2, 3, 3),)})
    assert boxes_on(locator, 2) == ((0, 0, 1, 1),)
    assert boxes_on(locator, 3) == ((2, 2, 3, 3),)
    assert boxes_on(locator, 4) == ()


def test_a_name_in_the_question_is_offered_and_narrows_only_when_taken_up(app: AppTest, quoth: ScriptedQuoth) -> None:
    ask(app, "What is said about leave by Ada?")
    assert quoth.narrowings == [None]
    (offer,) = [one for one in app.button if "only documents of Ada" in one.label]
    offer.click().run()
    assert not app.exception
    assert quoth.narrowings[-1] is not None and quoth.narrowings[-1].owner == "Ada"
    assert "only documents of Ada" in words(app)
    assert not [one for one in app.button if "only documents of Ada" in one.label]


def test_the_command_numbers_what_may_be_meant(quoth: ScriptedQuoth, capsys: pytest.CaptureFixture[str]) -> None:
    from ui.question_commands import print_answer_end

    *_, answer = quoth.ask("which meeting point?", LOCAL)
    print_answer_end(answer)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [answer.text, " 1. Evacuation *Northport*", " 2. Evacuation Southport"]
    assert f"quoth ask 1 --conversation {answer.conversation}" in printed.err
