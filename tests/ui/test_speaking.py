"""The recorder of the page where questions are asked: there only where a model is set, and asking nothing by itself."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from ui.server import HEADERS, SecurityHeaders


def page(kind: str) -> None:
    import streamlit as st

    from ingest.access import LOCAL
    from ingest.errors import UsageError
    from ui.speaking import show_speaking, write_down

    class Heard:
        def text_of(self, recording: bytes, reader: object) -> str:
            if kind == "trouble":
                raise UsageError("The recording lasts [0.1 s](x).")
            return "" if kind == "silence" else "How long is parental leave?"

    class Store:
        transcriber = None if kind == "none" else Heard()

    store: Any = Store()
    if kind != "none" and st.button("Recorded"):
        write_down(store, LOCAL, b"", "question")
    show_speaking(store, LOCAL, "question")
    asked = st.chat_input("Ask", key="question")
    if asked:
        st.text(f"Asked: {asked}")


def shown(kind: str) -> AppTest:
    at = AppTest.from_function(page, kwargs={"kind": kind}, default_timeout=60).run()
    assert not at.exception
    if kind != "none":
        at.button[0].click().run()
        assert not at.exception
    return at


def test_what_is_understood_comes_into_the_field_and_is_not_asked() -> None:
    at = shown("words")
    field = at.chat_input[0].proto
    assert (field.value, field.set_value) == ("How long is parental leave?", True)
    assert not [one.value for one in at.text]


def test_trouble_is_said_in_plain_words() -> None:
    assert "recording lasts" in shown("trouble").warning[0].value and "[0.1" not in shown("trouble").warning[0].value
    assert "Nothing was understood" in shown("silence").warning[0].value


def test_nothing_is_shown_without_a_model() -> None:
    at = shown("none")
    assert not at.get("audio_input") and not at.caption
    assert shown("words").get("audio_input")


def test_pages_may_ask_for_the_microphone_only_where_it_is_used() -> None:
    async def nothing(*_: Any) -> None: ...

    assert SecurityHeaders(nothing)._headers == HEADERS
    speaking = SecurityHeaders(nothing, microphone=True)._headers
    policy = speaking["permissions-policy"]
    assert "microphone=(self)" in policy and "camera=()" in policy
    assert "connect-src 'self' blob:; media-src 'self' blob:;" in speaking["content-security-policy"]
    assert "connect-src 'self';" in HEADERS["content-security-policy"]
