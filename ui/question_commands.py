"""Commands of employees: search, ask, batch."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from assistant.bootstrap import Quoth
from assistant.handoff import Letter
from assistant.model import Answer, Claim, ClaimShown, ConversationId
from assistant.moderation import DECLINED, DECLINED_UNSEEN
from assistant.wire import answer_json, search_json
from ingest.access import Reader
from ingest.errors import UsageError
from retrieval.model import STAGES, SearchResult
from retrieval.narrowing import Offer
from ui import wording
from ui.command_line import (
    asking_options,
    command,
    json_option,
    narrowing_of,
    narrowing_options,
    offered_flags,
    open_store,
    print_json,
    reader_of,
)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    search = command(
        commands,
        "search",
        help="find the passages that match a question",
        example="""
            quoth search "notice period after probation"
            quoth search "INC-2041" --stage lexical -k 3 --json
            quoth search '"parental leave" -adoption' --type pdf --since 2026-01-01 --explain""",
    )
    search.add_argument("question", metavar="QUESTION")
    search.add_argument("-k", type=int, default=10, help="how many (10)")
    search.add_argument("--stage", choices=STAGES, default="reranked", help="whose ranking (reranked)")
    search.add_argument("--explain", action="store_true", help="show terms, filters, ranks, the way taken and times")
    narrowing_options(search)
    asking_options(search)
    json_option(search)
    search.set_defaults(run=run_search)

    ask = command(
        commands,
        "ask",
        help="ask a question and get an answer with verified quotations",
        example='quoth ask "How long is parental leave?"\nquoth ask "And for adoptions?" --conversation ID --as ada',
    )
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument("--conversation", metavar="ID", help="go on with this conversation")
    narrowing_options(ask)
    asking_options(ask)
    json_option(ask)
    ask.set_defaults(run=run_ask)

    batch = command(
        commands,
        "batch",
        help="ask or search for every line of a file; resumable",
        example="quoth batch questions.jsonl --out answers.jsonl --workers 4",
        more="""
            Each line of QUESTIONS.jsonl is {"id": "...", "question": "..."}; each output line is what
            `quoth ask --json` prints, with its id. Run it again after an interruption: ids there are skipped.""",
    )
    batch.add_argument("questions", metavar="QUESTIONS.jsonl", type=Path)
    batch.add_argument("--out", metavar="ANSWERS.jsonl", type=Path, required=True)
    batch.add_argument("--search", action="store_true", help="search instead of asking")
    batch.add_argument("-k", type=int, default=10, help="hits of each search (10)")
    batch.add_argument("--workers", type=int, default=2, help="questions at a time (2)")
    asking_options(batch)
    batch.set_defaults(run=run_batch)


def run_search(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        reader = reader_of(quoth, arguments)
        result = quoth.search(
            arguments.question,
            reader,
            k=arguments.k,
            stage=arguments.stage,
            collection=arguments.collection,
            narrowing=narrowing_of(arguments),
        )
        offered = [] if result.filters else quoth.offers(arguments.question, reader)
    if arguments.json:
        print_json(search_json(result, explain=arguments.explain))
    else:
        print_search(result, offered, explain=arguments.explain)
    return 0


def print_search(result: SearchResult, offered: Sequence[Offer], *, explain: bool) -> None:
    for hit in result.hits:
        place = f", page {hit.page}" if hit.page else ""
        print(f"{hit.rank:2}. {hit.title}  ({hit.collection}/{hit.source}{place})  {hit.score:.3f}")
        if hit.heading:
            print("    " + " > ".join(hit.heading))
        print(textwrap.indent(textwrap.shorten(hit.text, 300, placeholder=" …"), "    "))
        if explain:
            ranks = ", ".join(f"{stage} {hit.ranks.get(stage, '-')}" for stage in STAGES)
            scores = ", ".join(f"{stage} {score:.3f}" for stage, score in hit.scores.items())
            print(f"    ranks: {ranks}; scores: {scores}")
    if explain:
        print("terms: " + (", ".join(f"{term} {weight:.2f}" for term, weight in result.idf.items()) or "none known"))
        print("from:  " + ", ".join((f"{result.readable_chunks} passages you may read", *result.filters)))
        print("neighbours in meaning: " + wording.ROUTES[result.route])
        print("took:  " + ", ".join(f"{name} {value} ms" for name, value in result.timings_ms.items()))
    for note in result.notes:
        print(note, file=sys.stderr)
    if not result.hits:
        print("Nothing that you may read matches.", file=sys.stderr)
    for offer in offered:
        print(f"“{offer.words}”: add {offered_flags(offer)} to search {offer.label}.", file=sys.stderr)


def run_ask(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        reader = reader_of(quoth, arguments)
        events = quoth.ask(
            arguments.question,
            reader,
            collection=arguments.collection,
            conversation=conversation_of(arguments.conversation),
            narrowing=narrowing_of(arguments),
        )
        for event in events:
            if isinstance(event, ClaimShown) and not arguments.json:
                print(claim_line(event.claim), flush=True)
            elif isinstance(event, Answer):
                if arguments.json:
                    print_json(answer_json(event))
                else:
                    print_answer_end(event)
                    print_owner(quoth.handoff.letter_of(reader, event) if event.status == "abstained" else None)
    return 0


def conversation_of(text: str | None) -> ConversationId | None:
    if text is None:
        return None
    try:
        return ConversationId(uuid.UUID(text))
    except ValueError as error:
        raise UsageError(f"{text!r} is not a conversation's id. `quoth ask --json` prints it.") from error


def claim_line(claim: Claim) -> str:
    return f"{claim.text} {''.join(f'[{marker}]' for marker in claim.citations)}"


def print_answer_end(answer: Answer) -> None:
    """What follows the claims: the sources, what is missing, or the nearest passages."""
    if answer.status == "clarifying":
        print(answer.text)
        for number, choice in enumerate(answer.choices, 1):
            print(f"{number:2}. {choice}")
        print(f"Choose one with: quoth ask 1 --conversation {answer.conversation}", file=sys.stderr)
    if answer.missing in (DECLINED, DECLINED_UNSEEN):
        print(answer.missing)
    elif answer.status == "abstained":
        print("The documents you may read do not say.")
        if answer.missing:
            print(answer.missing)
        if answer.passages:
            print("\nNearest passages:")
        for passage in answer.passages:
            page = f", page {passage.page}" if passage.page else ""
            print(f"- {passage.title} ({passage.source}{page})")
            print(textwrap.indent(textwrap.shorten(passage.text, 240, placeholder=" …"), "  "))
    if answer.citations:
        print()
    for citation in answer.citations:
        page = f", page {citation.page}" if citation.page else ""
        print(f"[{citation.marker}] {citation.title} ({citation.source}{page}, version {citation.version})")
        print(textwrap.indent(textwrap.fill(f"“{citation.quote}”", 100), "    "))
    if answer.missing and answer.status != "abstained" and answer.missing not in (DECLINED, DECLINED_UNSEEN):
        print(f"\nNot covered: {answer.missing}")
    if answer.degraded:
        print(f"\n{answer.degraded}", file=sys.stderr)
    print(f"conversation {answer.conversation}", file=sys.stderr)


def print_owner(letter: Letter | None) -> None:
    """Who owns the nearest document, and how to ask them."""
    if letter is not None:
        print(f"\n{letter.owner or 'Nobody'} owns the nearest document, {letter.title}.")
        if letter.ways:
            print(f"`quoth handoff {letter.answer}` shows what would be sent to them, and sends it once you say so.")


def run_batch(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.workers <= 32:
        raise UsageError(f"--workers {arguments.workers} is out of range. Use 1 to 32.")
    questions = read_questions(arguments.questions)
    finished = finished_ids(arguments.out)
    waiting = [one for one in questions if one["id"] not in finished]
    failed = 0
    with open_store() as quoth:
        reader = reader_of(quoth, arguments)
        with arguments.out.open("a", encoding="utf-8", newline="\n") as out:
            for number, line in enumerate(answered(quoth, reader, waiting, arguments), 1):
                failed += "error" in line
                write_line(out, line)
                if number % 10 == 0 or number == len(waiting):
                    print(f"\r{number}/{len(waiting)} questions", end="", file=sys.stderr, flush=True)
    print(f"\n{len(waiting)} done, {len(finished)} were there already, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


def answered(
    quoth: Quoth, reader: Reader, waiting: list[dict[str, str]], arguments: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """One output line per question, in order, a bounded number of them under way."""

    def one(question: dict[str, str]) -> dict[str, Any]:
        try:
            if arguments.search:
                found = quoth.search(question["question"], reader, k=arguments.k, collection=arguments.collection)
                return {"id": question["id"], **search_json(found)}
            *_, answer = quoth.ask(question["question"], reader, collection=arguments.collection)
            assert isinstance(answer, Answer)
            return {"id": question["id"], **answer_json(answer)}
        except UsageError as error:
            return {"id": question["id"], "question": question["question"], "error": str(error)}

    with ThreadPoolExecutor(arguments.workers) as pool:
        under_way: deque[Future[dict[str, Any]]] = deque()
        for question in waiting:
            under_way.append(pool.submit(one, question))
            if len(under_way) >= 2 * arguments.workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def read_questions(path: Path) -> list[dict[str, str]]:
    """The questions of a JSONL file, each id once.

    Raises:
        UsageError: naming the line that is not what it should be.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{str(path)!r} cannot be read as UTF-8 text: {error}") from error
    questions, seen = [], set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            found = {"id": str(item["id"]), "question": str(item["question"])}
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f'{str(path)!r} line {number} is not {{"id": ..., "question": ...}}. Mend that line.'
            ) from error
        if found["id"] in seen:
            raise UsageError(f"{str(path)!r} line {number}: the id {found['id']!r} is there twice. Give each its own.")
        seen.add(found["id"])
        questions.append(found)
    return questions


def finished_ids(path: Path) -> set[str]:
    """Ids already answered; a last line that an interruption cut short is taken off the file."""
    if not path.exists():
        return set()
    whole = 0
    ids = set()
    size = path.stat().st_size
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                item = json.loads(line)
                ids.add(str(item["id"]))
            except (ValueError, KeyError, TypeError) as error:
                if whole + len(line) == size:
                    break
                raise UsageError(
                    f"{str(path)!r} line {number} is no answer of an earlier run. Use a new file."
                ) from error
            if not line.endswith(b"\n"):
                ids.discard(str(item["id"]))
                break
            whole += len(line)
    if whole < size:
        with path.open("rb+") as file:
            file.truncate(whole)
    return ids


def write_line(out: TextIO, line: dict[str, Any]) -> None:
    out.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
    out.flush()
