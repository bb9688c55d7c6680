"""A company at its desks against a real `quoth api` and `quoth worker` (or `quoth up`): waiting, errors, leaks, memory.

    python -m evals.bench.load [--seconds 600] [--people 2000] [--questions 5] [--serve api] [--write FILE.md]
    python -m evals.bench.load --ramp 0.5,1,2,4,8 --seconds 60

Arrivals are a Poisson process that waits for nobody (open loop), at the rate of the busiest minutes of a day: 2,000
people with 5 questions a day ask 10,000, a fifth of them in the busiest hour, at twice its mean in its busiest minutes:
1.1 questions a second, and with each the searching, opening of sources, looking back, uploading and so on of
`load_plan.MIX`. Times count from when an act was due, so that a stalled server is not spared by clients that wait.
Every citation is held against the stored text and against who may read it. With --ramp the rate is multiplied step by
step until the server does not keep up, and what was busiest then is named. The generator runs on the same machine: its
share of the processors is in the table. All traffic stays on loopback; everything is bounded and ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import httpx
import psutil

from assistant.bootstrap import open_quoth
from evals.bench import load_plan, load_watch
from evals.bench.load_people import Act, People, Seen, Shown
from evals.bench.load_plan import MIX, Kind, Person, Written, arrivals, kinds, peak_per_s
from evals.bench.load_watch import GENERATOR, Watch
from evals.bench.model_modes import percentile
from evals.case_files import read_case_file
from evals.sampling import SAMPLES, load_samples
from ingest import postgres
from ingest.discovery import Input
from ingest.storing import Identity

MOST_IN_FLIGHT: Final = 400  # acts; what comes beyond is not sent and counts as lost
PATIENCE_S: Final = 120.0  # for the last answers and uploads, when time is up
START_TIMEOUT_S: Final = 120.0
KEPT_UP: Final = 0.95  # of what was due in a step is done at its end, or the server does not keep up
BUSY: Final = 0.85  # of all processors: they are what there is too little of
PROBED: Final = 100  # (person, document) read again under the person's own key


@dataclass(frozen=True, slots=True)
class Company:
    """What the store was filled with, and who works there."""

    people: tuple[Person, ...]
    keys: tuple[str, ...]
    documents: tuple[Written, ...]
    questions: tuple[str, ...]
    readers: Mapping[str, Sequence[str]]
    samples: bool


@dataclass(slots=True)
class Step:
    """One rate for a while."""

    factor: float
    per_s: float  # acts
    seconds: float
    due: int = 0
    left: int = 0  # not done at its end
    shed: int = 0  # not sent
    acts: list[Act] = field(default_factory=list)
    shares: dict[str, float] = field(default_factory=dict)

    @property
    def kept_up(self) -> bool:
        return self.shed == 0 and self.left <= max(5.0, (1 - KEPT_UP) * self.due)


@dataclass(slots=True)
class Load:
    steps: list[Step]
    seen: Seen
    watch: Watch
    lost: list[str]
    verified: int  # quotations

    @property
    def wrong(self) -> list[str]:
        return [*self.seen.wrong, *self.seen.leaks]


def filled(
    environ: Mapping[str, str], folder: Path, *, people: int, documents: int, samples: bool, seed: int
) -> Company:
    """Put documents, people with groups and their keys into the store that the environment names."""
    written = load_plan.documents(documents, seed=seed)
    staff = load_plan.people(people, seed=seed)
    readers: dict[str, Sequence[str]] = {one.source: one.readers for one in written}
    questions = [question for one in written for question in one.questions]
    with open_quoth(environ) as quoth:
        inputs = []
        for one in written:
            file = folder / one.source
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(one.text, encoding="utf-8")
            inputs.append(Input(file, Identity("default", one.source), readers=one.readers))
        receipts = list(quoth.pipeline.add_inputs(inputs))
        if samples:
            receipts += load_samples(quoth)
            questions += [case.question for case in read_case_file(SAMPLES / "cases.jsonl")]
        failed = [one for one in receipts if one.status == "failed"]
        if failed:
            raise RuntimeError(f"{len(failed)} of {len(receipts)} documents were not taken in: {failed[0]}")
        keys = []
        for number, person in enumerate(staff):
            by_key = number % 2 == 0  # half of them have their groups by the key, the others by the local table
            _, key = quoth.api_keys.create(
                person.name, roles=("reader", "owner"), groups=person.groups if by_key else (), days=2
            )
            keys.append(key)
            if not by_key:
                quoth.groups.set_of_user(person.name, person.groups)
    return Company(tuple(staff), tuple(keys), tuple(written), tuple(questions), readers, samples)


@contextlib.contextmanager
def served(
    environ: Mapping[str, str], log: Path, *, form: str = "api"
) -> Iterator[tuple[str, dict[str, psutil.Process]]]:
    """Start the product; yields its address, and its processes by what they are."""
    commands = {"api": ["api"], "worker": ["worker"]} if form == "api" else {"app and worker": ["up", "--no-browser"]}
    port = _free_port()
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with log.open("ab") as out:
            for name, command in commands.items():
                place = [] if name == "worker" else ["--port", str(port)]
                running[name] = subprocess.Popen(
                    [sys.executable, "-m", "ui.command", *command, *place],
                    env=dict(environ), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                )  # fmt: skip
        address = f"http://127.0.0.1:{port}"
        _wait_ready(address, running, log)
        parts = {name: psutil.Process(process.pid) for name, process in running.items()}
        server = postgres.status(Path(environ["QUOTH_HOME"])).pid if "QUOTH_DATABASE_URL" not in environ else None
        if server is not None:
            parts["Postgres"] = psutil.Process(server)
        yield address, {**parts, GENERATOR: psutil.Process()}
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            if process.poll() is None:
                process.kill()
                process.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_ready(address: str, running: Mapping[str, subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in running.values()):
            break
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/api/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not come up: {log.read_text('utf-8', 'replace')[-2000:]}")


def under_load(
    address: str, parts: Mapping[str, psutil.Process], company: Company, *,
    per_s: float, steps: Sequence[tuple[float, float]], seed: int, every_s: float = 5.0,
    mix: Mapping[Kind, float] = MIX,
) -> Load:  # fmt: skip
    """Have the company work, step after step, until a step is not kept up with.

    Args:
        per_s: acts a second of a factor of 1.
        steps: (factor, seconds) of each.
    """
    with Watch(parts, every_s=every_s) as watch:
        done, people, lost = asyncio.run(
            _carried_out(address, watch, company, per_s=per_s, steps=steps, seed=seed, mix=mix)
        )
        verified = _verified(address, company, people, lost)
    return Load(done, people.seen, watch, lost, verified)


async def _carried_out(
    address: str, watch: Watch, company: Company, *, per_s: float, steps: Sequence[tuple[float, float]], seed: int,
    mix: Mapping[Kind, float],
) -> tuple[list[Step], People, list[str]]:  # fmt: skip
    chance = random.Random(f"{seed}/arrivals")
    ids, pages = await asyncio.to_thread(_listed, address)
    people = People(
        address, company.people, company.keys, questions=company.questions,
        readers={source: _readers(company, source, found) for source, (_, found) in ids.items()},
        ids={source: document for source, (document, _) in ids.items()},
        pages=pages, owned=company.documents, seed=seed,
    )  # fmt: skip
    running: set[asyncio.Task[None]] = set()
    done: list[Step] = []
    lost: list[str] = []
    try:
        for factor, seconds in steps:
            step = Step(factor, per_s * factor, seconds)
            started, since, before = time.monotonic(), watch.now_s, len(people.seen.acts)
            of_this: set[asyncio.Task[None]] = set()
            for due, kind in zip(arrivals(chance, step.per_s, seconds), kinds(chance, mix), strict=False):
                await asyncio.sleep(max(0.0, started + due - time.monotonic()))
                step.due += 1
                if len(running) >= MOST_IN_FLIGHT:
                    step.shed += 1
                    continue
                task = asyncio.create_task(people.act(kind, due, started))
                for held in (running, of_this):
                    held.add(task)
                    task.add_done_callback(held.discard)
            await asyncio.sleep(max(0.0, started + seconds - time.monotonic()))
            step.left = len(of_this)
            await asyncio.to_thread(watch.look)
            step.shares = watch.shares(since)
            if running:
                await asyncio.wait(set(running), timeout=PATIENCE_S)
            step.acts = people.seen.acts[before:]
            done.append(step)
            if not step.kept_up:
                break
        for task in list(running):
            task.cancel()
            lost.append("no answer at all")
    finally:
        await people.close()
    return done, people, lost


def _readers(company: Company, source: str, found: Sequence[str]) -> Sequence[str]:
    return company.readers.get(source, found)


def _listed(address: str) -> tuple[dict[str, tuple[str, Sequence[str]]], dict[str, tuple[str, int]]]:
    """(id, readers) of every document, and (id, pages) of those with pictures of pages, by source."""
    ids: dict[str, tuple[str, Sequence[str]]] = {}
    pages: dict[str, tuple[str, int]] = {}
    with httpx.Client(base_url=address, timeout=60) as client:
        offset: int | None = 0
        while offset is not None:
            found = client.get("/api/documents", params={"limit": 500, "offset": offset}).raise_for_status().json()
            for one in found["documents"]:
                ids[one["source"]] = (one["document"], tuple(one["readers"]))
                if one["media_type"] == "application/pdf" and one["pages"]:
                    pages[one["source"]] = (one["document"], one["pages"])
            offset = found["next_offset"]
    return ids, pages


def _verified(address: str, company: Company, people: People, lost: list[str]) -> int:
    """Hold what was shown against what is stored, and look whether what was taken in has arrived."""
    seen, keys = people.seen, dict(zip((one.name for one in company.people), company.keys, strict=True))
    with httpx.Client(base_url=address, timeout=60) as client:  # as this machine's own user, who reads everything
        _wait_for_uploads(client, seen, lost)
        texts: dict[tuple[str, int], str] = {}
        for one in seen.shown:
            key = (one.document, one.version)
            if key not in texts:
                texts[key] = _got(client, f"/api/documents/{one.document}/text", version=one.version).text
            if not one.quote or texts[key][one.start : one.end] != one.quote:
                seen.wrong.append(f"a quotation does not stand in version {one.version} of {one.document}")
        for one in sorted(seen.shown, key=_order)[:PROBED]:
            response = client.get(
                f"/api/documents/{one.document}/text",
                params={"version": one.version},
                headers={"authorization": f"Bearer {keys[one.person]}"},
            )
            if response.status_code not in (200, 429):
                seen.leaks.append(f"{one.person} was shown {one.document}, and may not open it")
    return len(seen.shown)


def _got(client: httpx.Client, path: str, **query: str | int) -> httpx.Response:
    """An answer of the API, waited for as it asks: an hour's documents are more than one person may open at once."""
    while (response := client.get(path, params=query)).status_code == 429:
        time.sleep(float(response.headers["retry-after"]))
    return response.raise_for_status()


def _order(one: Shown) -> tuple[int, str, str]:
    return hash((one.person, one.document)), one.person, one.quote


def _wait_for_uploads(client: httpx.Client, seen: Seen, lost: list[str]) -> None:
    """Every upload that was accepted must answer with its last words in the end."""
    deadline = time.monotonic() + PATIENCE_S
    waiting = dict(seen.accepted)
    while waiting and time.monotonic() < deadline:
        for source, words in list(waiting.items()):
            found = _got(client, "/api/documents", words=source, limit=10).json()
            for one in found["documents"]:
                if one["source"] == source:
                    text = _got(client, f"/api/documents/{one['document']}/text").text
                    if text.split()[-8:] == words.decode().split()[-8:]:
                        waiting.pop(source, None)
        if waiting:
            time.sleep(0.5)
    lost += [f"{source} was accepted and did not arrive" for source in waiting]


def kinds_table(acts: Sequence[Act], seconds: float) -> str:
    lines = [
        "| Kind | Count | a second | p50 / p95 / p99 ms | Refused | Errors |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind in MIX:
        these = [act for act in acts if act.kind == kind]
        if these:
            lines.append(_row(kind, these, [act.elapsed_s for act in these if act.outcome == "ok"], seconds))
        if kind == "ask" and (first := [act.first_claim_s for act in these if act.first_claim_s is not None]):
            lines.append(f"| ask, first verified claim | {len(first)} | | {_times(first)} | | |")
    lines.append(_row("all", acts, [act.elapsed_s for act in acts if act.outcome == "ok"], seconds))
    return "\n".join(lines)


def _row(name: str, acts: Sequence[Act], times: Sequence[float], seconds: float) -> str:
    refused = sum(act.outcome == "refused" for act in acts)
    errors = sum(act.outcome not in ("ok", "refused") for act in acts)
    return f"| {name} | {len(acts)} | {len(acts) / seconds:.2f} | {_times(times)} | {refused} | {errors} |"


def _times(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    return " / ".join(f"{percentile(seconds, part) * 1000:.0f}" for part in (0.5, 0.95, 0.99))


def why(step: Step) -> str:
    """What there was too little of when a step was not kept up with."""
    processors = os.cpu_count() or 1
    used = sum(step.shares.values())
    most = max(step.shares, key=lambda name: step.shares[name], default="?")
    if used >= BUSY * processors:
        return f"the processors ({used:.2f} of {processors} used), most of them by {most} ({step.shares[most]:.2f})"
    return f"not the processors ({used:.2f} of {processors} used): waiting for locks, connections or threads in {most}"


def cost(load: Load) -> str:
    """Processor time of an act by part: what it takes whatever else the machine does, and the most that it allows."""
    done = sum(act.outcome == "ok" for step in load.steps for act in step.acts)
    used = {name: part.cpu_s[-1] - part.cpu_s[0] for name, part in load.watch.parts.items() if part.cpu_s}
    served = sum(seconds for name, seconds in used.items() if name != GENERATOR)
    if not done or not served:
        return "No act was done."
    shown = ", ".join(f"{name} {1000 * seconds / done:.0f}" for name, seconds in used.items())
    return (
        f"Processor time of an act, ms: {shown}. One processor for the server alone bears {done / served:.1f} acts, or "
        f"{done / served * MIX['ask'] / sum(MIX.values()):.1f} questions, a second."
    )


def ramp_table(steps: Sequence[Step]) -> str:
    names = list(steps[0].shares)
    lines = [
        f"| Factor | Acts a second | Questions a second | ask p50 / p95 / p99 ms | Kept up | {' | '.join(names)} |",
        "| --- " * (5 + len(names)) + "|",
    ]
    for step in steps:
        asked = [act.elapsed_s for act in step.acts if act.kind == "ask" and act.outcome == "ok"]
        questions = step.per_s * MIX["ask"] / sum(MIX.values())
        shares = " | ".join(f"{step.shares.get(name, 0.0):.2f}" for name in names)
        lines.append(
            f"| {step.factor:g} | {step.per_s:.1f} | {questions:.2f} | {_times(asked)} | "
            f"{'yes' if step.kept_up else f'no: {step.left} left, {step.shed} not sent'} | {shares} |"
        )
    return "\n".join(lines)


def report(load: Load, *, people: int, documents: int) -> str:
    """For people, in Markdown."""
    acts = [act for step in load.steps for act in step.acts]
    seconds = sum(step.seconds for step in load.steps)
    last = load.steps[-1]
    lines = [
        f"{date.today().isoformat()}, {os.cpu_count()} processors shared by server and generator; {people} keys in "
        f"use, {documents} documents.",
        "",
    ]
    if len(load.steps) > 1:
        lines += [ramp_table(load.steps), ""]
    if not last.kept_up:
        lines += [f"At factor {last.factor:g} it does not keep up. What there is too little of: {why(last)}.", ""]
    lines += [
        kinds_table(acts, seconds),
        "",
        load_watch.table(load.watch.parts.items(), load.watch.shares()),
        "",
        cost(load),
        "",
        f"Answers: {dict(load.seen.statuses)}. Quotations held against the store: {load.verified}. Wrong: "
        f"{len(load.seen.wrong)}. Leaks: {len(load.seen.leaks)}. Lost: {len(load.lost)}. Uploads taken in: "
        f"{len(load.seen.accepted)}. Not sent: {sum(step.shed for step in load.steps)}.",
    ]
    odd = Counter(f"{act.kind}: {act.outcome}" for act in acts if act.outcome not in ("ok", "refused"))
    return "\n".join([*lines, *(f"- {what}: {count}" for what, count in odd.most_common(10))])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="of each step (600)")
    parser.add_argument("--people", type=int, default=2000, help="in the company (2000); the rate follows from them")
    parser.add_argument("--questions", type=float, default=5, help="each person asks in a day (5)")
    parser.add_argument("--keys", type=int, default=200, help="people who are told apart, each with a key (200)")
    parser.add_argument("--documents", type=int, default=300, help="made up, besides the samples (300)")
    parser.add_argument("--ramp", default="1", help="factors of the rate, one after the other (1)")
    parser.add_argument("--serve", choices=("api", "up"), default="api", help="`quoth api` and `quoth worker`, or `up`")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="write the report to this file, too")
    arguments = parser.parse_args(argv)
    home = Path(tempfile.mkdtemp(prefix="quoth-load-"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    environ = {**kept, "QUOTH_HOME": str(home / "quoth")}
    questions_per_s = peak_per_s(arguments.people, questions_a_day=arguments.questions)
    per_s = questions_per_s * sum(MIX.values()) / MIX["ask"]
    steps = [(float(factor), arguments.seconds) for factor in arguments.ramp.split(",")]
    try:
        company = filled(
            environ, home / "documents", people=arguments.keys, documents=arguments.documents, samples=True,
            seed=arguments.seed,
        )  # fmt: skip
        print(f"{questions_per_s:.2f} questions and {per_s:.2f} acts a second at factor 1", file=sys.stderr, flush=True)
        with served(environ, home / "log", form=arguments.serve) as (address, parts):
            load = under_load(address, parts, company, per_s=per_s, steps=steps, seed=arguments.seed)
        text = report(load, people=arguments.keys, documents=len(company.documents) + 30 * company.samples)
        log = (home / "log").read_text("utf-8", "replace")
    finally:
        postgres.remove(home / "quoth")
        shutil.rmtree(home, ignore_errors=True)
    print(text)
    print(*load.wrong[:5], *load.lost[:5], log[-2000:], sep="\n", file=sys.stderr)
    if arguments.write is not None:
        arguments.write.write_text(text + "\n", encoding="utf-8")
    return 1 if load.wrong or load.lost else 0


if __name__ == "__main__":
    sys.exit(main())
