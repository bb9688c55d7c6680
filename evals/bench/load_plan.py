"""What people of a company do in its busiest hour: how often, in which mix, with which documents and rights. Seeded.

Nothing here sends anything: `load.py` carries the plan out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from evals.bench.invented_facts import invented

Kind = Literal["ask", "search", "open text", "open page", "history", "list", "feedback", "upload", "replace"]

# For each question asked, how often the rest happens. An assumption, not a measurement: half as many plain searches,
# every second answer has a source opened, one in three a page drawn, one person in five looks at what they asked
# before, one answer in ten gets a thumb, and a hundred files come or change for each ten thousand questions.
MIX: Final[Mapping[Kind, float]] = {
    "ask": 1.0,
    "search": 0.5,
    "open text": 0.5,
    "open page": 0.3,
    "history": 0.2,
    "list": 0.2,
    "feedback": 0.1,
    "upload": 0.005,
    "replace": 0.005,
}
BUSIEST_HOUR: Final = 0.2  # share of a day's questions, as of telephone calls in an office
BURST: Final = 2.0  # the busiest minutes of that hour against its mean
FOLLOWING: Final = 0.25  # share of questions that go on with a conversation
GROUPS: Final = ("hr", "engineering", "product", "board", "sales", "works council")


def peak_per_s(
    people: int, *, questions_a_day: float, busiest_hour: float = BUSIEST_HOUR, burst: float = BURST
) -> float:
    """Questions a second in the busiest minutes of a day.

    2,000 people with 5 questions a day ask 10,000; a fifth of them in one hour is 2,000, or 0.56 a second; twice that
    in its busiest minutes is 1.1.
    """
    return people * questions_a_day * busiest_hour / 3600 * burst


def arrivals(chance: random.Random, per_s: float, seconds: float) -> Iterator[float]:
    """Moments of a Poisson process, in seconds from its start: people do not wait for one another."""
    at = chance.expovariate(per_s)
    while at < seconds:
        yield at
        at += chance.expovariate(per_s)


def kinds(chance: random.Random, mix: Mapping[Kind, float] = MIX) -> Iterator[Kind]:
    """What each arrival is, without end."""
    names, weights = list(mix), list(mix.values())
    while True:
        yield chance.choices(names, weights)[0]


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    groups: tuple[str, ...]

    def may_read(self, readers: Sequence[str]) -> bool:
        return "everyone" in readers or bool(set(readers) & set(self.groups))


@dataclass(frozen=True, slots=True)
class Written:
    """A document of the load: its words, what it answers, and who may read it."""

    source: str
    text: str
    questions: tuple[str, ...]
    readers: tuple[str, ...]


def people(count: int, *, seed: int = 1) -> list[Person]:
    """So many, a third of them in no group, the others in one or two."""
    chance = random.Random(f"{seed}/people")
    return [
        Person(f"person{number:04}", tuple(sorted(chance.sample(GROUPS, chance.choice((0, 1, 2))))))
        for number in range(count)
    ]


def documents(count: int, *, seed: int = 1) -> list[Written]:
    """So many, half of them for everyone and half for one group each."""
    chance = random.Random(f"{seed}/readers")
    found = []
    for batch in range(-(-count // BATCH)):
        corpus = invented(4 * min(BATCH, count - batch * BATCH), seed=seed * 1000 + batch)
        for name, text in corpus.texts.items():
            questions = tuple(one.question for one in corpus.facts if one.document == name)
            readers = ("everyone",) if chance.random() < 0.5 else (chance.choice(GROUPS),)
            found.append(Written(f"{batch:02}/{name}", text, questions, readers))
    return found


BATCH: Final = 100  # documents of one corpus: their subjects have names of their own


def revised(document: Written, number: int) -> bytes:
    """The document with another last paragraph, as somebody keeps it up to date."""
    return f"{document.text}\nThis is revision {number}; what stands above is as it was.\n".encode()
