"""What the service says of the models in use: whether it has them, and when they are shut down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from assistant.prices import Prices
from ingest.errors import QuothError, ServiceError

if TYPE_CHECKING:
    import openai

TIMEOUT_S: Final = 10.0
WARN_DAYS: Final = 60


@dataclass(frozen=True, slots=True)
class ModelState:
    model: str
    listed: bool  # whether the service names it; Azure lists models, not the deployments that are called
    shuts_down: date | None  # None: not announced
    priced: bool

    def told(self, today: date) -> str:
        """In words, warnings first."""
        notes = []
        if self.shuts_down is not None:
            days = (self.shuts_down - today).days
            if days < 0:
                notes.append(f"was shut down on {self.shuts_down}: name another in QUOTH_MODELS")
            elif days <= WARN_DAYS:
                notes.append(f"WARNING: is shut down on {self.shuts_down}, in {days} days")
        if not self.listed:
            notes.append("is not in the service's list")
        if not self.priced:
            notes.append("its price is not known (QUOTH_PRICES)")
        return f"{self.model} {', '.join(notes)}" if notes else self.model

    def usable(self, today: date) -> bool:
        return self.shuts_down is None or self.shuts_down > today


def model_states(
    models: Sequence[str], client_factory: Callable[[], openai.OpenAI], prices: Prices
) -> list[ModelState]:
    """What is known of each model.

    Raises:
        ConfigurationError: a credential is missing.
        ServiceError: the service does not answer, or does not list its models.
    """
    dates = _listed(client_factory)
    return [
        ModelState(model, model in dates, dates.get(model), prices.most_usd(model, 1, 1) is not None)
        for model in models
    ]


def _listed(client_factory: Callable[[], openai.OpenAI]) -> Mapping[str, date | None]:
    import openai

    try:
        return {
            one.id: _day(one.shutdown_date) for one in client_factory().with_options(timeout=TIMEOUT_S).models.list()
        }
    except QuothError:
        raise
    except openai.APIStatusError as error:
        raise ServiceError(f"The models' service answered with HTTP {error.status_code}.") from error
    except (openai.OpenAIError, ValueError, TypeError) as error:
        raise ServiceError("The models' service cannot be reached, or does not list its models.") from error


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if text else None
    except (ValueError, TypeError):
        return None
