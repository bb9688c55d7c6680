"""The administrator's page over a real store: what it shows, what it changes, and for whom it is not there."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from assistant.bootstrap import Quoth
from assistant.callers import Caller, NotSignedIn
from ingest.access import Reader

pytestmark = pytest.mark.integration
ADMIN = Caller(Reader("root@example.org", frozenset()), frozenset(("reader", "admin")), "session")


def script(quoth, caller):  # type: ignore[no-untyped-def]  # its source is run alone
    from ui.app import errors_in_words
    from ui.views import admin_view

    with errors_in_words():
        admin_view.show(quoth, caller, {"QUOTH_REDACT": "yes", "QUOTH_AUDIT_KEY": "k" * 40})


@pytest.fixture
def app(quoth: Quoth) -> AppTest:
    return AppTest.from_function(script, args=(quoth, ADMIN), default_timeout=60).run()


def at(app: AppTest, section: str) -> AppTest:
    app.segmented_control(key="admin-section").set_value(section).run()
    assert not app.exception and not app.error
    return app


def words(app: AppTest) -> str:
    shown = [*app.text, *app.caption, *app.success, *app.error, *app.markdown]
    return "\n".join(str(one.value).replace("\\", "") for one in shown) + "\n".join(
        frame.value.to_csv() for frame in app.dataframe
    )


def button(app: AppTest, label: str) -> None:
    (found,) = [one for one in app.button if one.label == label]
    found.click()
    app.run()
    assert not app.exception


def test_people_are_put_into_groups_and_taken_out(quoth: Quoth, app: AppTest) -> None:
    assert "`local`" in words(app), "without sign-in the page says what that means"
    quoth.groups.add("ferry", ["user:bo"])
    app.run()
    assert "user:bo" in words(app)
    members = next(one for one in app.text_input if one.label == "Members")
    group = next(one for one in app.selectbox if one.label == "Group")
    group.set_value("ferry")
    members.set_value("user:ada, crew")
    button(app, "Add them")
    assert quoth.groups.all()["ferry"] == ("crew", "user:ada", "user:bo")
    app.text_input(key="admin-whose").set_value("user:ada").run()
    assert "Named in: ferry" in words(app)
    next(one for one in app.selectbox if one.label == "Group").set_value("ferry")
    next(one for one in app.text_input if one.label == "Members").set_value("crew")
    button(app, "Take them out")
    assert quoth.groups.all()["ferry"] == ("user:ada", "user:bo")
    events = quoth.latest_events(action="group", principal=ADMIN.reader.name)
    assert events, "the audit says who did it"


def test_a_key_is_made_shown_once_and_revoked(quoth: Quoth, app: AppTest) -> None:
    at(app, "Keys")
    next(one for one in app.text_input if one.label == "Acts as").set_value("ada")
    button(app, "Make a key")
    (token,) = [one.value for one in app.code]
    caller = quoth.api_keys.caller(token)
    assert caller.reader.name == "ada" and caller.roles == {"reader"}
    app.run()
    assert not app.code
    app.button(key=f"admin-revoke-{caller.way.removeprefix('key ')}").click().run()
    with pytest.raises(NotSignedIn, match="revoked"):
        quoth.api_keys.caller(token)
    next(one for one in app.text_input if one.label == "Acts as").set_value("local")
    button(app, "Make a key")
    assert "is not a user's name" in words(app)


def test_every_section_opens_and_shows_no_secret(app: AppTest) -> None:
    for section, expected in (
        ("Budgets", "There are no limits"),
        ("Models", "No language model is set"),
        ("Audit", "Words of questions"),
        ("Index", "indexed as it would be now"),
        ("Settings", "QUOTH_AUDIT_KEY"),
    ):
        at(app, section)
        assert expected in words(app), section
        assert "k" * 40 not in words(app)
    at(app, "Audit")
    app.button(key="admin-verify").click().run()
    assert "The chain is whole" in words(app)


def test_who_is_no_administrator_sees_nothing_of_it(quoth: Quoth) -> None:
    owner = Caller(Reader("ada", frozenset()), frozenset(("reader", "owner", "evaluator")), "session")
    page = AppTest.from_function(script, args=(quoth, owner), default_timeout=60).run()
    assert "needs the role" in words(page) and not page.dataframe and not page.button
