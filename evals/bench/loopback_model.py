"""A stand-in for the OpenAI API: a real HTTP server that reads the prompt it is sent.

    python -m evals.bench.loopback_model --port 8765
    OPENAI_BASE_URL=http://127.0.0.1:8765/v1 OPENAI_API_KEY=any QUOTH_MODELS=double-honest quoth ask "..."

It answers by quoting sentences of the passages in the message that share words with the question, so that a fault of
retrieval or of the prompt changes the answer. It refuses requests that the API would refuse. The model's name chooses
what goes wrong: `double-` and one of MODES. Any other known model behaves as `--mode` says. Tests and benchmarks use
the same one; a benchmark may give it another thing to say.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import math
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self

import uvicorn
from openai.types import CreateEmbeddingResponse, Embedding, Model
from openai.types import responses as r
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from assistant.json_stream import ArrayReader, MalformedJson
from evals.bench.loopback_batches import LoopbackBatches

MODES: Final = {
    "honest": "quotes what the passages say",
    "invented": "its quotes stand nowhere",
    "mistaken": "its first quote stands nowhere, until it is told so",
    "own-words": "says with words of its own before it what the passages say",
    "unknown-id": "its evidence names a passage that was not given",
    "paraphrase-numbers": "its quotes are true, its claims have other numbers",
    "obey": "does what instructions inside passages tell",
    "tool-call": "calls a tool that nobody offered, then answers",
    "schema": "leaves the form that was asked for",
    "prose": "answers with a text that is not JSON",
    "refusal": "refuses",
    "incomplete": "is cut by max_output_tokens, unless there is room for 4000",
    "incomplete-filter": "is stopped by the content filter",
    "failed": "fails after it has begun",
    "late": "sends the text only in its last event",
    "slow": "sends a piece every half second",
    "drip": "sends a claim, then keep-alive comments for ever",
    "silent": "never sends a byte of its answer",
    "truncated": "ends early and cleanly, without a last event",
    "cut": "drops the connection in the middle",
    "empty": "sends no event at all",
    "malformed": "sends an event that is not JSON",
    "error-event": "sends an error event in the middle",
    "429": "always 429, Retry-After 1 s",
    "429-once": "429 with Retry-After 1 s, then honest",
    "429-bare": "always 429 without Retry-After",
    "429-long": "429 with Retry-After 300 s",
    "quota": "429 insufficient_quota",
    "500": "always 500",
    "500-once": "500, then honest",
    "502-html": "502 with an HTML page, as a proxy sends",
    "too-long": "400 context_length_exceeded for more than two passages",
    "policy": "400 content_policy_violation",
    "asks-back": "asks which of its first passages is meant, by their titles",
    "asks-nonsense": "asks back about what no passage holds",
    "endless": "calls a tool whenever it may",
    "stubborn": "calls a tool even where it must not",
    "no-tools": "400 for any request with tools",
}
CHAT_MODELS: Final = ("gpt-6.1-terra", "gpt-6-luna")
MODERATION_MODEL: Final = "omni-moderation-latest"
EMBEDDING_MODELS: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
FIELDS: Final = frozenset(  # of a request; any other is unknown
    {
        "model", "instructions", "input", "text", "max_output_tokens", "store", "truncation", "prompt_cache_key",
        "reasoning", "safety_identifier", "stream", "metadata", "include", "service_tier", "tools", "tool_choice",
    }
)  # fmt: skip
CHARS_PER_TOKEN: Final = 4
PIECE_CHARS: Final = (1, 7, 3, 12, 2)
REFUSAL: Final = "I can't help with that."
ROOM: Final = 4000  # from which "incomplete" completes

_PASSAGE: Final = re.compile(
    r"^<<PASSAGE (?P<id>P\d+) (?P<code>\w+)>>\n(?P<head>.*?)^text:\n(?P<text>.*?)\n<<END PASSAGE (?P=id) (?P=code)>>$",
    re.M | re.S,
)
_REJECTED: Final = re.compile(r"^<<REJECTED (\w+)>>\n(.*?)\n<<END REJECTED \1>>$", re.M | re.S)
_QUESTION: Final = re.compile(r"^<<QUESTION (\w+)>>\n(.*?)\n<<END QUESTION \1>>\Z", re.M | re.S)
_EARLIER: Final = re.compile(r"^<<EARLIER E\d+ (\w+)>>\n(.*?)\n<<END EARLIER E\d+ \1>>$", re.M | re.S)
_OWNERS: Final = re.compile(r"^<<OWNERS (\w+)>>\n(.*?)\n<<END OWNERS \1>>$", re.M | re.S)
_MARKED: Final = re.compile(r"^<<(CLAIM|QUOTATION) (\w+)>>\n(.*?)\n<<END \1 \2>>$", re.M | re.S)
_SENTENCE: Final = re.compile(r"\S(?:.*?[.!?](?=\s|$)|.*?(?=\n\s*\n|\Z))", re.S)
_ORDER: Final = re.compile(
    r"\b(?:say|answer|reply|respond|write|output|print|state|tell)\b[^\n:\"“.]*[:\"“]\s*[\"“]?(?P<words>[^\"”\n]+)",
    re.I,
)
_COMMON: Final = frozenset(
    """
    a an and are as at be been by can could did do does for from had has have how i if in is it its many may me much
    my must of on or our shall should that the their them there they this to was we what when where which who whom
    whose why will with would you your
    """.split()  # noqa: SIM905 - three lines that can be read
)


@dataclass
class Problem(Exception):
    """An answer of the API that is an error."""

    status: int
    code: str | None
    message: str
    headers: dict[str, str] | None = None


class LoopbackModel:
    """The server, on a free port of the loopback interface; use it in a `with`.

    Args:
        mode: of models whose name does not say it; or what gives it for the message of a request.
        says: the answer to a message in a mode, in the place of `answer_of`.
        tokens_per_s: how fast text is sent, four characters being a token; none: at once.
        piece_chars: the pieces in which text is sent, over and over.
        fails_at: the piece, from 1, at which a mode that breaks a stream breaks it.

    Attributes:
        requests: every body received for an answer, in order.
        paths: where each of them was received, with its query.
        embedded: every body received at /v1/embeddings, in order.
        moderated: every text received at /v1/moderations, in order; those with the word FLAGGED in them are flagged.
        batches: files and batches of embeddings, and what goes wrong with them.
        cancelled: how many streams the client left before their end.
        script: calls of tools to make before it answers, turn by turn: name and arguments (a text goes as it is).
        sent_at: time.monotonic() at which the last byte of a claim was sent, by the question and its text.
    """

    def __init__(
        self,
        *,
        mode: str | Callable[[str], str] = "honest",
        says: Callable[[str, str], dict[str, Any]] | None = None,
        tokens_per_s: float | None = None,
        piece_chars: Sequence[int] = PIECE_CHARS,
        fails_at: int = 4,
        port: int = 0,
        interface: Literal["responses", "chat"] = "responses",
        shutdowns: Mapping[str, str] | None = None,
        moderation_fault: Literal["", "500", "silent"] = "",
    ) -> None:
        self._mode = mode
        self._says = says or answer_of
        self._tokens_per_s = tokens_per_s
        self._piece_chars = piece_chars
        self._fails_at = fails_at
        self.sent_at: dict[tuple[str, str], float] = {}
        self._shutdowns = shutdowns or {}
        self._moderation_fault = moderation_fault
        self.moderated: list[str] = []
        self.paths: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.embedded: list[dict[str, Any]] = []
        self.batches = LoopbackBatches(_embedded_in_batch)
        self.cancelled = 0
        self.script: list[list[tuple[str, Any]]] = []
        self._seen: Counter[str] = Counter()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        routes = [
            Route("/v1/embeddings", self._embeddings, methods=["POST"]),
            Route("/v1/moderations", self._moderations, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/openai/v1/models", self._models),
            *self.batches.routes(),
        ]
        if interface == "responses":
            places = ("/v1/responses", "/openai/v1/responses", "/openai/responses")  # the last two are Azure's
            routes += [Route(place, self._responses, methods=["POST"]) for place in places]
        else:
            routes.append(Route("/v1/chat/completions", self._chat, methods=["POST"]))
        config = uvicorn.Config(Starlette(routes=routes), log_level="critical", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.serve, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the stand-in did not start within 20 s")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(5)

    # --- doors -------------------------------------------------------------------------------------------------------

    async def _models(self, request: Request) -> Response:
        names = [*(f"double-{mode}" for mode in MODES), *CHAT_MODELS, *EMBEDDING_MODELS, MODERATION_MODEL]
        models = [
            Model(
                id=name, created=0, object="model", owned_by="double", shutdown_date=self._shutdowns.get(name)
            ).model_dump()
            for name in names
        ]
        return JSONResponse({"object": "list", "data": models})

    async def _embeddings(self, request: Request) -> Response:
        try:
            _check_key(request)
            body = await request.json()
            self.embedded.append(body)
            return JSONResponse(embeddings_of(body), headers=_headers())
        except Problem as problem:
            return _error(problem)

    async def _moderations(self, request: Request) -> Response:
        try:
            _check_key(request)
            body = await request.json()
            if body.get("model") != MODERATION_MODEL:
                raise Problem(404, "model_not_found", f"The model {body.get('model')!r} does not exist.")
            self.moderated.append(body["input"])
            if self._moderation_fault == "500":
                raise Problem(500, "server_error", "The server had an error.")
        except Problem as problem:
            return _error(problem)
        if self._moderation_fault == "silent":
            await asyncio.sleep(3600)
        flagged = "FLAGGED" in body["input"]
        names = ("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent",
                 "self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence",
                 "violence/graphic")  # fmt: skip
        result = {
            "flagged": flagged,
            "categories": {name: flagged and name.startswith("violence") for name in names},
            "category_scores": {name: 0.9 if flagged and name.startswith("violence") else 0.01 for name in names},
            "category_applied_input_types": {name: ["text"] for name in names},
        }
        return JSONResponse({"id": "modr-1", "model": MODERATION_MODEL, "results": [result]}, headers=_headers())

    async def _responses(self, request: Request) -> Response:
        body = await request.json()
        self._note(request, body)
        try:
            _check_key(request)
            mode = self._mode_of(body)
            validate(body)
            self._fail_early(mode, body)
        except Problem as problem:
            return _error(problem)
        if mode == "502-html":
            return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 502)
        if not body.get("stream"):
            *_, last = _events(body, mode, self.script, self._says, self._piece_chars)
            return JSONResponse(last.response.model_dump(mode="json"), headers=_headers())
        return StreamingResponse(self._stream(body, mode), media_type="text/event-stream", headers=_headers())

    async def _chat(self, request: Request) -> Response:
        chat = await request.json()
        self._note(request, chat)
        try:
            _check_key(request)
            mode = self._mode_of(chat)
            body = responses_body(chat)
            validate(body)
            self._fail_early(mode, body)
        except Problem as problem:
            return _error(problem)
        stream = self._stream(body, mode, chat_chunks)
        return StreamingResponse(stream, media_type="text/event-stream", headers=_headers())

    def _note(self, request: Request, body: dict[str, Any]) -> None:
        self.requests.append(body)
        self.paths.append(request.url.path + ("?" + request.url.query if request.url.query else ""))

    def _mode_of(self, body: dict[str, Any]) -> str:
        model = str(body.get("model"))
        if model in CHAT_MODELS:
            return self._mode if isinstance(self._mode, str) else self._mode(_message(body))
        if model.startswith("double-") and model.removeprefix("double-") in MODES:
            return model.removeprefix("double-")
        raise Problem(404, "model_not_found", f"The model {model!r} does not exist or you do not have access to it.")

    def _fail_early(self, mode: str, body: dict[str, Any]) -> None:
        self._seen[mode] += 1
        first = self._seen[mode] == 1
        busy = "Rate limit reached."
        if mode == "429" or (mode == "429-once" and first):
            raise Problem(429, "rate_limit_exceeded", busy, {"Retry-After": "1"})
        if mode == "429-bare":
            raise Problem(429, "rate_limit_exceeded", busy)
        if mode == "429-long":
            raise Problem(429, "rate_limit_exceeded", busy, {"Retry-After": "300"})
        if mode == "quota":
            raise Problem(429, "insufficient_quota", "You exceeded your current quota.")
        if mode == "500" or (mode == "500-once" and first):
            raise Problem(500, "server_error", "The server had an error.")
        if mode == "no-tools" and body.get("tools"):
            raise Problem(400, "unsupported_parameter", "Tools are not supported beside a response format.")
        if mode == "policy":
            raise Problem(400, "content_policy_violation", "This prompt is not allowed.")
        if mode == "too-long" and len(passages_of(_message(body))) > 2:
            raise Problem(400, "context_length_exceeded", "Your input exceeds the context window of this model.")

    async def _stream(
        self, body: dict[str, Any], mode: str, encode: Callable[[Any], bytes] | None = None
    ) -> AsyncIterator[bytes]:
        whole = False
        try:
            events = self._noted(_message(body), _events(body, mode, self.script, self._says, self._piece_chars))
            async for chunk in _faulty(events, mode, encode or response_event, self._tokens_per_s, self._fails_at):
                yield chunk
            whole = True
        except ConnectionAbortedError:
            whole = True
            raise
        finally:
            if not whole:
                self.cancelled += 1

    def _noted(self, message: str, events: Iterator[Any]) -> Iterator[Any]:
        """The events themselves; each claim is noted when the event that completes it is about to be sent."""
        reader, question = ArrayReader("claims"), question_of(message)
        for event in events:
            if event.type == "response.output_text.delta":
                with contextlib.suppress(MalformedJson, TypeError, KeyError):
                    for claim in reader.feed(event.delta):
                        self.sent_at[question, claim["text"]] = time.monotonic()
            yield event


# --- what it says ----------------------------------------------------------------------------------------------------


def passages_of(message: str) -> list[tuple[str, str]]:
    """(id, text) of every passage in a message."""
    return [(match["id"], match["text"]) for match in _PASSAGE.finditer(message)]


def question_of(message: str) -> str:
    """The question of a message, or nothing."""
    found = _QUESTION.search(message)
    return found[2] if found else ""


def orders_of(message: str) -> list[str]:
    """What the passages of a message tell an assistant to say, in their own words."""
    return [found["words"].strip() for _, text in passages_of(message) for found in _ORDER.finditer(text)]


def answer_of(message: str, mode: str) -> dict[str, Any]:
    """The answer to the question of a message, from its passages alone."""
    found = _QUESTION.search(message)
    question = found[2] if found else ""
    wanted = content_words(question)
    scored = []
    for id, text in passages_of(message):
        for match in _SENTENCE.finditer(text):
            shared = len(wanted & content_words(match[0]))
            if shared >= max(1, min(2, len(wanted))) and len(match[0].split()) >= 3 and len(match[0]) <= 400:
                scored.append((shared, id, match[0]))
    if mode == "asks-back":
        heads = {match["id"]: match["head"] for match in _PASSAGE.finditer(message)}
        titles = {id: re.sub(r"^title: (.*)\n[\s\S]*", r"\1", head) for id, head in heads.items()}
        choices = [{"passage": id, "words": title} for id, title in titles.items()][:3]
        return {"claims": [], "missing": None, "choices": choices}
    if mode == "asks-nonsense":
        choices = [{"passage": f"P{number}", "words": "the Ministry"} for number in (97, 98)]
        return {"claims": [], "missing": None, "choices": choices}
    scored.sort(key=lambda one: -one[0])
    best = [one for one in scored if one[0] == scored[0][0]][:2]
    if mode == "obey":
        for id, text in passages_of(message):
            if order := _ORDER.search(text):
                quote = best[0][2] if best else order[0]
                return {
                    "claims": [_claim(order["words"].strip(), best[0][1] if best else id, quote)],
                    "missing": None,
                    "choices": None,
                }
    if not best:
        return {"claims": [], "missing": "The passages say nothing about this.", "choices": None}
    claims = []
    rejected = _REJECTED.search(message)
    for number, (_, id, sentence) in enumerate(best):
        text = " ".join(sentence.split())
        if rejected and text not in rejected[2]:
            continue
        if mode == "invented" or (mode == "mistaken" and not number and not rejected):
            sentence = f"It is well established that {text[0].lower()}{text[1:]}"
        elif mode == "own-words":
            text = f"In short, {text[0].lower()}{text[1:]}"
        elif mode == "unknown-id":
            id = "P99"
        elif mode == "paraphrase-numbers":
            text = re.sub(r"\d+", lambda number: str(int(number[0]) + 1), text)
        claims.append(_claim(text, id, sentence))
    return {"claims": claims, "missing": None, "choices": None}


def order_of(message: str, mode: str) -> dict[str, Any]:
    """The passages of a message by the words that they share with its question."""
    found = _QUESTION.search(message)
    wanted = content_words(found[2] if found else "")
    passages = passages_of(message)
    ranked = sorted(passages, key=lambda one: -len(wanted & content_words(one[1])))
    if mode == "obey":
        ranked.sort(key=lambda one: _ORDER.search(one[1]) is None)
    order = [int(id.removeprefix("P")) for id, _ in ranked]
    if mode == "invented":
        return {"order": [0, -3, len(passages) + 1]}
    if mode == "unknown-id":
        return {"order": [len(passages) + 98, order[0], order[0], -1]}
    return {"order": order}


def standalone_of(message: str, mode: str) -> dict[str, Any]:
    """The question of a message, with the subject of the one before it said again."""
    found = _QUESTION.search(message)
    earlier = [match[2] for match in _EARLIER.finditer(message)]
    if mode == "invented":
        return {"question": "What, " * 200 + "then?"}
    if mode == "unknown-id":
        return {"question": " \u0000 "}
    about = f" (this is about: {earlier[-1].rstrip('?')})" if earlier else ""
    return {"question": (found[2].rstrip("?") if found else "") + about + "?"}


def route_of(message: str, mode: str) -> dict[str, Any]:
    """The owner whose titles share most words with the question; it is urgent where it says so."""
    asked, owners = _QUESTION.search(message), _OWNERS.search(message)
    question = asked[2] if asked else ""
    if mode == "invented":
        return {"owner": "Ministry of Silly Walks", "urgency": "normal", "subject": "walks"}
    if mode == "unknown-id":
        return {"owner": "", "urgency": "at once", "subject": " \u0000 "}
    wanted = content_words(question)
    lines = owners[2].splitlines() if owners else []
    best = max(lines, key=lambda line: len(wanted & content_words(line)))
    urgency = "high" if re.search(r"\b(?:urgent|today|tomorrow)\b", question, re.I) else "normal"
    if mode == "obey":
        return {"owner": best.rsplit(": ", 1)[0], "urgency": "high", "subject": "Hello\r\nBcc: everyone@x.example"}
    return {"owner": best.rsplit(": ", 1)[0], "urgency": urgency, "subject": " ".join(sorted(wanted)[:10])}


def verdict_of(message: str, mode: str) -> dict[str, Any]:
    """Whether the quotation has most of the claim's words."""
    found = {match[1]: match[3] for match in _MARKED.finditer(message)}
    wanted, said = content_words(found.get("CLAIM", "")), content_words(found.get("QUOTATION", ""))
    if mode == "invented":
        return {"verdict": "perhaps", "confidence": 7}
    if mode == "obey" and _ORDER.search(found.get("QUOTATION", "")):
        return {"verdict": "supported", "confidence": 1}
    share = len(wanted & said) / max(1, len(wanted))
    return {"verdict": "supported" if share > 0.5 else "not_supported", "confidence": abs(2 * share - 1)}


def _claim(text: str, id: str, quote: str) -> dict[str, Any]:
    return {"text": text, "evidence": [{"passage": id, "quote": quote}]}


def content_words(text: str) -> set[str]:
    words = (word for word in re.findall(r"\w+", text.lower()) if word not in _COMMON)
    return {re.sub(r"(?:ies|es|s|ing|ed|e|y)$", "", word) if len(word) > 4 else word for word in words}


def bag_of_words(text: str, dimensions: int) -> list[float]:
    """A unit vector in which each word has its own direction; the same text gives the same vector everywhere."""
    vector = [0.0] * dimensions
    for word in content_words(text) or {text}:
        digest = hashlib.sha256(word.encode("utf-8", "replace")).digest()
        vector[int.from_bytes(digest[:4], "big") % dimensions] += 1.0 if digest[4] % 2 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def embeddings_of(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request for embeddings.

    Raises:
        Problem: the model is not known, or a text is empty.
    """
    if body.get("model") not in EMBEDDING_MODELS:
        raise Problem(404, "model_not_found", f"The model {body.get('model')!r} does not exist.")
    dimensions = body.get("dimensions") or EMBEDDING_MODELS[body["model"]]
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise Problem(400, "invalid_input", "'input' must hold texts that are not empty.")
    data = []
    for index, text in enumerate(texts):
        vector: Any = bag_of_words(text, dimensions)
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        data.append(Embedding.model_construct(embedding=vector, index=index, object="embedding"))
    tokens = sum(map(_tokens, texts))
    answer = CreateEmbeddingResponse.model_construct(
        data=data, model=body["model"], object="list", usage={"prompt_tokens": tokens, "total_tokens": tokens}
    )
    return answer.model_dump(warnings=False)


def _embedded_in_batch(body: dict[str, Any]) -> dict[str, Any]:
    try:
        return embeddings_of(body)
    except Problem as problem:
        raise ValueError(problem.code) from problem


# --- what it accepts -------------------------------------------------------------------------------------------------


def validate(body: dict[str, Any]) -> None:
    """Refuse what the API refuses, and what Quoth must not send.

    Raises:
        Problem: with status 400.
    """
    if unknown := sorted(set(body) - FIELDS):
        raise Problem(400, "unknown_parameter", f"Unknown parameter: {unknown[0]!r}.")
    _require(body.get("store") is False, "'store' must be false: its default keeps the request for 30 days.")
    _require(body.get("truncation") in (None, "disabled"), "'truncation' must be disabled.")
    room = body.get("max_output_tokens")
    _require(isinstance(room, int) and room >= 16, "'max_output_tokens' must be at least 16.")
    _require(isinstance(body.get("instructions"), str) and body["instructions"], "'instructions' are missing.")
    _require(
        isinstance(body.get("input"), list) and [one.get("role") for one in body["input"]][:1] == ["user"],
        "'input' must begin with a message of the user.",
    )
    _validate_tools(body)
    _require("<<PASSAGE P" not in body["instructions"], "documents must not stand in 'instructions'.")
    _require(len(body.get("prompt_cache_key", "")) <= 64, "'prompt_cache_key' is too long.")
    _require(len(body.get("safety_identifier", "")) <= 128, "'safety_identifier' is too long.")
    if "reasoning" in body and body["model"] not in CHAT_MODELS:
        raise Problem(400, "unsupported_parameter", "Unsupported parameter: 'reasoning' with this model.")
    form = body.get("text", {}).get("format", {})
    _require(form.get("type") == "json_schema" and form.get("strict") is True, "a strict json_schema is required.")
    _require(re.fullmatch(r"[\w-]{1,64}", form.get("name", "")) is not None, "'text.format.name' is not a name.")
    _require(form.get("schema", {}).get("type") == "object", "the root of the schema must be an object.")
    _validate_schema(form["schema"], "schema")


def _validate_tools(body: dict[str, Any]) -> None:
    """Every call has its one output, after it; what stands beside them came from the model itself."""
    names = [tool.get("name") for tool in body.get("tools", [])]
    for tool in body.get("tools", []):
        _require(tool.get("type") == "function" and tool.get("strict") is True, "a tool must be a strict function.")
        _require(re.fullmatch(r"[\w-]{1,64}", tool.get("name", "")) is not None, "'tools[].name' is not a name.")
        _validate_schema(tool.get("parameters", {}), f"tools.{tool['name']}")
    _require(len(names) == len(set(names)), "two tools have one name.")
    _require(body.get("tool_choice", "auto") in ("auto", "none"), "'tool_choice' is not known.")
    _require("tool_choice" not in body or bool(names), "'tool_choice' needs 'tools'.")
    open_calls: set[str] = set()
    for item in body["input"][1:]:
        kind = item.get("type")
        _require(kind in ("reasoning", "function_call", "function_call_output", "message"), "an item is unknown.")
        if kind == "message":
            _require(item.get("role") == "assistant", "a second message of the user was not expected.")
        if kind == "reasoning":
            _require(bool(item.get("encrypted_content")), "a reasoning item of nothing stored needs its content.")
        if kind == "function_call":
            _require(item.get("name") in names or item["name"] == "format_disk", "a call of no tool that was given.")
            open_calls.add(item["call_id"])
        if kind == "function_call_output":
            _require(item.get("call_id") in open_calls, "an output of no call.")
            _require(isinstance(item.get("output"), str), "an output is no text.")
            open_calls.discard(item["call_id"])
    _require(not open_calls, f"No tool output found for function call {sorted(open_calls)}.")


def _validate_schema(schema: dict[str, Any], place: str) -> None:
    kind = schema.get("type")
    kinds = set(kind) if isinstance(kind, list) else {kind}
    _require(
        bool(kinds) and kinds <= {"object", "array", "string", "number", "integer", "boolean", "null"},
        f"{place}: 'type' is missing or unknown.",
    )
    _require("default" not in schema, f"{place}: 'default' is not permitted.")
    if "object" in kinds:
        properties = schema.get("properties", {})
        _require(schema.get("additionalProperties") is False, f"{place}: 'additionalProperties' must be false.")
        _require(
            sorted(schema.get("required", [])) == sorted(properties), f"{place}: 'required' must name every property."
        )
        for name, inner in properties.items():
            _validate_schema(inner, f"{place}.{name}")
    if "array" in kinds:
        _require(isinstance(schema.get("items"), dict), f"{place}: 'items' is missing.")
        _validate_schema(schema["items"], f"{place}[]")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise Problem(400, "invalid_request", message)


def _check_key(request: Request) -> None:
    key = request.headers.get("authorization", "").removeprefix("Bearer ").strip() or request.headers.get("api-key", "")
    if not key or key == "wrong":
        raise Problem(401, "invalid_api_key", "Incorrect API key provided.")


# --- how it is sent --------------------------------------------------------------------------------------------------


def _calls(body: dict[str, Any], mode: str, script: list[list[tuple[str, Any]]]) -> list[r.ResponseFunctionToolCall]:
    """The calls of tools that this turn makes."""
    made = sum(item.get("type") == "function_call" for item in body["input"])
    if not body.get("tools") or (body.get("tool_choice") == "none" and mode != "stubborn"):
        return []
    if mode in ("endless", "stubborn"):
        wanted: list[tuple[str, Any]] = [("search_documents", {"query": f"turn {made}"})]
    else:
        turn = next((n for n in range(len(script)) if sum(map(len, script[:n])) == made), len(script))
        wanted = script[turn] if turn < len(script) else []
    return [
        r.ResponseFunctionToolCall(
            id=f"fc_{made + n}", call_id=f"call_{made + n}", name=name, type="function_call", status="completed",
            arguments=given if isinstance(given, str) else json.dumps(given, ensure_ascii=False),
        )
        for n, (name, given) in enumerate(wanted)
    ]  # fmt: skip


def _calling(
    calls: list[r.ResponseFunctionToolCall], body: dict[str, Any], mode: str, respond: Callable[..., r.Response]
) -> Iterator[Any]:
    """The events of a response that calls tools; a model that reasons gives its reasoning, sealed, before them."""
    numbers = itertools.count()
    output: list[Any] = []
    yield r.ResponseCreatedEvent(
        response=respond("in_progress", []), sequence_number=next(numbers), type="response.created"
    )
    if "reasoning.encrypted_content" in body.get("include", []):
        output.append(r.ResponseReasoningItem(id="rs_1", summary=[], type="reasoning", encrypted_content="c2VhbGVk"))
    for call in calls:
        place: dict[str, Any] = {"item_id": call.id, "output_index": len(output)}
        added = call.model_copy(update={"arguments": "", "status": "in_progress"})
        yield r.ResponseOutputItemAddedEvent(
            item=added, output_index=len(output), sequence_number=next(numbers), type="response.output_item.added"
        )
        for piece in _pieces(call.arguments):
            yield r.ResponseFunctionCallArgumentsDeltaEvent(
                delta=piece, sequence_number=next(numbers), type="response.function_call_arguments.delta", **place
            )
        yield r.ResponseFunctionCallArgumentsDoneEvent(
            arguments=call.arguments, sequence_number=next(numbers),
            type="response.function_call_arguments.done", **place,
        )  # fmt: skip
        yield r.ResponseOutputItemDoneEvent(
            item=call, output_index=len(output), sequence_number=next(numbers), type="response.output_item.done"
        )
        output.append(call)
    usage = _usage(body["instructions"], _message(body), "".join(call.arguments for call in calls))
    yield r.ResponseCompletedEvent(
        response=respond("completed", output, usage=usage), sequence_number=next(numbers), type="response.completed"
    )


def _events(
    body: dict[str, Any], mode: str, script: list[list[tuple[str, Any]]], says: Callable[[str, str], dict[str, Any]],
    piece_chars: Sequence[int],
) -> Iterator[Any]:  # fmt: skip
    """The events of a response in the API's order, each with its number."""
    message = _message(body)
    asked_for = body["text"]["format"]["schema"]["properties"]
    if "order" in asked_for:
        said = order_of(message, mode)
    elif "question" in asked_for:
        said = standalone_of(message, mode)
    elif "urgency" in asked_for:
        said = route_of(message, mode)
    elif "verdict" in asked_for:
        said = verdict_of(message, mode)
    else:
        said = says(message, mode)
    text = json.dumps(said, ensure_ascii=False)
    if mode == "schema":
        text = json.dumps({"claims": [{"sentence": "Something."}], "missing": None})
    elif mode == "prose":
        text = "Here is what I found in the documents you gave me."
    numbers = itertools.count()
    id = "resp_" + hashlib.sha256(message.encode("utf-8", "replace")).hexdigest()[:24]

    def response(status: str, output: list[Any], **more: Any) -> r.Response:
        return r.Response(
            id=id, created_at=time.time(), model=body["model"], object="response", output=output, status=status,  # type: ignore[arg-type]
            parallel_tool_calls=False, tool_choice="none", tools=[], **more,
        )  # fmt: skip

    if calls := _calls(body, mode, script):
        yield from _calling(calls, body, mode, response)
        return
    refuses = mode == "refusal"
    content: Any = (
        r.ResponseOutputRefusal(refusal=REFUSAL, type="refusal")
        if refuses
        else r.ResponseOutputText(annotations=[], text=text, type="output_text")
    )
    item = r.ResponseOutputMessage(id="msg_1", content=[], role="assistant", status="in_progress", type="message")
    place: dict[str, Any] = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    yield r.ResponseCreatedEvent(
        response=response("in_progress", []), sequence_number=next(numbers), type="response.created"
    )
    if mode == "failed":
        error = r.ResponseError(code="server_error", message="The model failed.")
        yield r.ResponseFailedEvent(
            response=response("failed", [], error=error), sequence_number=next(numbers), type="response.failed"
        )
        return
    if mode == "tool-call":
        unasked = r.ResponseFunctionToolCall(
            arguments='{"to": "anybody"}', call_id="call_1", name="send_mail", type="function_call", status="completed"
        )
        yield r.ResponseOutputItemAddedEvent(
            item=unasked, output_index=1, sequence_number=next(numbers), type="response.output_item.added"
        )
        yield r.ResponseOutputItemDoneEvent(
            item=unasked, output_index=1, sequence_number=next(numbers), type="response.output_item.done"
        )
    yield r.ResponseOutputItemAddedEvent(
        item=item, output_index=0, sequence_number=next(numbers), type="response.output_item.added"
    )
    part = content.model_copy(update={"refusal" if refuses else "text": ""})
    yield r.ResponseContentPartAddedEvent(
        part=part, sequence_number=next(numbers), type="response.content_part.added", **place
    )
    cut = (mode == "incomplete" and body["max_output_tokens"] < ROOM) or mode == "incomplete-filter"
    if cut:
        text = text[: len(text) // 3]
    if refuses:
        yield r.ResponseRefusalDeltaEvent(
            delta=REFUSAL, sequence_number=next(numbers), type="response.refusal.delta", **place
        )
        yield r.ResponseRefusalDoneEvent(
            refusal=REFUSAL, sequence_number=next(numbers), type="response.refusal.done", **place
        )
    elif mode != "late":
        for piece in _pieces(text, piece_chars):
            yield r.ResponseTextDeltaEvent(
                delta=piece, logprobs=[], sequence_number=next(numbers), type="response.output_text.delta", **place
            )
        yield r.ResponseTextDoneEvent(
            text=text, logprobs=[], sequence_number=next(numbers), type="response.output_text.done", **place
        )
    whole = item.model_copy(update={"content": [content], "status": "completed"})
    yield r.ResponseOutputItemDoneEvent(
        item=whole, output_index=0, sequence_number=next(numbers), type="response.output_item.done"
    )
    usage = _usage(body["instructions"], message, text)
    if cut:
        reason = "content_filter" if mode == "incomplete-filter" else "max_output_tokens"
        details = IncompleteDetails(reason=reason)  # type: ignore[arg-type]
        yield r.ResponseIncompleteEvent(
            response=response("incomplete", [whole], usage=usage, incomplete_details=details),
            sequence_number=next(numbers),
            type="response.incomplete",
        )
        return
    yield r.ResponseCompletedEvent(
        response=response("completed", [whole], usage=usage), sequence_number=next(numbers), type="response.completed"
    )


async def _faulty(
    events: Iterator[Any], mode: str, encode: Callable[[Any], bytes], tokens_per_s: float | None, fails_at: int
) -> AsyncIterator[bytes]:
    """The events as bytes, with what the mode does to a stream."""
    deltas = 0
    if mode == "silent":
        await asyncio.sleep(3600)
    if mode == "empty":
        return
    for event in events:
        is_delta = event.type == "response.output_text.delta"
        deltas += is_delta
        if is_delta and deltas == fails_at:
            if mode == "truncated":
                return
            if mode == "cut":
                raise ConnectionAbortedError("the stand-in drops the connection, as it was told")
            if mode == "malformed":
                yield b'event: response.output_text.delta\ndata: {"type": "response.outp\n\n'
            if mode == "error-event":
                data = {
                    "type": "error",
                    "code": "server_error",
                    "message": "Sorry.",
                    "param": None,
                    "sequence_number": 9,
                }
                yield f"event: error\ndata: {json.dumps(data)}\n\n".encode()
                return
        yield encode(event)
        if is_delta and mode == "slow":
            await asyncio.sleep(0.5)
        elif is_delta and tokens_per_s is not None:
            await asyncio.sleep(len(event.delta) / CHARS_PER_TOKEN / tokens_per_s)
        while mode == "drip" and event.type == "response.output_text.done":
            yield b": keep-alive\n\n"
            await asyncio.sleep(0.05)
    yield b"data: [DONE]\n\n"


def response_event(event: Any) -> bytes:
    return f"event: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()


def chat_chunks(event: Any) -> bytes:
    """The same as chunks of a chat completion; nothing for events that it has not."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return _chunk({"choices": choices})

    if event.type == "response.output_text.delta":
        return chunk({"content": event.delta})
    if event.type == "response.output_item.added" and event.item.type == "function_call":
        function = {"name": event.item.name, "arguments": ""}
        call = {"index": event.output_index, "id": event.item.call_id, "type": "function", "function": function}
        return chunk({"tool_calls": [call]})
    if event.type == "response.function_call_arguments.delta":
        return chunk({"tool_calls": [{"index": event.output_index, "function": {"arguments": event.delta}}]})
    if event.type == "response.refusal.delta":
        return chunk({"refusal": event.delta})
    if event.type == "response.failed":
        return _chunk({"error": {"message": "The model failed.", "code": "server_error"}})
    if event.type not in ("response.completed", "response.incomplete"):
        return b""
    details = event.response.incomplete_details
    reason = {None: "stop", "max_output_tokens": "length"}.get(details and details.reason, "content_filter")
    if reason == "stop" and any(item.type == "function_call" for item in event.response.output):
        reason = "tool_calls"
    used = event.response.usage
    usage = {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.total_tokens,
        "prompt_tokens_details": {"cached_tokens": used.input_tokens_details.cached_tokens},
    }
    return chunk({}, reason) + _chunk({"choices": [], "usage": usage})


def _chunk(content: dict[str, Any]) -> bytes:
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "double"}
    return f"data: {json.dumps({**frame, **content})}\n\n".encode()


def responses_body(chat: dict[str, Any]) -> dict[str, Any]:
    """What a request of chat completions would be as one of responses, so that the same rules hold for it.

    Raises:
        Problem: with status 400, for what the older interface does not know.
    """
    known = {
        "model", "messages", "response_format", "max_tokens", "stream", "stream_options", "tools", "tool_choice",
    }  # fmt: skip
    if unknown := sorted(set(chat) - known):
        raise Problem(400, "unknown_parameter", f"Unknown parameter: {unknown[0]!r}.")
    messages = chat.get("messages", [])
    roles = [one.get("role") for one in messages]
    _require(roles[:2] == ["system", "user"], "a system and a user message are required.")
    _require(set(roles[2:]) <= {"assistant", "tool"}, "what follows is the model's and its tools'.")
    form = chat.get("response_format", {})
    items: list[dict[str, Any]] = []
    for one in messages[2:]:
        if one["role"] == "tool":
            items.append({"type": "function_call_output", "call_id": one["tool_call_id"], "output": one["content"]})
        elif "tool_calls" in one:
            items += [
                {"type": "function_call", "call_id": call["id"], **call["function"]} for call in one["tool_calls"]
            ]
        else:
            items.append({"type": "message", "role": "assistant", "content": []})
    tools: dict[str, Any] = {}
    if chat.get("tools"):
        _require(all(set(one) == {"type", "function"} for one in chat["tools"]), "a tool is a function.")
        tools["tools"] = [{"type": one["type"], **one["function"]} for one in chat["tools"]]
        tools["tool_choice"] = chat.get("tool_choice", "auto")
    return {
        "model": chat["model"],
        "instructions": messages[0]["content"],
        "input": [messages[1], *items],
        **tools,
        "text": {"format": {"type": form.get("type"), **form.get("json_schema", {})}},
        "max_output_tokens": chat.get("max_tokens"),
        "store": False,
        "stream": chat.get("stream"),
    }


def _pieces(text: str, piece_chars: Sequence[int] = PIECE_CHARS) -> Iterator[str]:
    at = 0
    for size in itertools.cycle(piece_chars):
        if at >= len(text):
            return
        yield text[at : at + size]
        at += size


def _usage(instructions: str, message: str, text: str) -> r.ResponseUsage:
    sent, received = _tokens(instructions) + _tokens(message), _tokens(text) + 8
    return r.ResponseUsage(
        input_tokens=sent,
        input_tokens_details=InputTokensDetails(cached_tokens=_tokens(instructions) // 2, cache_write_tokens=4),
        output_tokens=received,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=8),
        total_tokens=sent + received,
    )


def _message(body: dict[str, Any]) -> str:
    """What tools gave, then the user's message, which ends with the question."""
    content = body["input"][0]["content"]
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return "\n".join([*(one["output"] for one in body["input"] if one.get("type") == "function_call_output"), text])


def _tokens(text: str) -> int:
    return max(1, len(text) // CHARS_PER_TOKEN)


def _headers() -> dict[str, str]:
    return {
        "x-request-id": "req_double",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "openai-processing-ms": "1",
    }


def _error(problem: Problem) -> Response:
    error = {"message": problem.message, "type": "error", "param": None, "code": problem.code}
    return JSONResponse({"error": error}, problem.status, headers={**_headers(), **(problem.headers or {})})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Serve a stand-in for the OpenAI API on the loopback interface.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--mode", choices=MODES, default="honest", help="of models whose name does not say it")
    arguments = parser.parse_args(argv)
    double = LoopbackModel(mode=arguments.mode, port=arguments.port)
    print(f"OPENAI_BASE_URL={double.base_url} OPENAI_API_KEY=any QUOTH_MODELS=double-honest", flush=True)
    for mode, meaning in MODES.items():
        print(f"  double-{mode}: {meaning}", file=sys.stderr)
    double.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
