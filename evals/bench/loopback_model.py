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
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal, Self

import uvicorn
from openai.types import CreateEmbeddingResponse, Embedding, Model
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from assistant.json_stream import ArrayReader, MalformedJson
from evals.bench.loopback_batches import LoopbackBatches
from evals.bench.loopback_events import (
    PIECE_CHARS,
    chat_chunks,
    events_of,
    message_of,
    response_event,
    sent,
    tokens_of,
)
from evals.bench.loopback_rules import CHAT_MODELS, Problem, responses_body, validate
from evals.bench.loopback_words import answer_of, bag_of_words, passages_of, question_of

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
MODERATION_MODEL: Final = "omni-moderation-latest"
TRANSCRIPTION_MODEL: Final = "gpt-4o-mini-transcribe"
EMBEDDING_MODELS: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}


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
        recordings: name and bytes of every recording received, in order; `heard` is what is said in each, or `500` or
            `silent`, for a service that fails.
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
        heard: str = "",
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
        self.heard = heard
        self.recordings: list[tuple[str, bytes]] = []
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
            Route("/v1/audio/transcriptions", self._transcriptions, methods=["POST"]),
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

    async def _transcriptions(self, request: Request) -> Response:
        try:
            _check_key(request)
            form = await request.form()
            if form.get("model") != TRANSCRIPTION_MODEL:
                raise Problem(404, "model_not_found", f"The model {form.get('model')!r} does not exist.")
            file: Any = form["file"]
            self.recordings.append((file.filename, await file.read()))
            if self.heard == "500":
                raise Problem(500, "server_error", "The server had an error.")
        except Problem as problem:
            return _error(problem)
        if self.heard == "silent":
            await asyncio.sleep(3600)
        usage = {"type": "tokens", "input_tokens": 34, "output_tokens": 9, "total_tokens": 43,
                 "input_token_details": {"text_tokens": 0, "audio_tokens": 34}}  # fmt: skip
        return JSONResponse({"text": self.heard, "usage": usage}, headers=_headers())

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
            *_, last = events_of(body, mode, self.script, self._says, self._piece_chars)
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
            return self._mode if isinstance(self._mode, str) else self._mode(message_of(body))
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
        if mode == "too-long" and len(passages_of(message_of(body))) > 2:
            raise Problem(400, "context_length_exceeded", "Your input exceeds the context window of this model.")

    async def _stream(
        self, body: dict[str, Any], mode: str, encode: Callable[[Any], bytes] | None = None
    ) -> AsyncIterator[bytes]:
        whole = False
        try:
            events = self._noted(message_of(body), events_of(body, mode, self.script, self._says, self._piece_chars))
            async for chunk in sent(events, mode, encode or response_event, self._tokens_per_s, self._fails_at):
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
    tokens = sum(map(tokens_of, texts))
    answer = CreateEmbeddingResponse.model_construct(
        data=data, model=body["model"], object="list", usage={"prompt_tokens": tokens, "total_tokens": tokens}
    )
    return answer.model_dump(warnings=False)


def _embedded_in_batch(body: dict[str, Any]) -> dict[str, Any]:
    try:
        return embeddings_of(body)
    except Problem as problem:
        raise ValueError(problem.code) from problem


def _check_key(request: Request) -> None:
    key = request.headers.get("authorization", "").removeprefix("Bearer ").strip() or request.headers.get("api-key", "")
    if not key or key == "wrong":
        raise Problem(401, "invalid_api_key", "Incorrect API key provided.")


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
