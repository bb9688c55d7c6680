"""Slack's requests as it sends them, against the served API and a Slack on loopback; who is told what."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.bootstrap import Quoth
from ingest.access import LOCAL, Reader
from tests.ui.served_api import serving
from ui.api.app import api_app
from ui.api.slack_door import IN_CHANNELS, SlackApi, SlackDoor, escaped, question_of

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
Json = dict[str, Any]
PERSON: Json = {
    "id": "U1", "team_id": "T1", "is_bot": False, "is_email_confirmed": True, "profile": {"email": "ada@example.org"},
}  # fmt: skip


class LoopbackSlack:
    """What answers in Slack's place, and what it was sent."""

    def __init__(self) -> None:
        self.people: dict[str, Json] = {}
        self.sent: list[tuple[str, Json]] = []
        self.limited = 0
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                method = self.path.rsplit("/", 1)[1]
                assert self.headers["authorization"] == "Bearer xoxb-test"
                status, said = 200, {"ok": True}
                if method == "users.info":
                    said["user"] = slack.people[parse_qs(body)["user"][0]]
                elif slack.limited:
                    slack.limited -= 1
                    status = 429
                else:
                    slack.sent.append((method, json.loads(body)))
                out = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(out)))
                self.send_header("retry-after", "0")
                self.end_headers()
                self.wfile.write(out)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self) -> tuple[str, Json]:
        """What is sent next."""
        for _ in range(1200):
            if self.sent:
                return self.sent.pop(0)
            time.sleep(0.05)
        raise AssertionError("nothing was sent to Slack")


@pytest.fixture(scope="module")
def slack() -> Iterator[LoopbackSlack]:
    one = LoopbackSlack()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture(scope="module")
def address(quoth: Quoth, slack: LoopbackSlack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("files")
    for name, text, readers in (
        ("leave.txt", "Every employee has thirty days of annual leave.", ("everyone",)),
        ("bonus.txt", "The bonus of the Falcon project is nine thousand crowns.", ("user:ada@example.org",)),
        ("merger.txt", "The merger with Kestrel closes in the month of May.", ("board",)),
    ):
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
        list(quoth.pipeline.add([folder / name], readers=readers))
    quoth.groups.add("board", ["user:ada@example.org"])

    def door(throttle: Any) -> SlackDoor:
        return SlackDoor(lambda: quoth, SlackApi("xoxb-test", slack.url), SECRET, throttle)

    app = api_app(
        lambda: quoth,
        lambda: quoth.api_keys,
        tokens=None,
        local=False,
        hosts=None,
        requests_per_minute=1000,
        slack=door,
    )
    with serving(app) as served:
        yield f"{served}/api/slack"


@pytest.fixture(autouse=True)
def fresh(slack: LoopbackSlack) -> None:
    slack.people = {"U1": dict(PERSON), "U2": {**PERSON, "id": "U2", "profile": {"email": "bob@example.org"}}}
    slack.sent.clear()
    slack.limited = 0


def post(url: str, body: bytes, *, secret: str = SECRET, age_s: int = 0, **headers: str) -> httpx.Response:
    at = str(int(time.time()) - age_s)
    signature = "v0=" + hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    sent = {"x-slack-request-timestamp": at, "x-slack-signature": signature, **headers}
    return httpx.post(url, content=body, headers=sent, timeout=60)


def event(number: int, text: str, *, direct: bool = False, **more: Any) -> bytes:
    """An event as Slack sends it, but for the fields that nothing looks at."""
    kind = {"type": "message", "channel": "D1", "channel_type": "im"} if direct else {
        "type": "app_mention", "channel": "C1"}  # fmt: skip
    inner = {**kind, "user": "U1", "text": text, "ts": f"17000000{number}.0001", "event_ts": "1", **more.pop("e", {})}
    return json.dumps({
        "token": "x", "team_id": "T1", "api_app_id": "A1", "type": "event_callback", "event_id": f"Ev{number}",
        "event_time": 1, "authorizations": [{"team_id": "T1", "user_id": "UQ", "is_bot": True}],
        "is_ext_shared_channel": False, "event": inner, **more,
    }).encode()  # fmt: skip


def words_of(sent: Json) -> str:
    return sent["text"] + json.dumps(sent["blocks"])


def test_the_address_is_shown_to_be_ours(address: str) -> None:
    said = post(f"{address}/events", json.dumps({"type": "url_verification", "challenge": "abc"}).encode())
    assert said.status_code == 200 and said.json() == {"challenge": "abc"}


@pytest.mark.parametrize("wrong", [{"secret": "other"}, {"age_s": 400}, {"age_s": -400}])
def test_what_slack_did_not_sign_or_long_ago_is_refused(address: str, slack: LoopbackSlack, wrong: Json) -> None:
    for path in ("events", "interactivity"):
        assert post(f"{address}/{path}", event(1, "<@UQ> leave?"), **wrong).status_code == 401
    assert httpx.post(f"{address}/events", content=event(1, "x")).status_code == 401
    assert slack.sent == []


def test_a_mention_is_answered_in_its_thread_with_numbered_quotations(address: str, slack: LoopbackSlack) -> None:
    slack.limited = 1  # sent again when Slack says so
    assert (
        post(f"{address}/events", event(2, "<@UQ> How many days of annual leave has an employee?")).status_code == 200
    )
    method, sent = slack.next()
    assert method == "chat.postMessage" and sent["channel"] == "C1" and sent["thread_ts"] == "170000002.0001"
    assert sent["unfurl_links"] is False and sent["unfurl_media"] is False
    texts = [block["text"]["text"] for block in sent["blocks"] if block["type"] == "section"]
    assert "[1]" in texts[0] and any(t.startswith("[1] ") and "> Every employee has thirty days" in t for t in texts)
    assert {one["action_id"] for one in sent["blocks"][-1]["elements"]} == {"quoth_helpful", "quoth_unhelpful"}


def test_what_slack_sends_again_is_answered_once(address: str, slack: LoopbackSlack) -> None:
    body = event(3, "<@UQ> How many days of annual leave has an employee?")
    post(f"{address}/events", body)
    for number in ("1", "2"):
        again = post(f"{address}/events", body, **{"x-slack-retry-num": number, "x-slack-retry-reason": "http_timeout"})
        assert again.status_code == 200
    post(f"{address}/events", event(4, "<@UQ>"))
    heard = {slack.next()[1]["thread_ts"], slack.next()[1]["thread_ts"]}
    assert heard == {"170000003.0001", "170000004.0001"} and slack.sent == []


@pytest.mark.parametrize(
    ("question", "secret"),
    [
        ("What is the bonus of the Falcon project?", "nine thousand"),  # named as a person
        ("When does the merger with Kestrel close?", "month of May"),  # by a group of the local table
    ],
)
def test_a_channel_is_told_only_what_everyone_may_read(
    address: str, slack: LoopbackSlack, question: str, secret: str
) -> None:
    number = 100_000 if "bonus" in question else 200_000
    post(f"{address}/events", event(number, question, direct=True))
    assert secret in words_of(slack.next()[1])
    post(f"{address}/events", event(number + 1, f"<@UQ> {question}"))
    assert secret not in words_of(slack.next()[1])
    post(f"{address}/events", event(number + 2, question, direct=True, e={"user": "U2"}))
    assert secret not in words_of(slack.next()[1])


GUESTS: list[Json] = [
    {"is_email_confirmed": False},
    {"is_email_confirmed": None},
    {"team_id": "T2"},
    {"is_restricted": True},
    {"is_ultra_restricted": True},
    {"is_stranger": True},
    {"is_bot": True},
    {"deleted": True},
    {"profile": {}},
    {"profile": {"email": "local"}},  # the name that may read everything
]


@pytest.mark.parametrize("who", GUESTS)
def test_guests_strangers_and_the_unconfirmed_are_told_nothing(address: str, slack: LoopbackSlack, who: Json) -> None:
    slack.people["U1"] |= who
    post(f"{address}/events", event(300_000 + GUESTS.index(who), "How many days of annual leave?", direct=True))
    assert "thirty" not in words_of(slack.next()[1])


def test_a_channel_shared_with_others_is_told_nothing(address: str, slack: LoopbackSlack) -> None:
    post(f"{address}/events", event(50, "<@UQ> How many days of annual leave?", is_ext_shared_channel=True))
    assert "thirty" not in words_of(slack.next()[1])


@pytest.mark.parametrize("more", [{"bot_id": "B1"}, {"subtype": "message_changed"}, {"user": ""}])
def test_robots_edits_and_joins_are_left_alone(address: str, slack: LoopbackSlack, more: Json) -> None:
    post(f"{address}/events", event(60, "hello", direct=True, e=more))
    post(f"{address}/events", event(61 + len(str(more)), "<@UQ>"))
    assert slack.next()[1]["thread_ts"] != "1700000060.0001" and slack.sent == []


def test_a_button_is_feedback_of_who_asked(address: str, slack: LoopbackSlack, quoth: Quoth) -> None:
    post(f"{address}/events", event(70, "<@UQ> How many days of annual leave has an employee?"))
    helpful, _ = slack.next()[1]["blocks"][-1]["elements"]

    def press(user: str) -> Json:
        payload = {
            "type": "block_actions", "team": {"id": "T1"}, "user": {"id": user}, "channel": {"id": "C1"},
            "actions": [{"action_id": helpful["action_id"], "value": helpful["value"], "type": "button"}],
        }  # fmt: skip
        body = urlencode({"payload": json.dumps(payload)}).encode()
        said = post(f"{address}/interactivity", body, **{"content-type": "application/x-www-form-urlencoded"})
        assert said.status_code == 200
        method, sent = slack.next()
        assert method == "chat.postEphemeral" and sent["user"] == user
        return sent

    assert "Only who asked" in press("U2")["text"]
    assert "noted" in press("U1")["text"]
    asker = Reader(IN_CHANNELS + "ada@example.org", frozenset())
    (given_,) = [one for one in quoth.feedback.listed(LOCAL) if str(one.given.answer) == helpful["value"]]
    assert given_.given.helpful and given_.given.principal == asker.name


@given(st.text())
def test_nothing_that_is_written_means_anything_to_slack(text: str) -> None:
    shown = escaped(text)
    assert "<" not in shown and ">" not in shown
    assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


def test_the_question_is_what_was_typed() -> None:
    assert question_of("<@UQ> is <https://a.example|a.example> &lt; 3 &amp; up?") == "is a.example < 3 & up?"
