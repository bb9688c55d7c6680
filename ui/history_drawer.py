"""The drawer of a reader's conversations: found, opened, named, shared, taken along, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from assistant import exporting
from assistant.conversations import SHARE_DAYS, TITLE_CHARS, Talk
from assistant.model import ConversationId
from ingest.access import Reader
from ui import wording
from ui.own_files import kept_for
from ui.shared_conversation import LINK

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

MOST: Final = 30  # conversations at a time
MANAGED: Final = "history-managed"  # keys of the session's state
MADE: Final = "history-link"  # (conversation, token) of the link made last
DELETING: Final = "history-deleting"


def show_history(
    quoth: Quoth,
    reader: Reader,
    current: ConversationId | None,
    open_one: Callable[[ConversationId], None],
    begin_new: Callable[[], None],
) -> None:
    """The list, latest first; the conversation that is open can be managed at once, others after a click.

    Args:
        open_one: has the page show a conversation when it is drawn again.
        begin_new: has it show none, when the one that is open was deleted.
    """
    words = st.text_input(
        "Search", placeholder="Words of a title or a question", key="history-search", max_chars=200,
        icon=":material/search:", label_visibility="collapsed",
    )  # fmt: skip
    talks = quoth.conversations.listed(reader, words=words, limit=MOST + 1)
    if not talks:
        st.caption("No conversation holds these words." if words else "There are no conversations yet.")
        return
    managed = st.session_state.get(MANAGED, str(current) if current else None)
    for talk in talks[:MOST]:
        with st.container(gap="xxsmall", key=f"talk-{talk.id}"):
            with st.container(horizontal=True, vertical_alignment="center"):
                icon = ":material/chat_bubble:" if talk.id == current else ":material/chat_bubble_outline:"
                label = wording.literal(talk.title)
                if st.button(label, key=f"open-{talk.id}", type="tertiary", icon=icon, width="stretch"):
                    open_one(talk.id)
                    st.rerun()
                st.button(
                    "Manage", key=f"manage-{talk.id}", type="tertiary", icon=":material/more_horiz:",
                    on_click=_choose, args=(None if managed == str(talk.id) else str(talk.id),),
                )  # fmt: skip
            shared = " · shared by link" if talk.shared_until else ""
            st.caption(f"{wording.date_words(talk.latest_at)} · {wording.counted(talk.answers, 'answer')}{shared}")
            if managed == str(talk.id):
                _manage(quoth, reader, talk, is_open=talk.id == current, begin_new=begin_new)
    if len(talks) > MOST:
        st.caption(f"The latest {MOST}. Search for older ones.")


history_drawer = st.dialog("History", position="left", icon=":material/history:")(show_history)


def _choose(conversation: str | None) -> None:
    st.session_state[MANAGED] = conversation
    st.session_state.pop(DELETING, None)


def _manage(quoth: Quoth, reader: Reader, talk: Talk, *, is_open: bool, begin_new: Callable[[], None]) -> None:
    def share() -> None:
        st.session_state[MADE] = (str(talk.id), quoth.conversations.share(reader, talk.id))

    def unshare() -> None:
        quoth.conversations.unshare(reader, talk.id)
        st.session_state.pop(MADE, None)

    def ask_to_delete() -> None:
        st.session_state[DELETING] = str(talk.id)

    def delete() -> None:
        quoth.conversations.delete(reader, talk.id)
        for key in (DELETING, MANAGED, MADE):
            st.session_state.pop(key, None)
        if is_open:
            begin_new()

    with st.container(border=True):
        _rename(quoth, reader, talk)
        with st.container(horizontal=True):
            _exports(quoth, reader, talk)
            st.button(
                "Make a link", key=f"share-{talk.id}", icon=":material/link:", on_click=share,
                help=f"For {SHARE_DAYS} days. Whoever opens it sees only what they may read themselves.",
            )  # fmt: skip
            if talk.shared_until:
                st.button("Withdraw links", key=f"unshare-{talk.id}", icon=":material/link_off:", on_click=unshare)
            st.button("Delete…", key=f"delete-{talk.id}", icon=":material/delete:", on_click=ask_to_delete)
        made = st.session_state.get(MADE)
        if made and made[0] == str(talk.id):
            st.code(link_to(st.context.url or "", made[1]), language=None, wrap_lines=True)
            st.caption("Copy it now: it is shown only this once.")
        if st.session_state.get(DELETING) == str(talk.id):
            st.warning("Its questions, answers, links and feedback go for good.")
            if st.button("Delete for good", key=f"delete-sure-{talk.id}", type="primary"):
                delete()  # no callback: after it the list would be drawn without this button, and never get here
                st.rerun(scope="app" if is_open else "fragment")


def _rename(quoth: Quoth, reader: Reader, talk: Talk) -> None:
    def rename() -> None:
        quoth.conversations.rename(reader, talk.id, str(st.session_state[f"title-{talk.id}"]))

    st.text_input(
        "Title", talk.title, key=f"title-{talk.id}", max_chars=TITLE_CHARS, on_change=rename,
        help="Empty: the first question",
    )  # fmt: skip


def _exports(quoth: Quoth, reader: Reader, talk: Talk) -> None:
    """Made when they are asked for, and read then under the reader's access."""

    def as_markdown() -> str:
        return exporting.markdown(talk.title, quoth.answers.conversation(reader, talk.id))

    def as_json() -> str:
        return exporting.json_text(str(talk.id), talk.title, quoth.answers.conversation(reader, talk.id))

    for label, made, name, kind in (
        ("Markdown", as_markdown, "conversation.md", "text/markdown"),
        ("JSON", as_json, "conversation.json", "application/json"),
    ):
        st.download_button(
            label, made, name, kept_for(reader, kind), key=f"{label.lower()}-{talk.id}", icon=":material/download:",
            on_click="ignore",
        )  # fmt: skip


def link_to(page: str, token: str) -> str:
    """The address that opens a shared conversation, on the server that the page came from."""
    parts = urlsplit(page)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", f"{LINK}={token}", ""))
