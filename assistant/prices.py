"""What a call costs: the operator's own prices first, then the data that comes with genai-prices; no network is asked.

An operator's file (QUOTH_PRICES), JSON or TOML, gives US dollars for a million tokens:

    [models."llama-4-scout"]
    input = 0.11
    cached_input = 0.05            # as input when left out
    output = 0.34
"""

from __future__ import annotations

import functools
import json
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from assistant.model import Usage
from ingest.errors import ConfigurationError

if TYPE_CHECKING:
    from openai.types.responses import Response

CHARS_PER_TOKEN: Final = 4  # for an estimate, where a stream was cut and the service told nothing
MOST_USD: Final = 10_000  # for a million tokens: beyond, somebody wrote the price of one
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    cached_input: float
    output: float

    def cost_usd(self, input_tokens: int, cached_input_tokens: int, output_tokens: int) -> float:
        fresh = input_tokens - cached_input_tokens
        return (fresh * self.input + cached_input_tokens * self.cached_input + output_tokens * self.output) / 1e6


class Prices:
    """The prices of models; `own` ones go before the published ones."""

    def __init__(self, own: Mapping[str, Price] | None = None) -> None:
        self._own = own or {}

    def usage_of(self, response: Response, model: str) -> Usage:
        """The tokens that the service reports, and their price; 0 where it is not known, which is logged once.

        Args:
            model: as it was asked for; the name that the service reports has a date, or none of ours.
        """
        if response.usage is None:
            return Usage()
        cached = response.usage.input_tokens_details.cached_tokens
        own = self._own.get(model) or self._own.get(response.model)
        if own is not None:
            cost = own.cost_usd(response.usage.input_tokens, cached, response.usage.output_tokens)
        else:
            counts = response.usage.model_dump()
            known = _published(response.model, counts, response.service_tier)
            known = _published(model, counts, response.service_tier) if known is None else known
            cost = _said_unknown(model) if known is None else known
        return Usage(response.usage.input_tokens, cached, response.usage.output_tokens, cost)

    def estimated_usage(self, model: str, sent_chars: int, received_chars: int) -> Usage:
        """What a call that was cut off will have cost at least, from the length of what was sent and received."""
        sent, received = sent_chars // CHARS_PER_TOKEN, received_chars // CHARS_PER_TOKEN
        cost = self._cost_usd(model, sent, received, written=0)
        return Usage(sent, 0, received, _said_unknown(model) if cost is None else cost)

    def usage_for(self, model: str, input_tokens: int, output_tokens: int) -> Usage:
        """So many tokens, and their price; 0 where it is not known, which is logged once."""
        cost = self._cost_usd(model, input_tokens, output_tokens, written=0)
        return Usage(input_tokens, 0, output_tokens, _said_unknown(model) if cost is None else cost)

    def embedding_usage(self, model: str, tokens: int, *, share: float = 1.0) -> Usage:
        """Texts that were embedded, and their price; 0 where it is not known, which is logged once.

        Args:
            share: of the usual price: half in a batch, which the published data do not know.
        """
        cost = self._cost_usd(model, tokens, 0, written=0)
        return Usage(tokens, 0, 0, _said_unknown(model) if cost is None else cost * share)

    def most_usd(self, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """What a call with so many tokens costs at most, all of them written to the cache; None: not known."""
        costs = [self._cost_usd(model, input_tokens, output_tokens, written=written) for written in (0, input_tokens)]
        known = [cost for cost in costs if cost is not None]
        return max(known) if known else None

    def _cost_usd(self, model: str, input_tokens: int, output_tokens: int, *, written: int) -> float | None:
        own = self._own.get(model)
        if own is not None:
            dearest = Price(max(own.input, own.cached_input), own.cached_input, own.output)
            return (dearest if written else own).cost_usd(input_tokens, 0, output_tokens)
        counts = {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": written},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input_tokens + output_tokens,
        }
        return _published(model, counts, None)


def prices_from(setting: str | None) -> Prices:
    """The prices with those of the operator's file in front.

    Raises:
        ConfigurationError: the file cannot be read, or a price in it is not one.
    """
    if not setting:
        return Prices()
    path = Path(setting).expanduser()
    try:
        raw = path.read_text("utf-8")
        content = json.loads(raw, parse_float=float) if path.suffix.lower() == ".json" else tomllib.loads(raw)
    except OSError as error:
        raise ConfigurationError(f"QUOTH_PRICES={setting!r} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # of JSON, TOML and UTF-8
        raise ConfigurationError(f"QUOTH_PRICES={setting!r} is neither JSON nor TOML: {error}.") from error
    models = content.get("models") if isinstance(content, dict) else None
    if not isinstance(models, dict) or set(content) != {"models"}:
        raise ConfigurationError(f'QUOTH_PRICES={setting!r} must hold one table "models", with a table for each model.')
    return Prices({name: _price(setting, name, entry) for name, entry in models.items()})


def _price(setting: str, model: str, entry: Any) -> Price:
    where = f"QUOTH_PRICES={setting!r}, model {model!r}"
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where}: give a table with input, output and, if it differs, cached_input.")
    if unknown := sorted(set(entry) - {"input", "cached_input", "output"}):
        raise ConfigurationError(f"{where}: {unknown[0]!r} is not a price. There are input, cached_input and output.")
    values = {}
    for name in ("input", "cached_input", "output"):
        value = entry.get(name, entry.get("input") if name == "cached_input" else None)
        if value is None:
            raise ConfigurationError(f"{where}: {name!r} is missing. Give US dollars for a million tokens.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST_USD:
            raise ConfigurationError(
                f"{where}: {name} = {value!r} must be US dollars for a million tokens, from 0 to {MOST_USD}."
            )
        values[name] = float(value)
    return Price(**values)


def _published(model: str, usage: dict[str, Any], service_tier: str | None) -> float | None:
    from genai_prices import extract_usage  # a fraction of a second that quoted answers need not wait for

    body = {"model": model, "usage": usage, "service_tier": service_tier}
    try:
        price: Decimal = extract_usage(body, provider_id="openai", api_flavor="responses").calc_price().total_price
    except LookupError:
        return None
    return float(price)


@functools.cache
def _said_unknown(model: str) -> float:
    _log.warning("The price of model %r is not known; its calls are booked with 0. QUOTH_PRICES can give it.", model)
    return 0.0
