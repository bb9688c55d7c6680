"""A company's mix against real processes of the product: nothing wrong, leaked or lost; in the long form, flat memory."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.bench.load import Company, Load, filled, report, served, under_load
from evals.bench.load_people import Act, People
from evals.bench.load_plan import MIX, Person, arrivals, documents, kinds, peak_per_s, revised
from evals.bench.load_watch import Watched, growth_mb, is_flat, slope
from ingest import postgres


def test_two_thousand_people_with_five_questions_a_day_ask_one_a_second_at_their_peak() -> None:
    assert peak_per_s(2000, questions_a_day=5) == pytest.approx(2000 * 5 * 0.2 / 3600 * 2)


@given(st.integers(0, 100), st.floats(1, 20))
def test_arrivals_are_in_order_within_the_time_and_the_same_for_a_seed(seed: int, per_s: float) -> None:
    found = list(arrivals(random.Random(seed), per_s, 30))
    assert found == sorted(found) and all(0 < at < 30 for at in found)
    assert found == list(arrivals(random.Random(seed), per_s, 30))
    assert abs(len(found) - per_s * 30) < 6 * (per_s * 30) ** 0.5 + 6


def test_the_mix_comes_out_as_planned() -> None:
    drawn = [kind for kind, _ in zip(kinds(random.Random(3)), range(20_000), strict=False)]
    for kind, weight in MIX.items():
        assert drawn.count(kind) / 20_000 == pytest.approx(weight / sum(MIX.values()), abs=0.02)


def test_documents_have_names_questions_and_readers_of_their_own() -> None:
    made = documents(120)
    assert len({one.source for one in made}) == 120
    assert all(one.questions and one.readers for one in made)
    assert {one.readers == ("everyone",) for one in made} == {True, False}
    assert revised(made[0], 7) != revised(made[0], 8)
    assert made[0].text.encode() in revised(made[0], 7)


@given(st.floats(-5, 5), st.floats(100, 500), st.integers(20, 60), st.randoms())
def test_a_slope_is_found_behind_peaks(rise: float, base: float, count: int, chance: random.Random) -> None:
    at = [float(number) for number in range(count)]
    values = [base + rise * one for one in at]
    for number in chance.sample(range(count), count // 8):
        values[number] += 1000
    assert slope(at, values) == pytest.approx(rise, abs=0.6 + abs(rise))
    clean = [base + rise * one for one in at]
    assert slope(at, clean) == pytest.approx(rise, abs=1e-6)


def test_growth_is_told_from_a_first_fill_and_a_peak() -> None:
    at = [float(number) for number in range(200)]
    filling = Watched(at, [100 + 200 * min(1.0, one / 30) for one in at], at)
    peaks = Watched(at, [300 + (400 if number % 40 == 0 else 0) for number in range(200)], at)
    growing = Watched(at, [300 + 0.5 * one for one in at], at)
    assert is_flat(filling) and is_flat(peaks)
    assert not is_flat(growing)
    assert growth_mb(growing) == pytest.approx(0.5 * 149, abs=1)


def test_what_a_person_may_not_read_is_noticed(tmp_path: Path) -> None:
    reader, outsider = Person("ada", ("hr",)), Person("emil", ())
    company = People(
        "http://127.0.0.1:9", [reader, outsider], ["a", "b"], questions=["?"], readers={"pay.md": ("hr",)},
        ids={}, pages={}, owned=[], seed=1,
    )  # fmt: skip
    citation = {"marker": 1, "source": "pay.md", "document": "d", "version": 1, "start": 0, "end": 1, "quote": "P"}
    answer = {"question": "?", "citations": [citation], "passages": [], "claims": [{"citations": [1]}]}
    company._check_answer(reader, "?", answer)
    assert company.seen.leaks == [] and company.seen.wrong == []
    company._check_answer(outsider, "?", answer)
    assert len(company.seen.leaks) == 1
    company._check_answer(reader, "another?", {**answer, "claims": [{"citations": []}]})
    assert len(company.seen.wrong) == 2
    assert Act("ask", 0, 1, "ok").outcome == "ok"


def whole(load: Load) -> None:
    print(report(load, people=0, documents=0))
    assert load.seen.wrong == []
    assert load.seen.leaks == []
    assert load.lost == []
    assert {act.outcome for step in load.steps for act in step.acts} == {"ok"}
    assert load.seen.statuses["answered"] > 0
    assert load.verified > 0


@pytest.fixture(scope="module")
def company(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Company:
    return filled(environ, tmp_path_factory.mktemp("documents"), people=6, documents=8, samples=False, seed=4)


@pytest.mark.integration
def test_a_few_seconds_of_a_companys_work(company: Company, environ: dict[str, str], tmp_path: Path) -> None:
    mix = {**MIX, "upload": 0.3, "replace": 0.3}
    with served({**environ, "QUOTH_RERANKER": "none"}, tmp_path / "log") as (address, parts):
        load = under_load(address, parts, company, per_s=8, steps=[(1, 3)], seed=4, every_s=0.5, mix=mix)
    whole(load)
    assert load.seen.accepted
    assert all(part.memory_mb for part in load.watch.parts.values())


@pytest.fixture
def own_environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A store on an embedded Postgres of its own, whose memory is looked at too."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    environ = {**kept, "QUOTH_HOME": str(tmp_path / "quoth")}
    try:
        yield environ
    finally:
        postgres.remove(Path(environ["QUOTH_HOME"]))


@pytest.mark.soak
@pytest.mark.integration
@pytest.mark.parametrize("form", ["api", "up"])
def test_a_companys_busiest_hour_leaves_memory_flat(own_environ: dict[str, str], tmp_path: Path, form: str) -> None:
    """SOAK_LOAD_S makes it shorter."""
    seconds = float(os.environ.get("SOAK_LOAD_S", 3600))
    company = filled(own_environ, tmp_path / "documents", people=200, documents=300, samples=True, seed=1)
    per_s = peak_per_s(2000, questions_a_day=5) * sum(MIX.values())
    with served(own_environ, tmp_path / "log", form=form) as (address, parts):
        load = under_load(address, parts, company, per_s=per_s, steps=[(1, seconds)], seed=1)
    whole(load)
    assert load.steps[0].kept_up
    grown = {name: growth_mb(part) for name, part in load.watch.parts.items() if not is_flat(part)}
    assert not grown, f"memory grows: {grown}"
