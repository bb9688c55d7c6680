from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from assistant.api_keys import ApiKeys
from assistant.bootstrap import Quoth
from assistant.callers import NotAllowed, NotSignedIn, roles_from, roles_of
from ingest.errors import ConfigurationError, UsageError


@pytest.mark.integration
def test_a_key_stands_for_its_user_with_its_roles_and_groups(quoth: Quoth) -> None:
    key, token = quoth.api_keys.create("ada", roles=["owner"], groups=["hr"], days=3, label="nightly upload")
    caller = quoth.api_keys.caller(token)
    assert (caller.reader.name, caller.reader.groups, caller.way) == ("ada", {"hr"}, f"key {key.id}")
    assert caller.may("owner") and caller.may("reader") and not caller.may("admin")
    with pytest.raises(NotAllowed, match="'evaluator'"):
        caller.must("evaluator")
    (kept,) = [one for one in quoth.api_keys.listed(user="ada") if one.id == key.id]
    assert kept.used_at is not None and kept.state(datetime.now(UTC)) == "valid"
    assert kept.state(datetime.now(UTC) + timedelta(days=4)) == "expired"


@pytest.mark.integration
def test_the_store_holds_no_key(quoth: Quoth) -> None:
    _, token = quoth.api_keys.create("ada")
    secret = token.rpartition("_")[2] if "_" not in token[19:] else token[19:]
    with quoth.database.working() as connection:
        rows = connection.exec_driver_sql("select to_jsonb(k)::text || mac::text from api_key k").scalars().all()
    assert rows and not any(secret in row for row in rows)
    assert quoth.verify_audit().whole


@pytest.mark.integration
def test_what_is_no_key_of_this_store_is_refused(quoth: Quoth) -> None:
    key, token = quoth.api_keys.create("ada")
    altered = token[:-1] + ("A" if token[-1] != "A" else "B")
    other_pepper = ApiKeys(quoth.database, "p" * 40)
    for wrong in ("", "quoth_", altered, token + "x", token.replace(key.id, "0" * 12), "sk-" + "x" * 40):
        with pytest.raises(NotSignedIn):
            quoth.api_keys.caller(wrong)
    with pytest.raises(NotSignedIn, match="not known"):
        other_pepper.caller(token)
    quoth.api_keys.revoke(key.id)
    with pytest.raises(NotSignedIn, match="revoked"):
        quoth.api_keys.caller(token)


@pytest.mark.integration
def test_a_key_cannot_be_local_nor_hold_for_ever(quoth: Quoth) -> None:
    for user in ("local", "everyone", "user:ada", ""):
        with pytest.raises(UsageError):
            quoth.api_keys.create(user)
    with pytest.raises(UsageError, match="days"):
        quoth.api_keys.create("ada", days=0)
    with pytest.raises(UsageError, match="'root' is no role"):
        quoth.api_keys.create("ada", roles=["root"])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="no key"):
        quoth.api_keys.revoke("0123456789ab")


def test_roles_come_from_groups() -> None:
    by_role = roles_from("owner=hr|legal, admin=quoth-admins, owner=docs")
    assert roles_of(["legal"], by_role) == {"reader", "owner"}
    assert roles_of(["docs", "quoth-admins"], by_role) == {"reader", "owner", "admin"}
    assert roles_of(["everyone"], by_role) == {"reader"}
    for wrong in ("owner", "root=a", "owner=", "reader=a"):
        with pytest.raises(ConfigurationError, match="QUOTH_ROLES"):
            roles_from(wrong)
