"""People who use the API: each act is one request or two, timed from when it was due, and what comes back is checked.

Checked at once: every citation, hit, passage and listed document is one that the person may read by the plan's own
table of rights; every claim has a citation; a conversation holds only what the person asked; what a person may not
read is answered as if it were not there. Quotations are noted, to be held against the stored texts afterwards.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from evals.bench.load_plan import Kind, Person, Written, revised

MOST_WRONG: Final = 50  # kept in words; more do not tell more
REQUEST_TIMEOUT_S: Final = 120.0
KEPT_ANSWERS: Final = 5  # of each person, to go on with


@dataclass(frozen=True, slots=True)
class Shown:
    """A quotation as it was shown."""

    person: str
    document: str
    version: int
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Act:
    """One act and what came of it."""

    kind: Kind
    due_s: float  # since the start
    elapsed_s: float  # from when it was due until the last byte
    outcome: str  # ok, refused (with a way out: 429 or 503), or what went wrong
    first_claim_s: float | None = None


@dataclass(slots=True)
class Seen:
    """Everything that came back."""

    acts: list[Act] = field(default_factory=list)
    shown: set[Shown] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)  # of answers
    wrong: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    accepted: dict[str, bytes] = field(default_factory=dict)  # what was last taken in, by source


class Wrong(Exception):
    """What came back is not what it must be."""


class People:
    """A company at its desks.

    Args:
        keys: of each person, in the order of `people`.
        readers: who may read each source that is there at the beginning.
        pages: (document, number of pages) of what has pictures of pages, by source.
        owned: what may be replaced.
    """

    def __init__(
        self, address: str, people: Sequence[Person], keys: Sequence[str], *,
        questions: Sequence[str], readers: Mapping[str, Sequence[str]], ids: Mapping[str, str],
        pages: Mapping[str, tuple[str, int]], owned: Sequence[Written], seed: int,
    ) -> None:  # fmt: skip
        self.seen = Seen()
        self._people = list(zip(people, keys, strict=True))
        self._questions = questions
        self._readers = dict(readers)
        self._ids = dict(ids)
        self._pages = pages
        self._owned = list(owned)
        self._chance = random.Random(f"{seed}/acts")
        self._asked: dict[str, set[str]] = defaultdict(set)
        self._answers: dict[str, deque[dict[str, Any]]] = defaultdict(lambda: deque(maxlen=KEPT_ANSWERS))
        self._replacing: set[str] = set()
        self._number = 0
        self._client = httpx.AsyncClient(
            base_url=address,
            timeout=REQUEST_TIMEOUT_S,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=50),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def act(self, kind: Kind, due_s: float, started: float) -> None:
        """Do one act as somebody; whatever happens becomes its outcome."""
        person, key = self._chance.choice(self._people)
        self._number += 1
        first: list[float] = []
        outcome = "ok"
        try:
            await self._do(kind, person, {"authorization": f"Bearer {key}"}, first)
        except Wrong as error:
            outcome = str(error)[:120]
        except httpx.HTTPStatusError as error:
            outcome = _refusal(error.response)
        except (TimeoutError, httpx.HTTPError, OSError) as error:
            outcome = type(error).__name__
        now = time.monotonic() - started
        self.seen.acts.append(Act(kind, due_s, now - due_s, outcome, first[0] - started - due_s if first else None))

    async def _do(self, kind: Kind, person: Person, headers: dict[str, str], first: list[float]) -> None:
        match kind:
            case "ask":
                await self._ask(person, headers, first)
            case "search":
                await self._search(person, headers)
            case "open text":
                await self._open_text(person, headers)
            case "open page":
                await self._open_page(person, headers)
            case "history":
                await self._history(person, headers)
            case "list":
                await self._list(person, headers)
            case "feedback":
                await self._feedback(person, headers)
            case "upload":
                await self._upload(person, headers)
            case "replace":
                await self._replace(person, headers)

    async def _ask(self, person: Person, headers: dict[str, str], first: list[float]) -> None:
        question = self._chance.choice(self._questions)
        body: dict[str, Any] = {"question": question, "stream": True}
        before = self._answers[person.name]
        if before and self._chance.random() < 0.25:
            body["conversation"] = before[-1]["conversation"]
        self._asked[person.name].add(question)
        answer: dict[str, Any] | None = None
        async with self._client.stream("POST", "/api/answers", json=body, headers=headers) as response:
            if response.is_error:
                await response.aread()
                response.raise_for_status()
            event = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: ") and event in ("claim", "answer", "error"):
                    found = json.loads(line[6:])
                    if event == "claim" and not first:
                        first.append(time.monotonic())
                    elif event == "error":
                        raise Wrong("refused" if found.get("whose") == "wait" else f"error event: {found.get('code')}")
                    elif event == "answer":
                        answer = found
        if answer is None:
            raise Wrong("a stream ended in silence")
        self.seen.statuses[answer["status"]] += 1
        self._check_answer(person, question, answer)
        before.append(answer)

    def _check_answer(self, person: Person, question: str, answer: dict[str, Any]) -> None:
        if answer["question"] != question:
            self._wrong(f"{person.name} asked {question!r} and got an answer to {answer['question']!r}")
        for one in (*answer["citations"], *answer["passages"]):
            self._must_read(person, one["source"], "an answer")
        markers = {one["marker"] for one in answer["citations"]}
        for claim in answer["claims"]:
            if not claim["citations"] or not set(claim["citations"]) <= markers:
                self._wrong(f"{question!r}: a claim has no citation")
        for one in answer["citations"]:
            self.seen.shown.add(
                Shown(person.name, one["document"], one["version"], one["start"], one["end"], one["quote"])
            )

    async def _search(self, person: Person, headers: dict[str, str]) -> None:
        question = self._chance.choice(self._questions)
        response = await self._client.post("/api/search", json={"question": question}, headers=headers)
        for hit in response.raise_for_status().json()["hits"]:
            self._must_read(person, hit["source"], "a search")

    async def _open_text(self, person: Person, headers: dict[str, str]) -> None:
        """The source of an answer they had; else a document at random, which they may read or not."""
        cited = [one for answer in self._answers[person.name] for one in answer["citations"]]
        if cited and self._chance.random() < 0.8:
            one = self._chance.choice(cited)
            response = await self._client.get(
                f"/api/documents/{one['document']}/text", params={"version": one["version"]}, headers=headers
            )
            if response.raise_for_status().text[one["start"] : one["end"]] != one["quote"]:
                self._wrong(f"{one['source']}: a quotation does not stand where its citation says")
            return
        source = self._chance.choice(list(self._ids))
        response = await self._client.get(f"/api/documents/{self._ids[source]}/text", headers=headers)
        if response.status_code == 404 and not person.may_read(self._readers[source]):
            return
        response.raise_for_status()
        self._must_read(person, source, "opening")

    async def _open_page(self, person: Person, headers: dict[str, str]) -> None:
        readable = [source for source in self._pages if person.may_read(self._readers[source])]
        if not readable:
            return await self._open_text(person, headers)
        document, count = self._pages[self._chance.choice(readable)]
        number = self._chance.randint(1, count)
        response = await self._client.get(f"/api/documents/{document}/pages/{number}", headers=headers)
        if not response.raise_for_status().content.startswith(b"\x89PNG"):
            raise Wrong("a page is no picture")

    async def _history(self, person: Person, headers: dict[str, str]) -> None:
        response = await self._client.get("/api/conversations", params={"limit": 20}, headers=headers)
        talks = response.raise_for_status().json()["conversations"]
        if talks:
            chosen = self._chance.choice(talks)["conversation"]
            response = await self._client.get(f"/api/conversations/{chosen}", headers=headers)
            for answer in response.raise_for_status().json()["answers"]:
                if answer["question"] not in self._asked[person.name]:
                    self.seen.leaks.append(f"{person.name} sees another's question in their history")
                for one in answer["citations"]:
                    self._must_read(person, one["source"], "a conversation")

    async def _list(self, person: Person, headers: dict[str, str]) -> None:
        response = await self._client.get("/api/documents", params={"limit": 50}, headers=headers)
        for one in response.raise_for_status().json()["documents"]:
            self._must_read(person, one["source"], "the list")

    async def _feedback(self, person: Person, headers: dict[str, str]) -> None:
        answers = self._answers[person.name]
        if not answers:
            return await self._list(person, headers)
        said = {"helpful": self._chance.random() < 0.8}
        response = await self._client.put(f"/api/answers/{answers[-1]['answer']}/feedback", json=said, headers=headers)
        response.raise_for_status()

    async def _upload(self, person: Person, headers: dict[str, str]) -> None:
        source = f"new{self._number:06}.md"
        readers = person.groups[:1] or ("everyone",)
        words = f"# Note {self._number}\n\nThe cupboard of note {self._number} is opened by {person.name}.\n".encode()
        await self._send(person, headers, source, readers, words)

    async def _replace(self, person: Person, headers: dict[str, str]) -> None:
        mine = [one for one in self._owned if person.may_read(one.readers) and one.source not in self._replacing]
        if not mine:
            return await self._upload(person, headers)
        one = self._chance.choice(mine)
        self._replacing.add(one.source)  # one at a time, so that it is known which came last
        try:
            await self._send(person, headers, one.source, None, revised(one, self._number))
        finally:
            self._replacing.discard(one.source)

    async def _send(
        self, person: Person, headers: dict[str, str], source: str, readers: Sequence[str] | None, words: bytes
    ) -> None:
        form = {} if readers is None else {"readers": ",".join(readers)}
        if readers is not None:
            self._readers[source] = tuple(readers)  # before it can be found
        response = await self._client.post(
            "/api/documents", data=form, files=[("files", (source, words))], headers=headers
        )
        response.raise_for_status()
        if response.status_code != 202:
            raise Wrong(f"an upload got {response.status_code}")
        self.seen.accepted[source] = words

    def _must_read(self, person: Person, source: str, where: str) -> None:
        if not person.may_read(self._readers.get(source, ())):
            self.seen.leaks.append(f"{where} showed {source!r} to {person.name}, who may not read it")

    def _wrong(self, words: str) -> None:
        if len(self.seen.wrong) < MOST_WRONG:
            self.seen.wrong.append(words)


def _refusal(response: httpx.Response) -> str:
    if response.status_code in (429, 503):
        return "refused"
    return f"status {response.status_code}"
