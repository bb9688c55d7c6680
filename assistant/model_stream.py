"""One streamed call of a chat model: retried before it has begun, ended by a deadline that nothing stretches.

The Responses API is called, or chat completions where a service does not offer it.
The client's own timeout counts from read to read, so a server that drips a byte now and then holds a call open for
ever. Here the call runs as a task on an event loop of its own thread: a deadline, or a reader who has gone, cancels it,
and the connection closes at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Coroutine, Generator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import openai
import stamina

from assistant.chat_completions import ChatEvents, chat_request
from assistant.errors import ModelUnavailable
from assistant.model_client import asynchronous
from assistant.model_failures import TRUNCATED, StreamCut, failure_of, retry_wait_s

if TYPE_CHECKING:
    from openai.types.responses import ResponseStreamEvent

NO_SUCH_MODEL: Final = ("model_not_found", "DeploymentNotFound")  # of a service that does know of responses
TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed", "error")
MAX_WAIT_S: Final = 8.0  # for one retry
GRACE_S: Final = 2.0  # for the loop's thread to report its own deadline
WORDS: Final = ("response.output_text.delta", "response.function_call_arguments.delta")  # the model has begun
TAIL_S: Final = 0.2  # to read what follows the last event, so that the connection can be used again


class ModelStream:
    """Streams responses, from any number of threads at a time.

    Args:
        client: gives key, address and headers; its own retries are not used.
        attempts: calls made at most until a first event has come.
        backoff_s: before the second call; doubles, with jitter, for further ones.
    """

    def __init__(self, client: openai.OpenAI, *, attempts: int = 3, backoff_s: float = 0.5) -> None:
        self._client = asynchronous(client)
        self._chats = False  # whether the service was found to offer chat completions only
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def events(
        self, request: Mapping[str, Any], *, deadline_s: float, begin_s: float | None = None
    ) -> Generator[ResponseStreamEvent, None, None]:
        """Yield the events of one response; the last one is terminal. Closing the iterator ends the call.

        Args:
            request: arguments of `responses.create`, without `stream`.
            deadline_s: for everything: connecting, retries, waiting, reading.
            begin_s: until the first word of the answer; as `deadline_s` when not given.

        Raises:
            ModelError, ModelMisconfigured: see model_failures.
        """
        arrived: queue.SimpleQueue[ResponseStreamEvent | Exception] = queue.SimpleQueue()
        deadline = time.monotonic() + deadline_s
        begin_by = deadline if begin_s is None else min(deadline, time.monotonic() + begin_s)
        call = self._submit(self._call(request, deadline, begin_by, arrived))
        try:
            while True:
                try:
                    item = arrived.get(timeout=max(0.0, deadline - time.monotonic()) + GRACE_S)
                except queue.Empty:
                    raise ModelUnavailable("The model did not answer in time. Ask again later.") from None
                if isinstance(item, Exception):
                    raise failure_of(item) from item
                yield item
                if item.type in TERMINAL:
                    return
        finally:
            call.cancel()

    async def _call(
        self,
        request: Mapping[str, Any],
        deadline: float,
        begin_by: float,
        arrived: queue.SimpleQueue[ResponseStreamEvent | Exception],
    ) -> None:
        try:
            async with asyncio.timeout(max(0.0, begin_by - time.monotonic())) as limit:
                stream, event = await self._begun(request, begin_by)
                try:
                    arrived.put(event)
                    waits = True
                    while event.type not in TERMINAL:
                        event = await anext(stream)
                        arrived.put(event)
                        if waits and event.type in WORDS:
                            waits = False
                            limit.reschedule(asyncio.get_running_loop().time() + deadline - time.monotonic())
                    with contextlib.suppress(Exception):
                        async with asyncio.timeout(TAIL_S):
                            async for _ in stream:
                                pass
                finally:
                    await stream.close()
        except StopAsyncIteration:  # the SDK raises nothing for a stream that ends early and cleanly
            arrived.put(StreamCut(TRUNCATED))
        except Exception as error:
            arrived.put(error)

    async def _begun(
        self, request: Mapping[str, Any], deadline: float
    ) -> tuple[openai.AsyncStream[ResponseStreamEvent] | ChatEvents, ResponseStreamEvent]:
        """Call until a first event has come; after that nothing is tried again."""

        def wait_s(error: Exception) -> float | bool:
            remaining_s = deadline - time.monotonic()
            return retry_wait_s(error, most_s=min(MAX_WAIT_S, remaining_s / 2))

        async for attempt in stamina.retry_context(
            on=wait_s,
            attempts=self._attempts,
            timeout=None,
            wait_initial=self._backoff_s,
            wait_max=MAX_WAIT_S,
            wait_jitter=self._backoff_s / 2,
        ):
            with attempt:
                stream = await self._opened(request)
                try:
                    return stream, await anext(stream)
                except StopAsyncIteration:
                    raise StreamCut(TRUNCATED) from None
                except BaseException:
                    await stream.close()
                    raise
        raise AssertionError("the retry context ends by returning or raising")

    async def _opened(self, request: Mapping[str, Any]) -> openai.AsyncStream[ResponseStreamEvent] | ChatEvents:
        """A response, or a chat completion where the service knows nothing of responses."""
        if not self._chats:
            try:
                stream: openai.AsyncStream[ResponseStreamEvent] = await self._client.responses.create(
                    **request, stream=True
                )
                return stream
            except openai.APIStatusError as error:
                if error.status_code not in (404, 405) or error.code in NO_SUCH_MODEL:
                    raise
        chunks = await self._client.chat.completions.create(**chat_request(request), stream=True)
        self._chats = True
        return ChatEvents(chunks)

    def _submit(self, call: Coroutine[Any, Any, None]) -> Future[None]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="model-stream", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(call, self._loop)
