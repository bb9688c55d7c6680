"""Processes whose clock is an hour ahead or behind, on one store: nothing ends early, holds too long, or is stolen."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.budgets import Budgets
from assistant.errors import LimitReached
from assistant.limits import limits_from
from ingest.access import LOCAL
from ingest.errors import ServiceError
from ingest.queueing import enqueue_other, workers
from ingest.store_clock import ASKED_AGAIN_S, StoreClock
from tests.skewed_clock import said_by, skewed

pytestmark = pytest.mark.integration
PATIENCE_S = 240
HOUR_S = 3600.0
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


def come(wanted: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not wanted():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


@pytest.fixture(params=[HOUR_S, -HOUR_S], ids=["ahead", "behind"])
def wrong(request: pytest.FixtureRequest, environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return skewed(environ, tmp_path, ahead_s=request.param)


@contextmanager
def running(environ: dict[str, str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
    begun = subprocess.Popen([sys.executable, *command], env=environ)
    try:
        yield begun
    finally:
        begun.terminate()
        begun.wait(60)


# -- the clock ---------------------------------------------------------------------------------------------------------


def test_the_stores_clock_goes_on_without_the_database_and_is_set_again() -> None:
    passed, there = [0.0], [datetime(2027, 1, 1, tzinfo=UTC)]
    asked: list[float] = []

    def ask() -> datetime:
        asked.append(passed[0])
        if there[0].year == 1:
            raise ServiceError("away")
        return there[0]

    clock = StoreClock(ask, lambda: passed[0])
    assert clock() == datetime(2027, 1, 1, tzinfo=UTC)
    passed[0] = ASKED_AGAIN_S - 1
    assert clock() == datetime(2027, 1, 1, 0, 0, 59, tzinfo=UTC) and len(asked) == 1
    right, there[0] = there[0], datetime(1, 1, 1, tzinfo=UTC)
    passed[0] = ASKED_AGAIN_S + 1
    for _ in range(3):
        assert clock() == right + timedelta(seconds=61)
    assert len(asked) == 2, "one that is away is not asked each time"
    there[0] = right + timedelta(seconds=130)
    passed[0] = 2 * ASKED_AGAIN_S + 2
    assert clock() == right + timedelta(seconds=130)
    there[0] = datetime(1, 1, 1, tzinfo=UTC)
    with pytest.raises(ServiceError):
        StoreClock(ask, lambda: 0.0)()


# -- sessions, budgets, originals, backups -----------------------------------------------------------------------------

LOOKING = """
import json, os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from assistant.backups import backup
from assistant.bootstrap import open_quoth
from assistant.budgets import Budgets
from assistant.callers import NotSignedIn
from assistant.errors import LimitReached
from assistant.limits import limits_from
from assistant.sign_in import SignIn
from ingest import audit
from ingest.access import LOCAL, Reader
from ingest.errors import SessionEnded
from ui.visitor import signed_in

right_s, folder = float(sys.argv[1]), Path(sys.argv[2])
found = {"time": time.time() - right_s, "datetime": datetime.now(UTC).timestamp() - right_s}


def holds(call):
    try:
        call()
    except (SessionEnded, NotSignedIn, LimitReached):
        return False
    return True


with open_quoth(dict(os.environ)) as quoth:
    found["store"] = quoth.database.now().timestamp() - right_s

    def read(until):
        with quoth.database.reading(Reader("ada", frozenset(), until=until)):
            pass

    def note(until):
        with quoth.database.working() as connection:
            audit.record(connection, Reader("ada", frozenset(), until=until), "probe", None, {})

    def look(issued):
        given = SignIn("https://id.example.org", "q", "", "q", "email", "groups", {}, 1.0)
        signed_in(given, {"iat": issued, "email": "ada@example.org"}, quoth.database.now().timestamp())

    found["sessions"] = [holds(lambda: read(right_s + 600)), holds(lambda: note(right_s + 600)),
                         holds(lambda: look(right_s - 3000)), holds(lambda: look(right_s + 200))]
    found["over"] = [holds(lambda: read(right_s - 600)), holds(lambda: note(right_s - 600)),
                     holds(lambda: look(right_s - 4000)), holds(lambda: look(right_s + 900))]
    budgets = Budgets(quoth.database, limits_from("user:local 100 tokens/month"))
    found["took"] = holds(lambda: budgets.reserve(LOCAL, "answer", "m", None, tokens=60, cost_usd=None, within_s=300))
    half = Path(quoth.settings.originals) / "ab"
    half.mkdir(parents=True, exist_ok=True)
    (half / ".half-1").write_bytes(b"being written by another process")
    quoth.pipeline.sweep()
    found["kept"] = (half / ".half-1").exists()
    os.utime(half / ".half-1", (right_s - 7200, right_s - 7200))
    quoth.pipeline.sweep()
    found["swept"] = not (half / ".half-1").exists()
    made = backup(quoth.database, quoth.originals, quoth.settings.home, folder / "one.tar")
    found["backup"] = datetime.fromisoformat(made.made_at).timestamp() - right_s
print(json.dumps(found))
"""


def test_sessions_reservations_and_files_hold_as_long_as_the_stores_clock_says(
    quoth: Quoth, wrong: dict[str, str], tmp_path: Path
) -> None:
    budgets = Budgets(quoth.database, limits_from("user:local 100 tokens/month"))

    def reserve() -> None:
        budgets.reserve(LOCAL, "answer", "m", None, tokens=60, cost_usd=None, within_s=300)

    def forget() -> None:
        with quoth.database.owning() as connection:
            connection.execute(text("delete from budget_hold"))
            connection.execute(text("delete from budget"))

    reserve()
    found = json.loads(said_by(wrong, LOOKING, str(time.time()), str(tmp_path)))
    assert abs(found["time"]) > 3000 and abs(found["datetime"]) > 3000, "its clock was not wrong"
    assert abs(found["store"]) < 60 and abs(found["backup"]) < 120
    assert found["sessions"] == [True] * 4 and found["over"] == [False] * 4
    assert not found["took"], "what a living process had reserved was taken from it"
    assert found["kept"] and found["swept"]
    forget()
    (tmp_path / "one.tar").unlink()
    assert json.loads(said_by(wrong, LOOKING, str(time.time()), str(tmp_path)))["took"]
    with pytest.raises(LimitReached):
        reserve()
    with quoth.database.owning() as connection:
        (left_s,) = connection.execute(text("select extract(epoch from expires_at - now()) from budget_hold")).scalars()
        assert 200 < left_s < 400, "it is kept too long, or not long enough"
        connection.execute(text("update budget_hold set expires_at = now() - interval '1 second'"))
    reserve()
    forget()


# -- the API -----------------------------------------------------------------------------------------------------------


def test_keys_and_slacks_signatures_hold_alike_at_every_process(quoth: Quoth, wrong: dict[str, str]) -> None:
    fresh, over = (quoth.api_keys.create("ada", days=1) for _ in range(2))
    with quoth.database.owning() as connection:
        for key, left in ((fresh[0], "30 minutes"), (over[0], "-30 minutes")):
            connection.execute(
                text("update api_key set expires_at = clock_timestamp() + cast(:left as interval) where id = :id"),
                {"id": key.id, "left": left},
            )
    slack = {"QUOTH_SLACK_SIGNING_SECRET": SECRET, "QUOTH_SLACK_BOT_TOKEN": "xoxb-test"}
    port = free_port()
    with running({**wrong, **slack}, "-m", "ui.command", "api", "--port", str(port)):
        address = f"http://127.0.0.1:{port}"
        come(lambda: _status(f"{address}/api/ready") == 200)
        statuses = [
            httpx.get(f"{address}/api/me", headers={"authorization": f"Bearer {token}"}).status_code
            for _, token in (fresh, over)
        ]
        assert statuses == [200, 401]
        assert [_slack(address, age_s) for age_s in (0, 240, 1200, 3600, -3600)] == [200, 200, 401, 401, 401]


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def _slack(address: str, age_s: int) -> int:
    body = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()
    at = str(int(time.time()) - age_s)
    signature = "v0=" + hmac.new(SECRET.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"x-slack-request-timestamp": at, "x-slack-signature": signature}
    return httpx.post(f"{address}/api/slack/events", content=body, headers=headers, timeout=60).status_code


# -- workers -----------------------------------------------------------------------------------------------------------


def test_a_worker_an_hour_ahead_and_one_behind_do_each_others_files_no_harm(
    quoth: Quoth, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "clock").mkdir()
    files = tmp_path / "files"
    files.mkdir()
    words = "Lantern {0}.{1} hangs at gate {0}, is trimmed at {1} past dusk, and burns {1} hours of oil by night.\n\n"
    for number in range(8):
        lines = 200 if number < 2 else 3  # some take longer than it takes to rescue the jobs of the dead
        text_of = "".join(words.format(number, line) for line in range(lines))
        (files / f"lantern{number}.txt").write_text(text_of, encoding="utf-8")
    one = {**environ, "QUOTH_WORKERS": "2"}
    with (
        running(skewed(one, tmp_path / "clock", ahead_s=HOUR_S), "-m", "ui.command", "worker"),
        running(skewed(one, tmp_path / "clock", ahead_s=-HOUR_S), "-m", "ui.command", "worker"),
    ):
        come(lambda: len(_alive(quoth)) == 2)
        receipts = list(quoth.pipeline.add([files]))
        assert not quoth.worker.running
        assert [one.status for one in receipts] == ["added"] * 8
        with quoth.database.working() as connection:
            starts = connection.execute(text("select starts from intake where source like 'lantern%'")).scalars().all()
        assert starts == [1] * 8, "a job was taken from the worker that did it"
        assert len(_alive(quoth)) == 2


def _alive(quoth: Quoth) -> set[str]:
    with quoth.database.working() as connection:
        return {one.process for one in workers(connection) if one.alive}


TRYING = """
import os, sys, threading
from assistant.bootstrap import open_quoth
from ingest.errors import ServiceError
from ingest.worker import JobKind

tries = 0

def take(key, stopping, last_try):
    global tries
    tries += 1
    if tries < 3:
        raise ServiceError("away for a moment")
    print("done", tries, flush=True)
    os._exit(0)

with open_quoth(dict(os.environ)) as quoth:
    quoth.worker.take_on(JobKind("test.clock", take, lambda connection: 0))
    quoth.worker.start()
    threading.Event().wait(150)
"""


def test_what_a_service_failed_on_is_tried_again_in_seconds_whatever_the_clock(
    quoth: Quoth, wrong: dict[str, str]
) -> None:
    with quoth.database.working() as connection:
        connection.execute(text("delete from procrastinate_jobs where queue_name = 'test.clock'"))
        enqueue_other(connection, "test.clock", ["one"])
    assert said_by(wrong, TRYING) == "done 3\n"
    with quoth.database.owning() as connection:
        late_s = connection.execute(
            text("select extract(epoch from scheduled_at - clock_timestamp()) from procrastinate_jobs"
                 " where queue_name = 'test.clock'")
        ).scalar_one()  # fmt: skip
    assert abs(late_s) < 120, "it was put off by this machine's clock"
