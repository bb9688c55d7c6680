"""What a call cost, from the price data that comes with genai-prices; no network is asked."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from assistant.model import Usage

if TYPE_CHECKING:
    from openai.types.responses import Response

CHARS_PER_TOKEN: Final = 4  # for an estimate, where a stream was cut and the service told nothing
_log = logging.getLogger(__name__)


def usage_of(response: Response) -> Usage:
    """The tokens that the service reports, and their price; 0 where the price is not known, which is logged once."""
    if response.usage is None:
        return Usage()
    return Usage(
        input_tokens=response.usage.input_tokens,
        cached_input_tokens=response.usage.input_tokens_details.cached_tokens,
        output_tokens=response.usage.output_tokens,
        cost_usd=_cost_usd(response.model, response.usage.model_dump(), response.service_tier),
    )


def estimated_usage(model: str, sent_chars: int, received_chars: int) -> Usage:
    """What a call that was cut off will have cost at least, from the length of what was sent and received."""
    sent, received = sent_chars // CHARS_PER_TOKEN, received_chars // CHARS_PER_TOKEN
    counts = {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": received,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sent + received,
    }
    return Usage(input_tokens=sent, output_tokens=received, cost_usd=_cost_usd(model, counts, None))


def _cost_usd(model: str, usage: dict[str, Any], service_tier: str | None) -> float:
    from genai_prices import extract_usage  # a fraction of a second that quoted answers need not wait for

    body = {"model": model, "usage": usage, "service_tier": service_tier}
    try:
        price = extract_usage(body, provider_id="openai", api_flavor="responses").calc_price()
    except LookupError:
        _say_unknown(model)
        return 0.0
    return float(price.total_price)


@functools.cache
def _say_unknown(model: str) -> None:
    _log.warning("The price of model %r is not known; its calls are booked with 0.", model)
