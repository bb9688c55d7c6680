"""Prices: the published ones, the operator's own in front, and bounds that hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails, ResponseUsage

from assistant.prices import Price, Prices, prices_from
from ingest.errors import ConfigurationError

OWN = Prices({"house-model": Price(2.0, 0.5, 8.0), "gpt-6.1-terra": Price(0.0, 0.0, 0.0)})


def response(model: str, sent: int, cached: int, written: int, received: int) -> Response:
    usage = ResponseUsage(
        input_tokens=sent,
        input_tokens_details=InputTokensDetails(cached_tokens=cached, cache_write_tokens=written),
        output_tokens=received,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        total_tokens=sent + received,
    )
    return Response(
        id="r", created_at=0, model=model, object="response", output=[], parallel_tool_calls=False, tool_choice="none",
        tools=[], usage=usage,
    )  # fmt: skip


def test_own_prices_go_before_published_ones() -> None:
    used = OWN.usage_of(response("house-model", 1000, 400, 0, 100), "house-model")
    assert used.cost_usd == pytest.approx((600 * 2 + 400 * 0.5 + 100 * 8) / 1e6)
    assert OWN.usage_of(response("gpt-6.1-terra", 1000, 0, 0, 100), "gpt-6.1-terra").cost_usd == 0
    assert Prices().usage_of(response("gpt-6.1-terra", 1000, 0, 0, 100), "gpt-6.1-terra").cost_usd == 0.0015


def test_a_price_goes_by_the_name_that_was_asked_for_too() -> None:
    assert OWN.usage_of(response("llama-2026-10-01", 1000, 0, 0, 0), "house-model").cost_usd == pytest.approx(0.002)
    assert Prices().usage_of(response("deployment", 1000, 0, 0, 0), "gpt-6.1-terra").cost_usd == pytest.approx(0.001)


def test_what_is_not_known_has_no_bound_and_costs_nothing() -> None:
    assert Prices().most_usd("no-such-model", 10, 10) is None
    assert Prices().usage_of(response("no-such-model", 10, 0, 0, 10), "no-such-model").cost_usd == 0
    assert Prices().estimated_usage("no-such-model", 400, 40).input_tokens == 100


@given(
    st.sampled_from(["gpt-6.1-terra", "gpt-6-luna", "gpt-6.1-sol", "gpt-5.6-terra", "gpt-5.4-mini", "house-model"]),
    st.integers(0, 400_000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 100_000),
)
def test_the_bound_is_never_below_what_a_call_costs(
    model: str, sent: int, cached: float, written: float, received: int
) -> None:
    from_cache = int(sent * cached)
    to_cache = int((sent - from_cache) * written)
    cost = OWN.usage_of(response(model, sent, from_cache, to_cache, received), model).cost_usd
    most = OWN.most_usd(model, sent, received)
    assert most is not None and cost <= most + 1e-12


def test_a_file_in_either_form_is_read(tmp_path: Path) -> None:
    toml, json = tmp_path / "prices.toml", tmp_path / "prices.json"
    toml.write_text('[models."house model"]\ninput = 2\noutput = 8.0\n')
    json.write_text('{"models": {"house model": {"input": 2, "cached_input": 2, "output": 8}}}')
    for file in (toml, json):
        assert prices_from(str(file)).most_usd("house model", 1000, 1000) == pytest.approx(0.01)
    assert prices_from(None).most_usd("house model", 1, 1) is None


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.toml", "[models.x]\ninput = 1", "'output' is missing"),
        ("a.toml", "[models.x]\ninput = -1\noutput = 1", "input = -1"),
        ("a.toml", "[models.x]\ninput = true\noutput = 1", "input = True"),
        ("a.toml", "[models.x]\ninput = 1\noutput = nan", "output = nan"),
        ("a.toml", "[models.x]\ninput = 1\noutput = 1\ncached = 1", "'cached' is not a price"),
        ("a.toml", "[models]\nx = 1", "model 'x'"),
        ("a.toml", "[model.x]\ninput = 1\noutput = 1", '"models"'),
        ("a.toml", "models", "neither JSON nor TOML"),
        ("a.json", "[1]", '"models"'),
        ("a.json", "{", "neither JSON nor TOML"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(tmp_path: Path, name: str, content: str, named: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        prices_from(str(file))
    assert named in str(caught.value) and str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml.*cannot be read"):
        prices_from(str(tmp_path / "none.toml"))
