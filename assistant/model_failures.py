"""What went wrong with a model call, in our terms: who can mend it, and whether to try again.

| from | becomes | tried again |
|---|---|---|
| 429 | ModelUnavailable | after Retry-After |
| 429 insufficient_quota | ModelMisconfigured | no |
| 408, 409, 5xx, connection, no answer in time | ModelUnavailable | yes |
| 400 context_length_exceeded | ContextTooLong | with half of the passages |
| 400, 401, 403, 404, 422 | ModelMisconfigured | no |
| refusal, content filter, a policy | ModelRefused | no |
| stream cut, malformed, without its last event, cut by max_output_tokens | ModelOutputBroken | not once claims came |
| failed | by its code | no |
"""

from __future__ import annotations

import email.utils
import json
import time
from typing import TYPE_CHECKING, Final

import openai

from assistant.errors import ModelError, ModelMisconfigured, ModelOutputBroken, ModelRefused, ModelUnavailable

if TYPE_CHECKING:
    from openai.types.responses import Response

POLICY_CODES: Final = frozenset(
    {"invalid_prompt", "content_policy_violation", "content_filter", "bio_policy", "misalignment_policy_violation"}
)
QUOTA_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
REFUSED: Final = "The model declined to answer this question."
TRUNCATED: Final = "The model's answer broke off before its end."


class ContextTooLong(ModelOutputBroken):
    """The passages do not fit into the model's context."""


class RequestRejected(ModelMisconfigured):
    """HTTP 400 or 422: something in the request is not known to this service or model."""


class CutShort(ModelOutputBroken):
    """The answer needed more room than it was given."""


class StreamCut(ModelOutputBroken):
    """The service ended its stream before the answer's end, or sent what is no stream."""

    by_service = True


def failure_of(error: Exception) -> ModelError | ModelMisconfigured:
    """Our error for whatever the client raised, in words of ours: what the service wrote may quote the documents."""
    if isinstance(error, (ModelError, ModelMisconfigured)):
        return error
    if isinstance(error, (openai.APITimeoutError, TimeoutError)):
        return ModelUnavailable("The model did not answer in time. Ask again later.")
    if isinstance(error, openai.APIConnectionError):
        return ModelUnavailable("The model cannot be reached, or the connection to it broke. Ask again later.")
    if isinstance(error, openai.APIStatusError):
        return _status_failure(error)
    if isinstance(error, openai.APIError):  # an error event within a stream
        return coded_failure(error.code)
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError, openai.OpenAIError, RuntimeError, ValueError)):
        return StreamCut("The model's answer could not be read. Ask again.")
    raise error


def _status_failure(error: openai.APIStatusError) -> ModelError | ModelMisconfigured:
    status, code = error.status_code, error.code
    if code in QUOTA_CODES:
        return ModelMisconfigured("The model's account is out of quota. The operator can raise its limit.")
    if status == 429:
        return ModelUnavailable("The model is busy (HTTP 429). Ask again in a minute.")
    if status in (408, 409) or status >= 500:
        return ModelUnavailable(f"The model is not available (HTTP {status}). Ask again later.")
    if code == "context_length_exceeded":
        return ContextTooLong("The passages are too long for the model.")
    if code in POLICY_CODES:
        return ModelRefused(REFUSED)
    cure = {
        401: "The operator can check OPENAI_API_KEY.",
        403: "The operator can check what the key may use.",
        404: "The operator can check QUOTH_MODELS and OPENAI_BASE_URL.",
    }.get(status, "The operator can check QUOTH_MODELS.")
    detail = f", {code}" if code and code.replace("_", "").isalnum() and len(code) < 60 else ""
    kind = RequestRejected if status in (400, 422) else ModelMisconfigured
    return kind(f"The model's service did not accept the request (HTTP {status}{detail}). {cure}")


def coded_failure(code: str | None) -> ModelError | ModelMisconfigured:
    """Our error for a failed response or an error event."""
    if code in POLICY_CODES:
        return ModelRefused(REFUSED)
    if code in QUOTA_CODES:
        return ModelMisconfigured("The model's account is out of quota. The operator can raise its limit.")
    if code == "context_length_exceeded":
        return ContextTooLong("The passages are too long for the model.")
    return ModelUnavailable("The model failed while answering. Ask again later.")


def incomplete_failure(response: Response) -> ModelError:
    """Our error for a response that ended before the answer did."""
    reason = response.incomplete_details.reason if response.incomplete_details else None
    if reason == "content_filter":
        return ModelRefused("The model's content filter stopped the answer.")
    if reason == "max_output_tokens":
        return CutShort("The model's answer was longer than the room it had.")
    return ModelOutputBroken(TRUNCATED)


def retry_wait_s(error: Exception, *, most_s: float) -> float | bool:
    """Whether to try again: False, True for a back-off of the caller's, or the seconds that the service asked for.

    A wait longer than `most_s` is not waited: another model, or a quoted answer, is of more use to the reader.
    """
    if isinstance(error, openai.APIStatusError):
        retryable = error.status_code in (408, 409, 429) or error.status_code >= 500
        if not retryable or error.code in QUOTA_CODES or error.response.headers.get("x-should-retry") == "false":
            return False
        wait_s = _asked_wait_s(error.response.headers.get("retry-after-ms"), error.response.headers.get("retry-after"))
        if wait_s is None:
            return most_s > 0
        return wait_s if wait_s <= most_s else False
    retryable = isinstance(error, (openai.APIConnectionError, json.JSONDecodeError, ModelOutputBroken))
    return retryable and most_s > 0


def _asked_wait_s(milliseconds: str | None, seconds: str | None) -> float | None:
    """The wait that headers ask for: milliseconds, seconds, or an HTTP date."""
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if seconds is not None:
            return max(0.0, float(seconds))
    except ValueError:
        pass
    if seconds is not None:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(seconds).timestamp() - time.time())
        except ValueError:
            return None
    return None
