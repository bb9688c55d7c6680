"""Slack: somebody mentions Quoth, or writes to it alone, and is answered in the thread, with numbered quotations.

Who may read what. The asker is the person whose e-mail address Slack has confirmed, in the groups that the local table
gives them; what they write never says who they are. Written to alone, Quoth answers from what this person may read. A
channel is read by others, so there it answers only from what *everyone* may, whoever asks: the reader of a channel is
nobody's, and is named after the asker only so that limits and feedback are theirs. `everyone` means everyone who is
let into Quoth, so guests of a workspace and people of other organisations are not answered, and nothing is said in a
channel that is shared with another organisation. Guests who only read along in a channel cannot be told from here:
do not invite Quoth where there are some.

Every request is signed by Slack (v0: HMAC-SHA256 over time and body) and not older than five minutes. It is answered
at once and worked on after, as Slack wants it within three seconds; what Slack sends again is known by its event's id
and not worked on twice. An event is kept in the store before it is acknowledged and until it is answered: who answers
says so every few seconds, and what nobody has spoken for is taken up by another process, which is also how one that
starts again finds what it had left. The conversation that a thread goes on with is in the store too: any process may be
sent any event.

Slack's app needs the scopes app_mentions:read, im:history, chat:write, users:read and users:read.email, the events
app_mention and message.im at /api/slack/events, and interactivity at /api/slack/interactivity.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import UUID

import httpx
from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from assistant.bootstrap import Quoth
from assistant.callers import NotSignedIn
from assistant.model import Answer, AnswerId, Citation
from assistant.shared_doors import Taken
from ingest.access import Reader
from ingest.errors import QuothError, ServiceError, UsageError, trace_of
from ingest.groups import claimed_reader
from ui.api.identity import Throttle
from ui.api.problems import TooMany

LOG: Final = logging.getLogger("quoth.slack")
SLACK_URL: Final = "https://slack.com/api"
TOLERANCE_S: Final = 300
TIMEOUT_S: Final = 10.0
LONGEST_WAIT_S: Final = 30.0  # for Slack, when it says that too much was sent
AT_ONCE: Final = 8  # answers being made; more wait
TEND_EVERY_S: Final = 15.0
SECTION_CHARS: Final = 2_900  # Slack takes 3,000, and refuses the whole message otherwise
MOST_CLAIMS: Final = 20  # a message has at most 50 blocks
MOST_CITATIONS: Final = 20
HELPFUL, UNHELPFUL = "quoth_helpful", "quoth_unhelpful"
IN_CHANNELS: Final = "~slack "  # '~' starts no user's name, and no document can name such a reader
_MENTION: Final = re.compile(r"<[@!][^>]*>")
_LINK: Final = re.compile(r"<(?:[^|>]*\|)?([^>]*)>")
_NEEDED: Final = ("user", "text", "channel", "channel_type", "thread_ts", "ts")  # of an event, to answer it
Json = dict[str, Any]


class SlackApi:
    """The few methods of Slack's Web API that are needed.

    Args:
        url: another one in tests.
    """

    def __init__(self, token: str, url: str = SLACK_URL) -> None:
        self._client = httpx.Client(
            base_url=url, timeout=TIMEOUT_S, headers={"authorization": f"Bearer {token}"}, follow_redirects=False
        )

    def call(self, method: str, **arguments: Any) -> Json:
        """One call; tried once more where Slack says how long to wait.

        Raises:
            ServiceError: Slack does not answer, or refuses.
        """
        try:
            said = self._posted(method, arguments)
            if said.status_code == 429:
                time.sleep(min(float(said.headers.get("retry-after", "1")), LONGEST_WAIT_S))
                said = self._posted(method, arguments)
            found: Json = said.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise ServiceError(f"Slack does not answer to {method}: {type(error).__name__}. Try again.") from error
        if not found.get("ok"):
            raise ServiceError(f"Slack refuses {method}: {found.get('error')}. See the scopes that the app needs.")
        return found

    def _posted(self, method: str, arguments: Json) -> httpx.Response:
        if method == "users.info":  # takes no JSON
            return self._client.post(f"/{method}", data=arguments)
        return self._client.post(f"/{method}", json=arguments)


class SlackDoor:
    """Answers what Slack sends. One for each process; its methods may run at the same time.

    Args:
        tend_every_s: between looks for what others have left, in which it also speaks for what it answers itself.
    """

    def __init__(
        self, quoth: Callable[[], Quoth], api: SlackApi, signing_secret: str, throttle: Throttle, *,
        tend_every_s: float = TEND_EVERY_S,
    ) -> None:  # fmt: skip
        self._quoth = quoth
        self._api = api
        self._secret = signing_secret.encode()
        self._throttle = throttle
        self._workers = ThreadPoolExecutor(AT_ONCE, "slack")  # its own: the API's threads do not wait for Slack's work
        self._tend_every_s = tend_every_s
        self._held: dict[str, int] = {}  # events that are ours to answer, with their tries
        self._answered: set[str] = set()  # events that the store could not be told of yet
        self._lock = threading.Lock()
        self._ended = threading.Event()

    # -- what is sent --------------------------------------------------------------------------------------------------

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """
        Raises:
            NotSignedIn: Slack did not sign this, or too long ago.
        """
        sent = headers.get("x-slack-request-timestamp", "")
        signed = b"v0:%s:%s" % (sent.encode("latin-1", "replace"), body)
        wanted = "v0=" + hmac.new(self._secret, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), headers.get("x-slack-signature", "").encode("latin-1", "replace")):
            raise NotSignedIn("This request is not signed with QUOTH_SLACK_SIGNING_SECRET.")
        now_s = self._quoth().database.now().timestamp()  # one clock, whichever process is sent it
        if not sent.isascii() or not sent.isdigit() or abs(now_s - int(sent)) > TOLERANCE_S:
            raise NotSignedIn("This request is too old, or the clock of the database is wrong.")

    def heard(self, sent: Json) -> Taken | None:
        """Keep an event, so that it is answered whatever becomes of this process; None: some process has it already."""
        event: Json = sent["event"]
        kept: Json = {name: sent[name] for name in ("team_id", "is_ext_shared_channel") if name in sent}
        kept["event"] = {name: event[name] for name in _NEEDED if name in event}
        taken = self._quoth().shared_doors.keep_event(str(sent.get("event_id")), kept)
        if taken is not None:
            self._hold(taken)
        return taken

    # -- what others have left ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Look after what is not answered yet, from a thread, until `close`."""
        self._ended.clear()
        threading.Thread(target=self._tend, name="slack-tend", daemon=True).start()

    def close(self) -> None:
        self._ended.set()

    def _tend(self) -> None:
        while True:
            try:
                self.tend()
            except QuothError as error:
                LOG.warning("what Slack asked could not be looked after: %s", error)
            except Exception as error:
                LOG.error("what Slack asked could not be looked after:\n%s", trace_of(error))
            if self._ended.wait(self._tend_every_s):
                return

    def tend(self) -> None:
        """Speak for what this process answers, and take up what nobody speaks for.

        Raises:
            ServiceError: the database does not answer.
        """
        doors = self._quoth().shared_doors
        with self._lock:
            answered, held = set(self._answered), dict(self._held)
        for event in answered:
            doors.event_done(event)
            with self._lock:
                self._answered.discard(event)
        if held:
            doors.hold(held)
        for taken in doors.left_events(most=max(0, AT_ONCE - len(held))):
            LOG.warning("a question from Slack that was left is taken up, try %d", taken.tries)
            self._hold(taken)
            self.later(self.answer, taken)

    def _hold(self, taken: Taken) -> None:
        with self._lock:
            self._held[taken.id] = taken.tries

    # -- what is done after the request was answered -------------------------------------------------------------------

    def later(self, work: Callable[[Any], None], what: Taken | Json) -> None:
        """Do it in a thread of this door's; returns at once."""
        self._workers.submit(work, what)

    def answer(self, taken: Taken) -> None:
        """Answer a mention or a direct message in its thread. Never raises; words of questions are not logged.

        What Slack could not be told is not done with: it is taken up again, as if this process had died.
        """
        try:
            if self._told(taken):
                with self._lock:
                    self._answered.add(taken.id)
                self._quoth().shared_doors.event_done(taken.id)
                with self._lock:
                    self._answered.discard(taken.id)
        except ServiceError as error:  # the store hears of it later
            LOG.warning("what Slack was told could not be noted yet: %s", error)
        finally:
            with self._lock:
                self._held.pop(taken.id, None)

    def _told(self, taken: Taken) -> bool:
        """Whether Slack was told something, or need not be by us."""
        sent: Json = dict(taken.sent)
        event: Json = sent["event"]
        channel, thread = str(event.get("channel", "")), str(event.get("thread_ts") or event.get("ts") or "")
        try:
            text, blocks = self._made(sent, event, channel, thread)
            if not self._quoth().shared_doors.hold({taken.id: taken.tries}):
                return False  # it took so long, or was paused, that another has taken it up
            self._post(channel, thread, text, blocks)
        except (NotSignedIn, UsageError, TooMany) as error:
            return self._say(channel, thread, str(error))
        except ServiceError as error:
            LOG.error("a question from Slack could not be answered:\n%s", trace_of(error))
            return self._say(channel, thread, "Something that I need does not answer. Try again in a moment.")
        except Exception as error:
            LOG.error("a question from Slack failed:\n%s", trace_of(error))
            return self._say(channel, thread, "Something went wrong. The log has more.")
        return True

    def _made(self, sent: Json, event: Json, channel: str, thread: str) -> tuple[str, list[Json]]:
        direct = event.get("channel_type") == "im"
        if not direct and sent.get("is_ext_shared_channel"):
            raise NotSignedIn("I do not answer in channels that are shared with another organisation. Write to me.")
        reader = self.reader_of(str(event.get("user", "")), str(sent.get("team_id", "")), direct=direct)
        self._throttle.take(reader.name)
        question = question_of(str(event.get("text", "")))
        if not question:
            return "Ask me something that the documents could say.", []
        quoth = self._quoth()
        talk = quoth.shared_doors.talk(channel, thread, reader.name)
        *_, answer = quoth.ask(question, reader, conversation=talk)
        assert isinstance(answer, Answer)
        quoth.shared_doors.keep_talk(channel, thread, reader.name, answer.conversation)
        return escaped(answer.text or answer.missing or "The documents do not say."), blocks_of(answer)

    def feedback(self, sent: Json) -> None:
        """Keep what a pressed button says of an answer; only who asked may. Never raises."""
        try:
            action = sent["actions"][0]
            channel, user = str(sent["channel"]["id"]), str(sent["user"]["id"])
            if action["action_id"] not in (HELPFUL, UNHELPFUL):
                return
            reader = self.reader_of(user, str(sent["team"]["id"]), direct=channel.startswith("D"))
            told = "Thank you, noted."
            try:
                self._quoth().feedback.give(
                    reader, AnswerId(UUID(action["value"])), helpful=action["action_id"] == HELPFUL
                )
            except UsageError:
                told = "Only who asked can say whether the answer helped."
            self._api.call("chat.postEphemeral", channel=channel, user=user, text=told)
        except (QuothError, KeyError, IndexError, TypeError, ValueError) as error:
            LOG.error("feedback from Slack could not be kept:\n%s", trace_of(error))

    def reader_of(self, user: str, team: str, *, direct: bool) -> Reader:
        """The reader that a person of the workspace is: themselves where they are alone with Quoth, else nobody.

        Raises:
            NotSignedIn: a guest, a robot, somebody of another workspace, or an address that Slack has not confirmed.
            ServiceError: Slack does not say.
        """
        person: Json = self._api.call("users.info", user=user)["user"]
        outside = person.get("team_id") != team or person.get("is_stranger")
        guest = person.get("is_restricted") or person.get("is_ultra_restricted")
        if outside or guest or person.get("is_bot") or person.get("deleted"):
            raise NotSignedIn("I answer members of this workspace, and neither guests nor other organisations.")
        address = (person.get("profile") or {}).get("email")
        if person.get("is_email_confirmed") is not True or not isinstance(address, str) or not address:
            raise NotSignedIn("Slack has not confirmed your e-mail address, by which I know you. Confirm it there.")
        named = claimed_reader(address, ())
        return named if direct else Reader(IN_CHANNELS + named.name, frozenset())

    def _post(self, channel: str, thread: str, text: str, blocks: list[Json]) -> None:
        self._api.call(
            "chat.postMessage", channel=channel, thread_ts=thread, text=text[:SECTION_CHARS], blocks=blocks,
            unfurl_links=False, unfurl_media=False, parse="none", link_names=False,
        )  # fmt: skip

    def _say(self, channel: str, thread: str, words: str) -> bool:
        try:
            self._post(channel, thread, escaped(words), [])
        except ServiceError as error:
            LOG.error("Slack could not be told: %s", error)
            return False
        return True


def slack_router(door: SlackDoor) -> APIRouter:
    """The two addresses that Slack sends to."""
    router = APIRouter(prefix="/api/slack", include_in_schema=False)

    @router.post("/events")
    async def events(request: Request, later: BackgroundTasks) -> JSONResponse:
        body = await request.body()
        await run_in_threadpool(door.verify, request.headers, body)
        sent = _object(body)
        if sent.get("type") == "url_verification":
            return JSONResponse({"challenge": sent.get("challenge")})
        # Slack sends again what it believes lost, with X-Slack-Retry-Num; the event's id is the same
        if wanted(sent) and (taken := await run_in_threadpool(door.heard, sent)) is not None:
            later.add_task(door.later, door.answer, taken)
        return JSONResponse({})

    @router.post("/interactivity")
    async def interactivity(request: Request, later: BackgroundTasks) -> JSONResponse:
        body = await request.body()
        await run_in_threadpool(door.verify, request.headers, body)
        sent = _object((parse_qs(body.decode("utf-8", "replace")).get("payload") or [""])[0])
        if sent.get("type") == "block_actions":
            later.add_task(door.later, door.feedback, sent)
        return JSONResponse({})

    return router


def wanted(sent: Json) -> bool:
    """Whether somebody asks: a mention in a channel, or a message to Quoth alone; not edits, joins, or robots."""
    event = sent.get("event")
    if sent.get("type") != "event_callback" or not isinstance(event, dict) or not event.get("user"):
        return False
    if event.get("bot_id") or event.get("subtype"):
        return False
    if event.get("type") == "app_mention":
        return event.get("channel_type") != "im"  # there it comes as a message too
    return event.get("type") == "message" and event.get("channel_type") == "im"


def question_of(text: str) -> str:
    """What was asked, without the mentions and escapes that Slack writes."""
    plain = _LINK.sub(r"\1", _MENTION.sub(" ", text))
    return " ".join(plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").split())


def escaped(text: str) -> str:
    """Text as Slack shows it and does nothing else with it: no mention, link or channel can be written so."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def blocks_of(answer: Answer) -> list[Json]:
    """The message: each claim with its numbers, each number's quotation, and two buttons."""
    if answer.claims:
        told = [f"{one.text} {''.join(f'[{number}]' for number in one.citations)}" for one in answer.claims]
    else:
        told = [answer.text or answer.missing or "The documents do not say."]
    blocks = [_section(escaped(one)) for one in told[:MOST_CLAIMS]]
    if len(told) > MOST_CLAIMS:
        blocks.append(_section(f"{len(told) - MOST_CLAIMS} more sentences are in Quoth itself."))
    blocks.extend(_section(_quoted(one)) for one in answer.citations[:MOST_CITATIONS])
    buttons = [(HELPFUL, "Helpful"), (UNHELPFUL, "Not helpful")]
    blocks.append(
        {
            "type": "actions",
            "elements": [
                {"type": "button", "action_id": action, "value": str(answer.id),
                 "text": {"type": "plain_text", "text": label}}
                for action, label in buttons
            ],
        }
    )  # fmt: skip
    return blocks


def _quoted(citation: Citation) -> str:
    page = f", page {citation.page}" if citation.page else ""
    quote = "\n".join(f"> {escaped(line)}" for line in citation.quote.splitlines())
    return f"[{citation.marker}] {escaped(citation.title)}{page}\n{quote}"


def _section(text: str) -> Json:
    if len(text) > SECTION_CHARS:
        text = re.sub(r"&[a-z]*$", "", text[:SECTION_CHARS]) + " …"  # half an escape would be shown
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _object(text: str | bytes) -> Json:
    """
    Raises:
        UsageError: it is no JSON object.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError("The body is not JSON.") from error
    if not isinstance(found, dict):
        raise UsageError("The body is no JSON object.")
    return found
