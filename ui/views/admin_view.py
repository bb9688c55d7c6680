"""The administrator's page: people and groups, keys, budgets, models, the audit, the index. No document's text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.api_keys import DAYS, Key
from assistant.callers import ROLES, Caller, Role
from assistant.diagnosis import settings_shown
from assistant.limits import amount_text
from assistant.model_calls import Grouping
from ingest.access import group_names
from ingest.errors import QuothError, UsageError
from ui import wording

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

SAID: Final = "admin-said"  # what the last act came to, shown once
MADE: Final = "admin-key"  # a key that was just made, until the page is left
SECTIONS: Final = ("People", "Keys", "Budgets", "Models", "Audit", "Index", "Settings")
GROUPINGS: Final[dict[Grouping, str]] = {"day": "By day", "model": "By model", "user": "By person"}
COUNTED: Final = ("Calls", "Failed", "Input tokens", "Of them cached", "Output tokens")
GROUPED: Final[dict[Grouping, str]] = {"day": "Day", "model": "Model", "user": "Person"}
EVENTS: Final = 200
WHEN: Final = "D MMM YYYY, HH:mm:ss"


def show(quoth: Quoth, caller: Caller, environ: Mapping[str, str]) -> None:
    """Show the page. Every act asks for the role again: a page that was open when it was lost does nothing."""
    caller.must("admin")
    st.header("Administration", anchor=False)
    _say()
    section = st.segmented_control(
        "Section", SECTIONS, default=SECTIONS[0], required=True, key="admin-section", label_visibility="collapsed"
    )
    shown: dict[str, Callable[[], None]] = {
        "People": partial(_people, quoth, caller),
        "Keys": partial(_keys, quoth, caller),
        "Budgets": partial(_budgets, quoth),
        "Models": partial(_models, quoth),
        "Audit": partial(_audit, quoth),
        "Index": partial(_index, quoth),
        "Settings": partial(_settings, quoth, environ),
    }
    with st.container(key=f"admin-{section.lower()}"):
        shown[section]()


# -- people ------------------------------------------------------------------------------------------------------------


def _people(quoth: Quoth, caller: Caller) -> None:
    if quoth.sign_in is not None:
        st.caption(
            f"People sign in with {wording.literal(quoth.sign_in.issuer)}. The groups that it names count as they are; "
            "what is set here is added to them."
        )
    groups = quoth.groups.all()
    if not groups:
        st.caption("There are no groups here yet.")
    else:
        st.dataframe(
            [{"Group": name, "Members": ", ".join(members)} for name, members in groups.items()],
            hide_index=True, width="stretch",
        )  # fmt: skip
    with st.form("admin-membership", border=True):
        left, right = st.columns(2)
        group = left.selectbox("Group", sorted(groups), index=None, accept_new_options=True, placeholder="hr")
        members = right.text_input(
            "Members", placeholder="user:ada, engineering", help="user:NAME is a person; any other name is a group."
        )
        with st.container(horizontal=True):
            add, remove = st.form_submit_button("Add them", type="primary"), st.form_submit_button("Take them out")
        if add or remove:
            change = quoth.groups.add if add else quoth.groups.remove
            _acting(lambda: _change(change, caller, group or "", members), "Done. It holds at every door from now on.")
    named = st.text_input("Whose groups are these? A person or a group:", placeholder="user:ada", key="admin-whose")
    if named.strip():
        found = quoth.groups.belonging(named.strip())
        st.text(f"Named in: {', '.join(found.direct) or 'no group'}")
        if found.inherited:
            st.text(f"And through them: {', '.join(found.inherited)}")
    if quoth.sign_in is None:
        st.caption("There is no sign-in: whoever uses this machine is `local`, and reads everything.")
    elif quoth.sign_in.roles:
        given = "; ".join(f"{role}: {', '.join(sorted(names))}" for role, names in quoth.sign_in.roles.items())
        st.caption(wording.literal(f"Roles by group (QUOTH_ROLES): {given}"))


def _change(change: Callable[..., object], caller: Caller, group: str, members: str) -> None:
    caller.must("admin")
    if not group.strip():
        raise UsageError("Name the group.")
    change(group.strip(), group_names(members), by=caller.reader)


# -- keys --------------------------------------------------------------------------------------------------------------


def _keys(quoth: Quoth, caller: Caller) -> None:
    made = st.session_state.pop(MADE, None)
    if made:
        st.success("This is the key. It is not shown again.", icon=":material/key:")
        st.code(made, language=None)
    now = quoth.database.now()
    keys = quoth.api_keys.listed()
    if not keys:
        st.caption("There are no keys. Programs and agents need one, where people sign in.")
    for key in keys:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"admin-key-{key.id}"):
            with st.container(gap=None, width="stretch"):
                st.markdown(f"**{wording.literal(f'{key.principal}: {key.label}' if key.label else key.principal)}**")
                st.caption(wording.literal(_key_words(key, now)))
            if key.state(now) == "valid" and st.button("Revoke", key=f"admin-revoke-{key.id}"):
                _acting(partial(_revoke, quoth, caller, key.id), f"The key {key.id} is refused from now on.")
    with st.form("admin-new-key", border=True):
        st.markdown("**A new key**")
        first, second, third = st.columns(3)
        user = first.text_input("Acts as", placeholder="ada@example.org", help="What this person may read, it may.")
        roles = second.multiselect("Roles", [one for one in ROLES if one != "reader"], placeholder="reader")
        days = third.number_input("Valid for (days)", 1, 3650, DAYS)
        label = st.text_input("What it is for", placeholder="nightly upload of the wiki", max_chars=200)
        if st.form_submit_button("Make a key", type="primary"):
            _acting(partial(_make, quoth, caller, user.strip(), roles, int(days), label), "")


def _key_words(key: Key, now: datetime) -> str:
    used = f"last used {wording.date_words(key.used_at)}" if key.used_at else "never used"
    until = (
        f"{key.state(now)} until {wording.date_words(key.expires_at)}" if key.state(now) == "valid" else key.state(now)
    )
    return f"{', '.join(key.roles)} · {until} · {used} · key {key.id}"


def _make(quoth: Quoth, caller: Caller, user: str, roles: Sequence[Role], days: int, label: str) -> None:
    caller.must("admin")
    _, st.session_state[MADE] = quoth.api_keys.create(user, roles=roles, days=days, label=label, by=caller.reader)


def _revoke(quoth: Quoth, caller: Caller, number: str) -> None:
    caller.must("admin")
    quoth.api_keys.revoke(number, by=caller.reader)


# -- money and models --------------------------------------------------------------------------------------------------


def _budgets(quoth: Quoth) -> None:
    standing = quoth.budgets.standing()
    if not quoth.settings.limits:
        st.caption("There are no limits. QUOTH_BUDGET_USD_MONTH and QUOTH_LIMITS set some.")
    elif not standing:
        st.caption("Nothing was used of any limit in the periods that run now.")
    for one in standing[:20]:
        words = f"{one.scope}: {amount_text(one.used)} of {one.limit}" + (
            f", {amount_text(one.reserved)} reserved by calls under way" if one.reserved else ""
        )
        st.progress(min(one.share, 1.0), wording.literal(words))
    by = st.segmented_control(
        "Use of models", list(GROUPINGS), default="day", required=True, format_func=GROUPINGS.__getitem__,
        key="admin-grouping",
    )  # fmt: skip
    *rows, total = quoth.model_calls.used(by)
    if not rows:
        st.caption("No model was called yet.")
        return
    st.dataframe(
        [
            {GROUPED[by]: _named(by, one.name), "Calls": one.calls, "Failed": one.failed,
             "Input tokens": one.input_tokens, "Of them cached": one.cached_input_tokens,
             "Output tokens": one.output_tokens, "USD": one.cost_usd}
            for one in [*rows, replace(total, name="In all")]
        ],
        hide_index=True, width="stretch", alt=f"Use of models, {GROUPINGS[by].lower()}",
        column_config={
            **{name: st.column_config.NumberColumn(format="localized") for name in COUNTED},
            "USD": st.column_config.NumberColumn(format="%.4f"),
        },
    )  # fmt: skip


def _named(by: Grouping, name: str) -> str:
    """What a line of use stands for; a day as days are written elsewhere."""
    return wording.date_words(name) if by == "day" else name


def _models(quoth: Quoth) -> None:
    if quoth.settings.models is None:
        st.caption("No language model is set (QUOTH_MODELS): answers quote the documents' own sentences.")
    else:
        states = quoth.breakers.states()
        words = {"closed": "answers", "open": "fails, and is left alone for a while", "half-open": "is tried again"}
        st.dataframe(
            [
                {"Model, in the order they are tried": name.strip(),
                 "State": words.get(states.get(name.strip(), ""), "not called since the start")}
                for name in quoth.settings.models.split(",")
            ],
            hide_index=True, width="stretch",
        )  # fmt: skip
    st.dataframe(
        [
            {"Part": "Embedder", "Used": quoth.embedder.space, "Does": "compares questions and passages in meaning"},
            {"Part": "Re-ranker", "Used": quoth.settings.reranker, "Does": "orders what was found"},
            {"Part": "Checker", "Used": quoth.checker.name, "Does": "judges whether a quotation supports a statement"},
        ],
        hide_index=True, width="stretch",
    )  # fmt: skip
    st.caption("`quoth doctor` asks the service which of the models it still has, and until when.")


# -- audit and index ---------------------------------------------------------------------------------------------------


def _audit(quoth: Quoth) -> None:
    if st.button("Check that no event was changed", icon=":material/verified_user:", key="admin-verify"):
        with st.spinner("Reading every event"):
            found = quoth.verify_audit()
        if found.whole:
            st.success(f"The chain is whole: {wording.counted(found.events, 'event')}.")
        else:
            st.error(wording.literal(f"It is not whole: {found.reason}."))
        for note in found.notes:
            st.caption(wording.literal(note))
    left, right = st.columns(2)
    action = left.text_input("Events that begin with", placeholder="document.", key="admin-action")
    who = right.text_input("Of", placeholder="ada@example.org", key="admin-who")
    events = quoth.latest_events(action=action.strip(), principal=who.strip(), limit=EVENTS)
    if not events:
        st.caption("There are none.")
        return
    st.dataframe(
        [
            {"When": one.at, "What": one.action, "Who": one.principal, "In whose name": one.operator or "",
             "Details": wording.details_words(json.loads(one.detail)), "Of what (id)": str(one.subject or ""),
             "Number": one.number}
            for one in events
        ],
        hide_index=True, width="stretch", alt="Events, the latest first",
        column_config={
            "Number": st.column_config.NumberColumn(width="small"),
            "When": st.column_config.DatetimeColumn("When (UTC)", format=WHEN, timezone="UTC"),
            "Details": st.column_config.TextColumn(width="large"),
        },
    )  # fmt: skip
    st.caption(f"The latest {len(events)}. Words of questions and documents are kept as keyed hashes only.")


def _index(quoth: Quoth) -> None:
    progress = quoth.intake.progress()
    st.text(wording.queue_words(progress) or "No file waits or is being read.")
    st.text(f"Questions and passages are compared in meaning by {quoth.spaces.active.embedder.space}.")
    building = quoth.spaces.progress()
    if building is not None:
        done, total = building
        st.progress(done / total if total else 1.0, f"A new space is being built: {done:,} of {total:,} passages")
    stale = quoth.pipeline.stale()
    if stale:
        st.text(f"{wording.counted(len(stale), 'document')} to be read again by a newer parser; what is there answers.")
    else:
        st.text("Every document is indexed as it would be now.")


def _settings(quoth: Quoth, environ: Mapping[str, str]) -> None:
    st.dataframe(
        [
            {"Setting": name, "Value": one["value"] or "", "From": one["origin"], "Means": one["meaning"]}
            for name, one in settings_shown(quoth.settings, environ).items()
        ],
        hide_index=True, width="stretch",
    )  # fmt: skip
    st.caption("They are read from the environment when Quoth starts. Secrets are not shown.")


# -- acting ------------------------------------------------------------------------------------------------------------


def _acting(act: Callable[[], object], words: str) -> None:
    """Do something and show the page anew; what is wrong with it is said where it was asked for."""
    try:
        act()
    except QuothError as error:
        st.error(wording.literal(str(error)))
        return
    if words:
        st.session_state[SAID] = words
    st.rerun()


def _say() -> None:
    said = st.session_state.pop(SAID, None)
    if said:
        st.success(wording.literal(said))
