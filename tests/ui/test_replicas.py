"""Several processes on one store: what is begun at one goes on at another, and limits hold over all of them."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from assistant.bootstrap import Quoth, open_quoth
from tests.ui.served_api import serving
from tests.ui.test_slack_door import PERSON, SECRET, LoopbackSlack, event, post
from ui.api.app import api_app
from ui.api.slack_door import SlackApi, SlackDoor

pytestmark = pytest.mark.integration
PER_MINUTE = 300  # few enough to be used up in a moment


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(port: int, within_s: float = 240) -> None:
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/api/ready", timeout=5).status_code == 200:
                return
        assert time.monotonic() < deadline
        time.sleep(0.3)


@contextlib.contextmanager
def processes(environ: dict[str, str], count: int) -> Iterator[list[str]]:
    """The addresses of so many `quoth api`."""
    ports = [free_port() for _ in range(count)]
    begun = [
        subprocess.Popen(
            [sys.executable, "-m", "ui.command", "api", "--port", str(port)], env=environ, stderr=subprocess.DEVNULL
        )
        for port in ports
    ]
    try:
        for port in ports:
            wait_until_ready(port)
        yield [f"http://127.0.0.1:{port}" for port in ports]
    finally:
        for one in begun:
            one.send_signal(signal.SIGTERM)
        for one in begun:
            one.wait(60)


@pytest.fixture(scope="module")
def two(quoth: Quoth, environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "tram.md").write_text("# Tram\n\nThe last tram leaves at midnight. It stops at the old mill.\n")
    assert [one.status for one in quoth.pipeline.add([folder / "tram.md"])] == ["added"]
    with processes({**environ, "QUOTH_REQUESTS_PER_MINUTE": str(PER_MINUTE)}, 2) as addresses:
        yield addresses


def key(quoth: Quoth, user: str) -> dict[str, str]:
    return {"authorization": f"Bearer {quoth.api_keys.create(user, roles=['owner'])[1]}"}


def test_a_conversation_goes_on_and_a_key_is_revoked_everywhere(quoth: Quoth, two: list[str]) -> None:
    one, other = two
    asked = key(quoth, "ada")
    first = httpx.post(
        f"{one}/api/answers", json={"question": "When does the last tram leave?"}, headers=asked, timeout=120
    ).json()
    assert "midnight" in first["text"]
    on = {"question": "And where does it stop?", "conversation": first["conversation"]}
    second = httpx.post(f"{other}/api/answers", json=on, headers=asked, timeout=120).json()
    assert second["conversation"] == first["conversation"]
    for address in two:
        talk = httpx.get(f"{address}/api/conversations/{first['conversation']}", headers=asked).json()
        assert [turn["answer"] for turn in talk["answers"]] == [first["answer"], second["answer"]]
    quoth.api_keys.revoke(asked["authorization"].split("_")[1])
    assert [httpx.get(f"{address}/api/me", headers=asked).status_code for address in two] == [401, 401]


def test_an_upload_sent_to_both_with_one_idempotency_key_is_taken_in_once(quoth: Quoth, two: list[str]) -> None:
    asked = {**key(quoth, "olga"), "idempotency-key": "tide"}
    files = {"files": ("tide.md", b"# Tide\n\nThe tide turns at six.\n")}
    said: list[httpx.Response] = []

    def send(address: str) -> None:
        said.append(httpx.post(f"{address}/api/documents", files=files, headers=asked, timeout=120))

    senders = [threading.Thread(target=send, args=(address,)) for address in (*two, *two)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    assert [one.status_code for one in said] == [202] * 4
    (batch,) = {one.json()["batch"] for one in said}
    other = {"files": ("tide.md", b"# Tide\n\nThe tide never turns.\n")}
    assert httpx.post(f"{two[1]}/api/documents", files=other, headers=asked).status_code == 409
    deadline = time.monotonic() + 240
    while True:
        seen = [httpx.get(f"{address}/api/batches/{batch}", headers=asked).json()["items"] for address in two]
        assert [len(items) for items in seen] == [1, 1]
        if all(items[0]["state"] == "done" for items in seen):
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert seen[0][0]["receipt"] == seen[1][0]["receipt"]
    document, version = quoth.catalog.find(quoth.catalog.reader_for("olga"), "tide.md")
    assert version == 1


def test_a_limit_holds_over_all_processes(quoth: Quoth, two: list[str]) -> None:
    asked = key(quoth, "max")
    for _ in range(PER_MINUTE - 20):
        quoth.shared_doors.take("max", PER_MINUTE)
    codes: list[int] = []

    def ask(address: str) -> None:
        with httpx.Client(base_url=address, headers=asked, timeout=60) as client:
            codes.extend(client.get("/api/me").status_code for _ in range(60))

    begun = time.monotonic()
    askers = [threading.Thread(target=ask, args=(address,)) for address in two]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    most = 21 + (time.monotonic() - begun + 60) * PER_MINUTE / 60  # what came back meanwhile
    assert set(codes) <= {200, 429} and 20 <= codes.count(200) <= most
    quoth.shared_doors.take("ned", PER_MINUTE)
    assert quoth.shared_doors.take("ned", 1e-9), "an empty bucket says how long"


def test_slack_may_send_to_any_process(quoth: Quoth, environ: dict[str, str], two: list[str]) -> None:
    slack = LoopbackSlack()
    slack.people = {"U1": dict(PERSON)}

    def app(store: Quoth) -> Any:
        def door(throttle: Any) -> SlackDoor:
            return SlackDoor(lambda: store, SlackApi("xoxb-test", slack.url), SECRET, throttle)

        return api_app(
            lambda: store, lambda: store.api_keys, tokens=None, local=False, hosts=None, requests_per_minute=1e6,
            slack=door,
        )  # fmt: skip

    with open_quoth(environ) as another, serving(app(quoth)) as one, serving(app(another)) as other:
        first = event(1, "When does the last tram leave?", direct=True)
        for address in (one, other, one, other):  # sent again, as Slack does where it thinks that it was not heard
            assert post(f"{address}/api/slack/events", first).status_code == 200
        assert "midnight" in str(slack.next())
        thread = {"thread_ts": "170000001.0001"}
        assert post(f"{other}/api/slack/events", event(2, "And where does it stop?", direct=True, e=thread)).is_success
        slack.next()
        time.sleep(2)
        assert slack.sent == [], "each event was worked on once"
        reader = quoth.catalog.reader_for("ada@example.org")
        (talk,) = quoth.conversations.listed(reader)
        assert talk.answers == 2, "the thread went on with its conversation at the other"
    slack.server.shutdown()
    slack.server.server_close()


def test_what_the_doors_share_is_forgotten_in_time(quoth: Quoth) -> None:
    doors, sent = quoth.shared_doors, {"event": {"text": "Where is the key?"}}

    def later(by: str) -> None:
        with quoth.database.owning() as connection:
            connection.exec_driver_sql(f"update slack_event set at = at - interval '{by}', taken_at = at")

    def words() -> int:
        with quoth.database.owning() as connection:
            return connection.exec_driver_sql("select count(*) from slack_event where sent is not null").scalar_one()

    assert doors.keep_event("Ev-late", sent) is not None and doors.keep_event("Ev-late", sent) is None
    doors.tidy()
    assert doors.keep_event("Ev-late", sent) is None and words() == 1
    later("2 hours")
    assert doors.left_events(most=8) == [], "nobody waits for it any more"
    doors.tidy()
    assert doors.keep_event("Ev-late", sent) is None and words() == 0
    later("2 days")
    doors.tidy()
    assert doors.keep_event("Ev-late", sent) is not None
    doors.event_done("Ev-late")
    assert words() == 0


def test_an_event_is_taken_up_when_nobody_speaks_for_it_and_not_for_ever(quoth: Quoth) -> None:
    doors = quoth.shared_doors

    def silent() -> None:
        with quoth.database.owning() as connection:
            connection.exec_driver_sql("update slack_event set taken_at = taken_at - interval '91 seconds'")

    assert doors.keep_event("Ev-left", {"event": {}}) is not None
    assert doors.left_events(most=8) == []
    silent()
    assert doors.hold({"Ev-left": 1}) == {"Ev-left"} and doors.left_events(most=8) == []
    silent()
    assert doors.left_events(most=0) == []
    assert [(one.id, one.tries) for one in doors.left_events(most=8)] == [("Ev-left", 2)]
    assert doors.hold({"Ev-left": 1}) == set(), "who was slow does not answer it as well"
    silent()
    assert [one.tries for one in doors.left_events(most=8)] == [3]
    silent()
    assert doors.left_events(most=8) == [], "what failed so often is given up"
    doors.event_done("Ev-left")


DYING = """
import os, signal, sys
from assistant.bootstrap import open_quoth
from ui.api.serving import served_api
from ui.api.slack_door import SlackApi, SlackDoor
import ui.api.serving as serving
import uvicorn

port, slack, at = int(sys.argv[1]), sys.argv[2], sys.argv[3]

class Dying(SlackDoor):
    def _made(self, *given):
        if at == "making":
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._made(*given)

    def _post(self, *given):
        if at == "posting":
            os.kill(os.getpid(), signal.SIGKILL)
        super()._post(*given)

serving.SlackDoor = Dying
serving.SlackApi = lambda token: SlackApi(token, slack)
with open_quoth(dict(os.environ)) as quoth:
    uvicorn.run(served_api(quoth, local=True), port=port, log_level="error")
"""


@pytest.mark.parametrize("at", ["making", "posting"])
def test_what_a_killed_process_had_heard_is_answered_once_by_the_next(
    quoth: Quoth, environ: dict[str, str], two: list[str], at: str
) -> None:
    slack = LoopbackSlack()
    slack.people = {"U1": dict(PERSON)}
    given = {**environ, "QUOTH_SLACK_SIGNING_SECRET": SECRET, "QUOTH_SLACK_BOT_TOKEN": "xoxb-test"}
    port = free_port()
    first = subprocess.Popen([sys.executable, "-c", DYING, str(port), slack.url, at], env=given)
    wait_until_ready(port)
    number = 71 if at == "making" else 72
    asked = event(number, "When does the last tram leave?", direct=True)
    assert post(f"http://127.0.0.1:{port}/api/slack/events", asked).status_code == 200
    assert first.wait(120) == -signal.SIGKILL and slack.sent == []
    with quoth.database.owning() as connection:
        connection.exec_driver_sql("update slack_event set taken_at = taken_at - interval '91 seconds'")

    def app(store: Quoth) -> Any:
        def door(throttle: Any) -> SlackDoor:
            return SlackDoor(lambda: store, SlackApi("xoxb-test", slack.url), SECRET, throttle, tend_every_s=0.2)

        return api_app(
            lambda: store, lambda: store.api_keys, tokens=None, local=False, hosts=None, requests_per_minute=1e6,
            slack=door,
        )  # fmt: skip

    with open_quoth(environ) as another, serving(app(quoth)) as one, serving(app(another)) as other:
        assert "midnight" in str(slack.next())
        for address in (one, other):  # sent again, late
            assert post(f"{address}/api/slack/events", asked).status_code == 200
        time.sleep(2)
        assert slack.sent == [], "it was answered twice"
        with quoth.database.owning() as connection:
            row = connection.exec_driver_sql(f"select tries, sent, done_at from slack_event where id = 'Ev{number}'")
            tries, words, done_at = row.one()
        assert (tries, words) == (2, None) and done_at is not None
    slack.server.shutdown()
    slack.server.server_close()
