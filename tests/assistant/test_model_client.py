"""Which service the environment names, and what doctor learns of its models; over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from assistant.diagnosis import _models
from assistant.model_answerer import ModelAnswerer
from assistant.model_checks import ModelState
from assistant.model_client import client_from, has_credential
from assistant.model_stream import ModelStream
from assistant.settings import Settings
from evals.bench.loopback_model import LoopbackModel
from ingest.errors import ConfigurationError
from tests.assistant.test_model_answerer import CONTEXT, QUESTION, search

TODAY = date(2026, 11, 21)
SOON = datetime.now(UTC).date() + timedelta(days=20)


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel(shutdowns={"gpt-6-luna": f"{SOON}T00:00:00Z", "double-honest": "2025-01-31"}) as server:
        yield server


def asked_at(double: LoopbackModel, environ: dict[str, str]) -> str:
    """The path that an answer was asked for."""
    assert has_credential(environ)
    list(ModelAnswerer(ModelStream(client_from(environ)), "double-honest").draft(QUESTION, CONTEXT, search()))
    return double.paths[-1]


@pytest.mark.parametrize("credential", ["AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"])
def test_azure_is_reached_in_both_its_forms(double: LoopbackModel, credential: str) -> None:
    azure = {"AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{double.port}/", credential: "any"}
    assert asked_at(double, azure) == "/openai/v1/responses"
    dated = {**azure, "OPENAI_API_VERSION": "2026-10-01"}
    assert asked_at(double, dated) == "/openai/responses?api-version=2026-10-01"
    again = {**azure, "AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{double.port}/openai/v1/"}
    assert asked_at(double, again) == "/openai/v1/responses"


def test_azure_goes_before_openai_and_openai_is_the_rest(double: LoopbackModel) -> None:
    plain = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url}
    assert asked_at(double, plain) == "/v1/responses"
    azure = {"AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{double.port}", "AZURE_OPENAI_API_KEY": "any"}
    assert asked_at(double, {**plain, **azure}) == "/openai/v1/responses"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "OPENAI_API_KEY"),
        ({"AZURE_OPENAI_ENDPOINT": "https://x.example", "OPENAI_API_KEY": "any"}, "AZURE_OPENAI_API_KEY"),
        ({"AZURE_OPENAI_ENDPOINT": "x.example", "AZURE_OPENAI_API_KEY": "any"}, "https://"),
    ],
)
def test_what_is_missing_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        client_from(environ)


def test_a_model_that_is_shut_down_is_told_of_in_time() -> None:
    def told(day: date | None) -> tuple[str, bool]:
        state = ModelState("m", True, day, True)
        return state.told(TODAY), state.usable(TODAY)

    assert told(None) == ("m", True)
    assert told(TODAY + timedelta(days=61)) == ("m", True)
    assert told(date(2026, 12, 11)) == ("m WARNING: is shut down on 2026-12-11, in 20 days", True)
    assert told(date(2026, 11, 1)) == ("m was shut down on 2026-11-01: name another in QUOTH_MODELS", False)
    assert "not in the service's list, its price" in ModelState("m", False, None, False).told(TODAY)


def test_doctor_asks_the_service(double: LoopbackModel) -> None:
    environ = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url}

    def check(**settings: str) -> tuple[bool, str]:
        found = _models(Settings.from_env(settings), {**environ, **settings})
        return found.ok, found.detail

    assert check(QUOTH_MODELS="gpt-6.1-terra") == (True, "gpt-6.1-terra")
    assert check(QUOTH_MODELS="gpt-6-luna") == (True, f"gpt-6-luna WARNING: is shut down on {SOON}, in 20 days")
    ok, detail = check(QUOTH_MODELS="gpt-6.1-terra, double-honest")
    assert not ok and "was shut down on 2025-01-31" in detail
    assert check(QUOTH_MODELS="double-late")[0]
    assert not check(QUOTH_MODELS="double-late", QUOTH_BUDGET_USD_MONTH="5")[0]
    assert check() == (True, "none: answers quote the documents' own sentences")
    environ["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    assert "cannot be reached" in check(QUOTH_MODELS="gpt-6.1-terra")[1]
    environ["OPENAI_API_KEY"] = ""
    assert check(QUOTH_MODELS="gpt-6.1-terra") == (False, "gpt-6.1-terra")
