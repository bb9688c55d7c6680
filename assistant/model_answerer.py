"""The answerer with a chat model: claims with quotes in strict JSON, each handed on as soon as it is complete.

Nothing here is trusted: whether a passage exists, a quote stands in it and supports its claim is found out by others.
"""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from assistant.errors import ModelError, ModelMisconfigured, ModelOutputBroken, ModelRefused
from assistant.gateway import Call, Gateway, nobodys_call
from assistant.json_stream import ArrayReader, MalformedJson
from assistant.model import Answerer, Context, DraftChoice, DraftClaim, DraftEnd, Evidence, Usage
from assistant.prompting import (
    ANSWER_SCHEMA,
    USUAL_PROMPT,
    Prompt,
    answer_prompt,
    request_code,
    source_message,
    tool_message,
)
from ingest.errors import ConfigurationError
from retrieval.model import SearchResult

if TYPE_CHECKING:
    import openai
    from openai.types.responses import Response

    from assistant.model_stream import ModelStream

MAX_OUTPUT_TOKENS: Final = 3000  # reasoning counts against it
MAX_CLAIM_CHARS: Final = 2000
ANSWER_S: Final = 8.0  # left of the deadline from which on a model has to answer instead of looking further
_GIVEN_BACK: Final = ("reasoning", "function_call", "message")
_REASONS: Final = re.compile(r"(?:gpt-[5-9]|o\d)(?!.*chat)")  # models that take `reasoning` and `verbosity`
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")  # what neither UTF-8 nor Postgres can hold


@dataclass(slots=True)
class _Progress:
    """What one draft has received, for its record and for what it will be charged."""

    started: float = field(default_factory=time.perf_counter)
    first_token_ms: float | None = None
    sent_chars: int = 0
    received: list[str] = field(default_factory=list)
    shown: set[str] = field(default_factory=set)  # claims handed on, over all turns
    spent: list[Usage] = field(default_factory=list)
    turns: int = 0  # in which tools were called
    may_call: bool = False  # whether tools are offered in this one
    malformed: ModelOutputBroken | None = None  # of this one


class ModelAnswerer:
    """An Answerer over the Responses API. Threads may share one instance.

    Args:
        stream: the connection, shared by the models of a chain.
        deadline_s: for a whole draft, retries included.
        max_output_tokens: doubled once, where an answer was cut before its first claim.
        safety_identifier: a hash that stands for the end user, at most 128 characters.
        gateway: asked before each call and told of its end; none: every call goes through.
        prompt: the rules; none: the usual ones.
    """

    def __init__(
        self,
        stream: ModelStream,
        model: str,
        *,
        deadline_s: float = 60.0,
        max_output_tokens: int = MAX_OUTPUT_TOKENS,
        safety_identifier: str | None = None,
        gateway: Gateway | None = None,
        prompt: Prompt | None = None,
    ) -> None:
        self._stream = stream
        self._prompt = prompt or answer_prompt()
        self._model = model
        self._deadline_s = deadline_s
        self._max_output_tokens = max_output_tokens
        self._safety_identifier = safety_identifier
        self._gateway = gateway or Gateway()
        self._call: Call | None = None
        self._without_tools: set[str] = set()  # models found to take none; shared by the copies

    @property
    def name(self) -> str:
        return self._model

    @property
    def prompt_version(self) -> str:
        return self._prompt.version

    def for_call(self, call: Call) -> ModelAnswerer:
        """This answerer for one question: in whose name it calls, and until when."""
        bound = copy.copy(self)
        bound._call = call
        return bound

    def draft(self, question: str, context: Context, search: SearchResult) -> Iterator[DraftClaim | DraftEnd]:
        """Yield claims as they complete, then one DraftEnd. Closing the iterator ends the call.

        An error that costs money all the same carries an attribute `usage`; it is an estimate where the stream was cut.

        Raises:
            ModelError, ModelMisconfigured: see model_failures.
        """
        from assistant.model_failures import ContextTooLong, CutShort, RequestRejected

        call = self._call or nobodys_call(self._deadline_s)
        progress = _Progress()
        if self._model in self._without_tools:
            context = replace(context, tools=None)
        room = self._max_output_tokens
        try:
            for is_last in (False, True):
                try:
                    yield from self._turns(question, context, room, call, progress)
                    return
                except ContextTooLong:
                    if is_last or len(context.passages) < 2:
                        raise
                    context = replace(context, passages=context.passages[: len(context.passages) // 2], tools=None)
                except CutShort:
                    if is_last or progress.shown:
                        raise
                    room *= 2
                except RequestRejected:  # some servers take no tools, or not beside a form
                    if is_last or progress.turns or context.tools is None:
                        raise
                    self._without_tools.add(self._model)
                    context = replace(context, tools=None)
        except (ModelError, ModelMisconfigured) as error:
            error.usage = _total(progress.spent)
            raise

    def _turns(
        self, question: str, context: Context, room: int, call: Call, progress: _Progress
    ) -> Iterator[DraftClaim | DraftEnd]:
        """Ask, look up what the model asks for, and ask again with it; the last turn has to answer."""
        code = request_code(question, context)
        request = self._request(source_message(question, context, code=code), room, context.tools is not None)
        rounds = context.tools.rounds if context.tools is not None else 0
        for number in range(rounds + 1):
            if number == rounds or call.deadline - time.monotonic() < ANSWER_S:
                request["tool_choice"] = "none"
            if context.tools is None:
                request.pop("tool_choice", None)
            ended = yield from self._turn(request, room, call, progress)
            calls = [item for item in ended.output if item.type == "function_call"]
            if context.tools is None or not calls:
                return
            if request["tool_choice"] == "none":
                raise ModelOutputBroken("The model went on searching and gave no answer.")
            # a service that keeps nothing is given its own items again, reasoning included
            request["input"] += [
                item.model_dump(mode="json", exclude_none=True) for item in ended.output if item.type in _GIVEN_BACK
            ]
            for item in calls:
                output = tool_message(context.tools.call(item.name, item.arguments), code)
                request["input"].append({"type": "function_call_output", "call_id": item.call_id, "output": output})
            progress.turns += 1
            call = replace(call, begin_by=call.deadline)  # it has begun; the next model's share is not touched before

    def _turn(
        self, request: dict[str, Any], room: int, call: Call, progress: _Progress
    ) -> Generator[DraftClaim | DraftEnd, None, Response]:
        """One call: its claims as they come, and their end unless the model asks for tools first."""
        from assistant.model_failures import REFUSED, TRUNCATED, StreamCut, coded_failure, incomplete_failure

        sent = json.dumps([request["input"], request.get("tools")], ensure_ascii=False)
        prompt = self._prompt
        progress.sent_chars, progress.received = len(sent) + len(prompt.instructions), []
        progress.malformed, progress.may_call = None, request.get("tool_choice") == "auto"
        reader = ArrayReader("claims")
        ended: Response | None = None
        begun = False
        sent_bytes = len(sent.encode("utf-8", "replace")) + prompt.sent_bytes
        with self._gateway.call(call, self._model, sent_bytes=sent_bytes, max_output_tokens=room) as account:
            now = time.monotonic()
            try:
                with closing(
                    self._stream.events(request, deadline_s=call.deadline - now, begin_s=call.begin_by - now)
                ) as events:
                    for event in events:
                        begun = True
                        if event.type == "response.output_text.delta":
                            yield from self._claims(reader, event.delta, progress)
                        elif event.type in ("response.refusal.delta", "response.refusal.done"):
                            raise ModelRefused(REFUSED)
                        elif event.type == "error":
                            raise coded_failure(event.code)
                        elif event.type in ("response.completed", "response.incomplete", "response.failed"):
                            ended = event.response
            finally:
                if ended is not None and ended.usage is not None:
                    account.used(self._gateway.prices.usage_of(ended, self._model))
                elif begun:
                    received = sum(map(len, progress.received))
                    account.used(self._gateway.prices.estimated_usage(self._model, progress.sent_chars, received))
                progress.spent.append(account.usage)
            if ended is None:
                raise StreamCut(TRUNCATED)
            if ended.status == "failed":
                raise coded_failure(ended.error.code if ended.error else None)
            if ended.status == "incomplete":
                raise incomplete_failure(ended)
            if _has_refusal(ended):
                raise ModelRefused(REFUSED)
            if any(item.type == "function_call" for item in ended.output):
                return ended  # what it said beside its calls is no answer yet, except for claims in the form
            if not progress.received:  # a service that sends the text only at the end
                yield from self._claims(reader, ended.output_text, progress)
            if progress.malformed is not None:
                raise progress.malformed
            try:
                whole = reader.finish()
            except MalformedJson as error:
                raise ModelOutputBroken("The model's answer could not be read. Ask again.") from error
        missing = whole.get("missing")
        yield DraftEnd(
            model=ended.model,
            missing=_clean(missing)[:MAX_CLAIM_CHARS] or None if isinstance(missing, str) else None,
            usage=_total(progress.spent),
            raw_output=_clean("".join(progress.received)),
            first_token_ms=progress.first_token_ms,
            choices=_choices(whole.get("choices")),
        )
        return ended

    def _claims(self, reader: ArrayReader, delta: str, progress: _Progress) -> Iterator[DraftClaim]:
        if progress.first_token_ms is None:
            progress.first_token_ms = round((time.perf_counter() - progress.started) * 1000, 2)
        progress.received.append(delta)
        if progress.malformed is not None:
            return
        try:
            claims = [_claim(element) for element in reader.feed(delta)]
        except (MalformedJson, KeyError, TypeError) as error:
            broken = ModelOutputBroken("The model's answer is not in the form that was asked for. Ask again.")
            if not progress.may_call:
                raise broken from error
            progress.malformed = broken  # unless it turns out to be words beside a call
            return
        for claim in claims:
            if claim.text and claim.text not in progress.shown:
                progress.shown.add(claim.text)
                yield claim

    def _request(self, message: str, room: int, with_tools: bool) -> dict[str, Any]:
        prompt = self._prompt
        text: dict[str, Any] = {
            "format": {"type": "json_schema", "name": "answer", "strict": True, "schema": ANSWER_SCHEMA}
        }
        request: dict[str, Any] = {
            "model": self._model,
            "instructions": prompt.instructions,
            "input": [{"role": "user", "content": message}],
            "text": text,
            "max_output_tokens": room,
            "store": False,  # the default keeps question and passages for a month
            "truncation": "disabled",  # the other one drops passages without a word
            "prompt_cache_key": prompt.version,
        }
        if _REASONS.match(self._model):
            request["reasoning"] = {"effort": "low"}
            text["verbosity"] = "low"
        if with_tools:
            from assistant.model_tools import TOOLS  # loads pydantic, which quoted answers need not wait for

            request["tools"], request["tool_choice"] = list(TOOLS), "auto"
            if "reasoning" in request:
                request["include"] = ["reasoning.encrypted_content"]  # to be given back: nothing is stored there
        if self._safety_identifier:
            request["safety_identifier"] = self._safety_identifier
        return request


def model_chain_from(
    setting: str | None,
    client_factory: Callable[[], openai.OpenAI],
    *,
    deadline_s: float = 60.0,
    max_output_tokens: int = MAX_OUTPUT_TOKENS,
    safety_identifier: str | None = None,
    gateway: Gateway | None = None,
    prompt: str = USUAL_PROMPT,
) -> list[Answerer]:
    """The answerers that QUOTH_MODELS names, in order; none for None. The client is made once, and only if needed.

    Raises:
        ConfigurationError: a name is empty or stands twice, or there is no such version of the prompt.
    """
    rules = answer_prompt(prompt)
    if setting is None or not setting.strip():
        return []
    names = [name.strip() for name in setting.split(",")]
    if not all(names) or len(set(names)) < len(names) or any(re.search(r"\s", name) for name in names):
        raise ConfigurationError(
            f"QUOTH_MODELS={setting!r} must name models once each, such as gpt-6.1-terra,gpt-6-luna."
        )
    from assistant.model_stream import ModelStream  # loads the SDK, which quoted answers need not wait for

    stream = ModelStream(client_factory())
    return [
        ModelAnswerer(
            stream,
            name,
            deadline_s=deadline_s,
            max_output_tokens=max_output_tokens,
            safety_identifier=safety_identifier,
            gateway=gateway,
            prompt=rules,
        )
        for name in names
    ]


def _claim(element: Any) -> DraftClaim:
    """One element of the answer as a claim.

    Raises:
        KeyError, TypeError: it is not of the form that was asked for.
    """
    evidence = tuple(Evidence(_clean(one["passage"]), _clean(one["quote"])) for one in element["evidence"])
    return DraftClaim(_clean(element["text"]).strip()[:MAX_CLAIM_CHARS], evidence)


def _choices(given: Any) -> tuple[DraftChoice, ...]:
    """What may be meant; nothing where it is not in the form: then it is an answer without it."""
    try:
        return tuple(DraftChoice(_clean(one["passage"]), _clean(one["words"])) for one in given or ())
    except (KeyError, TypeError):
        return ()


def _clean(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def _has_refusal(response: Response) -> bool:
    return any(
        content.type == "refusal" for item in response.output if item.type == "message" for content in item.content
    )


def _total(usages: list[Usage]) -> Usage:
    return Usage(
        sum(one.input_tokens for one in usages),
        sum(one.cached_input_tokens for one in usages),
        sum(one.output_tokens for one in usages),
        sum(one.cost_usd for one in usages),
    )
