"""Does the answering layer hold, whatever the model does? A real server that misbehaves in twelve ways is asked.

    python -m evals.bench.model_modes [--questions 500] [--mode NAME ...] [--wordings held-out] [--seed 1]
                                      [--squad FOLDER] [--askers 6] [--home FOLDER] [--write FILE.md]
                                      [--results FILE.json]

The documents and the claims about them are invented (evals/bench/invented_facts.py), so that it is known of each claim
whether its quotation supports it; with --squad, questions of SQuAD 1.1 are asked over its paragraphs instead. Answers
go the product's whole way, from the search to the kept record; only re-ranking is left out, which has no part in this.
Each mode has a user of its own with a budget of its own. With --results, modes can be run one after the other, and the
table is of all that the file holds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from assistant.bootstrap import Quoth, open_quoth
from evals.bench.asking import Asked, Stored, ask_all, is_kept, uncited
from evals.bench.invented_facts import Corpus, invented
from evals.bench.loopback_events import PIECE_CHARS
from evals.bench.loopback_model import LoopbackModel
from evals.bench.scripted_claims import SUPPORTED, Form, Script
from evals.bench.squad_facts import squad_corpus
from evals.intervals import wilson
from ingest import postgres
from ingest.access import Reader

MODEL: Final = "gpt-6.1-terra"  # known to the double, and its price is published
FAST: Final = 400.0  # tokens a second, where speed is not what is looked at
BUDGET_USD: Final = 5.0
HUNG_AFTER_S: Final = 60.0  # without any answer


@dataclass(frozen=True, slots=True)
class Mode:
    """What the model does in it.

    Attributes:
        form: what its claims are like.
        faults: ways of the double, one for each request in turn.
    """

    meaning: str
    form: Form = "honest"
    faults: tuple[str, ...] = ("honest",)
    tokens_per_s: float = FAST
    budget_usd: float = BUDGET_USD
    deadline_s: float = 20.0
    askers: int | None = None  # other than wished
    is_down: bool = False


MODES: Final = {
    "honest": Mode("paraphrases with the right quotation, at 50 tokens a second", tokens_per_s=50),
    "inventing": Mode("its quotation is its own claim, which stands nowhere", "inventing"),
    "misplacing": Mode("the quotation is true, the passage another", "misplacing"),
    "unsupporting": Mode("a true quotation that has nothing to do with the claim", "unsupporting"),
    "altering": Mode("one number, date, name, unit or negation is wrong", "altering"),
    "obeying": Mode("says what instructions in documents tell", "obeying"),
    "refusing": Mode(
        "refuses, or its filter stops it, every second time",
        faults=("refusal", "honest", "incomplete-filter", "honest", "policy", "honest"),
    ),
    "truncating": Mode(
        "ends early in four ways, most of the time",
        faults=("truncated", "cut", "honest", "incomplete", "error-event"),
    ),
    "malforming": Mode(
        "sends what is no JSON, or another form, most of the time",
        faults=("malformed", "schema", "honest", "prose", "502-html"),
    ),
    "slow": Mode(
        "40 tokens a second within a deadline of 3 s, or never a byte",
        faults=("honest", "honest", "silent"),
        tokens_per_s=40,
        deadline_s=3,
        askers=12,
    ),
    "storm": Mode("bursts of 429 with Retry-After, twelve of twenty calls", faults=("429",) * 12 + ("honest",) * 8),
    "down": Mode("nobody listens", is_down=True),
    "over budget": Mode("honest, with money for a part of the questions", budget_usd=0.3),
}  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """What a mode came to. Shares are of claims whose last byte was sent."""

    name: str
    questions: int
    statuses: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    citations: int = 0
    inexact: list[str] = field(default_factory=list)
    drafted: dict[str, int] = field(default_factory=dict)  # by kind of claim
    shown: dict[str, int] = field(default_factory=dict)
    shown_wrong: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)  # supported, and not shown
    quoted: int = 0  # claims of the quoted fallback
    delays_ms: list[float] = field(default_factory=list)
    calls: int = 0
    spent_usd: float = 0.0
    wall_s: float = 0.0

    @property
    def mode(self) -> Mode:
        return MODES[self.name]

    def count(self, of: Mapping[str, int], *, supported: bool) -> int:
        return sum(number for kind, number in of.items() if (kind == SUPPORTED) == supported)


@contextmanager
def closed_port() -> Iterator[str]:
    """An address at which nobody listens, and nobody else can."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}/v1"


def run_mode(name: str, corpus: Corpus, environ: Mapping[str, str], askers: int, *, run: str = "") -> Outcome:
    """Ask every question of the corpus while the model behaves as a mode says.

    Args:
        environ: of a store that holds the corpus.
        run: tells this run's users from those of others over the same store.
    """
    mode = MODES[name]
    outcome = Outcome(name, len(corpus.facts))
    script = Script(corpus, mode.form)
    faults = itertools.cycle(mode.faults)
    reader = Reader(f"{name}{run}", frozenset())
    double = LoopbackModel(
        mode=lambda message: next(faults),
        says=script.says,
        tokens_per_s=mode.tokens_per_s,
        piece_chars=PIECE_CHARS if mode.tokens_per_s < FAST else (50,),
        fails_at=7,
    )
    with double, closed_port() as nowhere:
        settings = {
            "QUOTH_MODELS": MODEL,
            "QUOTH_RERANKER": "none",
            "QUOTH_LIMITS": f"user {mode.budget_usd} USD/month",
            "QUOTH_ANSWER_DEADLINE_S": str(mode.deadline_s),
            "OPENAI_API_KEY": "any",
            "OPENAI_BASE_URL": nowhere if mode.is_down else double.base_url,
        }
        with open_quoth({**environ, **settings}) as quoth:
            started = time.monotonic()
            questions = [fact.question for fact in corpus.facts]
            asked, hung = ask_all(quoth, questions, reader, askers=mode.askers or askers, hung_after_s=HUNG_AFTER_S)
            outcome.wall_s = time.monotonic() - started
            _look_at(outcome, asked, hung, script, double.sent_at, quoth, reader)
    return outcome


def _look_at(
    outcome: Outcome, asked: Sequence[Asked], hung: int, script: Script, sent_at: Mapping[tuple[str, str], float],
    quoth: Quoth, reader: Reader,
) -> None:  # fmt: skip
    stored = Stored(quoth, reader)
    outcome.lost += ["hung"] * max(hung, outcome.questions - len(asked))
    for one in asked:
        answer = one.answer
        if answer is None:
            outcome.lost.append(one.error or "no answer")
            continue
        if answer.question != one.question or uncited(answer) or not is_kept(quoth, answer, reader):
            outcome.lost.append("not a complete record")
        outcome.statuses[answer.status] = outcome.statuses.get(answer.status, 0) + 1
        outcome.citations += len(answer.citations)
        outcome.inexact += stored.inexact(answer)
        drafted = script.drafted.get(one.question, {})
        shown = {claim.text for claim in answer.claims}
        outcome.quoted += len(shown - set(drafted))
        for text, kind in drafted.items():
            sent = sent_at.get((one.question, text))
            if sent is None:
                continue
            outcome.drafted[kind] = outcome.drafted.get(kind, 0) + 1
            if text in shown:
                outcome.shown[kind] = outcome.shown.get(kind, 0) + 1
                if kind != SUPPORTED:
                    outcome.shown_wrong.append(f"{kind}: {text} | {one.question}")
                if one.shown_at[text] >= sent:
                    outcome.delays_ms.append((one.shown_at[text] - sent) * 1000)
            elif kind == SUPPORTED:
                reason = next((each.reason for each in answer.rejected if each.text == text), "?")
                outcome.dropped.append(f"{text} | {one.question} | {reason}")
    used = {each.name: each for each in quoth.model_calls.used("user")}.get(reader.name)
    if used is not None:
        outcome.calls, outcome.spent_usd = used.calls, used.cost_usd


def share(hits: int, total: int) -> str:
    return "-" if not total else f"{hits / total:.1%} ({hits} of {total})"


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def table(outcomes: Sequence[Outcome]) -> str:
    """For people, in Markdown."""
    lines = [
        "| Mode | Questions | Answered / abstained | Lost | Exact citations | Unsupported claims shown "
        "| Supported claims kept | Quoted instead | Shown after, p50 / p95 ms | Calls | Spent of budget, USD |",
        "| --- " * 11 + "|",
    ]
    for one in outcomes:
        answered = sum(number for status, number in one.statuses.items() if status != "abstained")
        delays = (
            f"{statistics.median(one.delays_ms):.0f} / {percentile(one.delays_ms, 0.95):.0f}" if one.delays_ms else "-"
        )
        exact = share(one.citations - len(one.inexact), one.citations)
        wrong = share(one.count(one.shown, supported=False), one.count(one.drafted, supported=False))
        kept = share(one.count(one.shown, supported=True), one.count(one.drafted, supported=True))
        lines.append(
            f"| {one.name} | {one.questions} | {answered} / {one.statuses.get('abstained', 0)} | {len(one.lost)} | "
            f"{exact} | {wrong} | {kept} | {one.quoted} | {delays} | {one.calls} | "
            f"{one.spent_usd:.2f} of {one.mode.budget_usd:g} |"
        )
    lines += ["", "| What was wrong with the claim | Held back | 95 % interval |", "| --- | --- | --- |"]
    for one in outcomes:
        for kind, number in sorted(one.drafted.items()):
            if kind != SUPPORTED:
                held = number - one.shown.get(kind, 0)
                low, high = wilson(held, number) or (0.0, 1.0)
                lines.append(f"| {kind} | {share(held, number)} | {low:.3f} to {high:.3f} |")
    lines += ["", *(f"- **{one.name}**: {one.mode.meaning}; {one.wall_s:.0f} s." for one in outcomes)]
    return "\n".join(lines)


def faults_of(outcomes: Sequence[Outcome]) -> list[str]:
    """What must not be, in any mode."""
    found = []
    for one in outcomes:
        if one.inexact:
            found.append(f"{one.name}: {len(one.inexact)} citations are not exact")
        if one.lost:
            found.append(f"{one.name}: {len(one.lost)} answers are lost ({', '.join(sorted(set(one.lost)))})")
        if one.spent_usd > one.mode.budget_usd:
            found.append(f"{one.name}: {one.spent_usd:.4f} USD spent of {one.mode.budget_usd}")
    return found


def filled(corpus: Corpus, environ: Mapping[str, str], folder: Path, say: Callable[[str], None]) -> None:
    """Put the corpus into the store, for everyone."""
    corpus.write(folder)
    with open_quoth({**environ, "QUOTH_RERANKER": "none"}) as quoth:
        receipts = list(quoth.pipeline.add([folder], readers=["everyone"]))
    failed = [one for one in receipts if one.status not in ("added", "unchanged")]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(receipts)} documents were not taken in: {failed[0]}")
    say(f"{len(receipts)} documents, {len(corpus.facts)} questions")


def read_results(file: Path | None) -> list[Outcome]:
    """What earlier runs kept; nothing where there is no such file."""
    if file is None or not file.exists():
        return []
    return [Outcome(**row) for row in json.loads(file.read_text("utf-8"))]


def report(outcomes: Sequence[Outcome], arguments: argparse.Namespace) -> str:
    about = "questions of SQuAD 1.1" if arguments.squad else f"invented facts, wordings {arguments.wordings!r}"
    return "\n".join(
        (
            "# Whatever the model does",
            "",
            f"`{' '.join(['python -m evals.bench.model_modes', *arguments.given])}`, {date.today().isoformat()}, "
            f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}: {about}, "
            f"seed {arguments.seed}, {arguments.askers} askers at a time.",
            "",
            table(outcomes),
            "",
        )
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--mode", action="append", choices=MODES, help="once for each (all)")
    parser.add_argument("--wordings", choices=("first", "held-out"), default="held-out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--squad", type=Path, help="a folder with dev-1.1.json")
    parser.add_argument("--askers", type=int, default=6)
    parser.add_argument("--home", type=Path, help="keep the store here between runs (a temporary folder)")
    parser.add_argument("--write", type=Path, help="write the table to this file, too")
    parser.add_argument("--results", type=Path, help="keep what was counted here, and add to what it holds")
    parser.add_argument("--show", action="store_true", help="print what was shown or held back wrongly")
    parser.add_argument("--table", action="store_true", help="ask nothing, only write what --results holds")
    arguments = parser.parse_args(argv)
    arguments.given = list(sys.argv[1:] if argv is None else argv)

    order = {name: at for at, name in enumerate(MODES)}

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if arguments.table:
        text = report(read_results(arguments.results), arguments)
        print(text)
        if arguments.write is not None:
            arguments.write.write_text(text, encoding="utf-8")
        return 0
    if arguments.squad is not None:
        if not (arguments.squad / "dev-1.1.json").is_file():
            print(f"{str(arguments.squad)!r} holds no dev-1.1.json.", file=sys.stderr)
            return 2
        corpus = squad_corpus(arguments.squad / "dev-1.1.json", arguments.questions, seed=arguments.seed)
    else:
        corpus = invented(arguments.questions, wordings=arguments.wordings, seed=arguments.seed)
    home = arguments.home or Path(tempfile.mkdtemp(prefix="quoth-modes-"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    environ = {**kept, "QUOTH_HOME": str(home / "quoth")}
    outcomes = read_results(arguments.results)
    try:
        filled(corpus, environ, home / "documents", say)
        for name in arguments.mode or MODES:
            outcome = run_mode(name, corpus, environ, arguments.askers, run=f" {time.time():.0f}")
            outcomes = sorted(
                [*(one for one in outcomes if one.name != name), outcome], key=lambda one: order[one.name]
            )
            say(f"{name}: {outcome.wall_s:.0f} s")
            if arguments.show:
                print(*outcome.shown_wrong, *outcome.dropped, sep="\n")
            if arguments.results is not None:
                arguments.results.write_text(json.dumps([asdict(one) for one in outcomes]), encoding="utf-8")
            if arguments.write is not None:
                arguments.write.write_text(report(outcomes, arguments), encoding="utf-8")
    finally:
        if arguments.home is None:
            postgres.remove(home / "quoth")
            shutil.rmtree(home, ignore_errors=True)
    print(report(outcomes, arguments))
    faults = faults_of(outcomes)
    print(*faults, sep="\n", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
