"""The breaker: what opens it, what it lets through, and that threads agree on it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.breaker import Breakers
from assistant.errors import ModelUnavailable


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def breakers(clock: Clock) -> Breakers:
    return Breakers(failures=3, window_s=60.0, rest_s=20.0, clock=clock)


def fail(subject: Breakers, times: int, model: str = "m") -> None:
    for _ in range(times):
        subject.enter(model).failed()


def test_it_opens_at_the_number_of_failures_and_only_for_that_model() -> None:
    subject = breakers(Clock())
    fail(subject, 2)
    assert subject.state("m") == "closed"
    fail(subject, 1)
    assert subject.state("m") == "open"
    with pytest.raises(ModelUnavailable, match="20 more seconds"):
        subject.enter("m")
    subject.enter("other").succeeded()


def test_failures_that_lie_apart_or_around_a_success_do_not_open_it() -> None:
    clock = Clock()
    subject = breakers(clock)
    for _ in range(9):
        fail(subject, 1)
        clock.now += 31
    fail(subject, 1)
    subject.enter("m").succeeded()
    fail(subject, 2)
    subject.enter("m").given_up()
    assert subject.state("m") == "closed"


def test_one_probe_decides() -> None:
    clock = Clock()
    subject = breakers(clock)
    fail(subject, 3)
    clock.now += 20
    assert subject.state("m") == "half-open"
    probe = subject.enter("m")
    with pytest.raises(ModelUnavailable, match="being tried"):
        subject.enter("m")
    probe.failed()
    assert subject.state("m") == "open"
    clock.now += 20
    subject.enter("m").succeeded()
    assert subject.state("m") == "closed"
    fail(subject, 2)
    assert subject.state("m") == "closed"


def test_a_probe_that_was_given_up_leaves_the_place_to_another() -> None:
    clock = Clock()
    subject = breakers(clock)
    fail(subject, 3)
    clock.now += 20
    subject.enter("m").given_up()
    assert subject.state("m") == "half-open"
    subject.enter("m").succeeded()
    assert subject.state("m") == "closed"


def test_a_late_outcome_of_an_earlier_call_decides_nothing() -> None:
    clock = Clock()
    subject = breakers(clock)
    late = [subject.enter("m") for _ in range(2)]
    fail(subject, 3)
    late[0].succeeded()
    assert subject.state("m") == "open"
    clock.now += 20
    probe = subject.enter("m")
    late[1].failed()
    probe.succeeded()
    assert subject.state("m") == "closed"


def test_of_many_threads_one_gets_the_probe() -> None:
    clock = Clock()
    subject = breakers(clock)
    fail(subject, 3)
    clock.now += 20
    together = threading.Barrier(16)
    let_through, refused = [], []

    def ask() -> None:
        together.wait()
        try:
            let_through.append(subject.enter("m"))
        except ModelUnavailable:
            refused.append(1)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(let_through), len(refused)) == (1, 15)


@given(st.lists(st.tuples(st.sampled_from(["ok", "bad", "gone"]), st.floats(0, 30)), max_size=60))
def test_it_always_opens_again_to_a_probe_and_never_lets_two_through(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    subject = breakers(clock)
    for outcome, wait_s in steps:
        clock.now += wait_s
        state = subject.state("m")
        try:
            leave = subject.enter("m")
        except ModelUnavailable:
            assert state == "open"
            continue
        assert state != "open"
        if state == "half-open":
            with pytest.raises(ModelUnavailable):
                subject.enter("m")
        {"ok": leave.succeeded, "bad": leave.failed, "gone": leave.given_up}[outcome]()
    clock.now += 20
    subject.enter("m").succeeded()
    assert subject.state("m") == "closed"
