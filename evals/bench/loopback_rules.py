"""Which requests the stand-in for the OpenAI API takes: it refuses what the API refuses, and what must not be sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

CHAT_MODELS: Final = ("gpt-6.1-terra", "gpt-6-luna")
FIELDS: Final = frozenset(  # of a request; any other is unknown
    {
        "model", "instructions", "input", "text", "max_output_tokens", "store", "truncation", "prompt_cache_key",
        "reasoning", "safety_identifier", "stream", "metadata", "include", "service_tier", "tools", "tool_choice",
    }
)  # fmt: skip


@dataclass
class Problem(Exception):
    """An answer of the API that is an error."""

    status: int
    code: str | None
    message: str
    headers: dict[str, str] | None = None


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
