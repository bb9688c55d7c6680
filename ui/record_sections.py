"""A record of an answer in words, section by section: what the page and the command both show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from assistant.answer_record import Record
from retrieval.model import STAGES
from ui import wording

OUT_OF_REACH: Final = "(you may not read this now, or it was removed)"
PURPOSES: Final[Mapping[str, str]] = {
    "answer": "draft the answer",
    "repair": "put a draft right",
    "reword": "complete the question",
    "standalone": "complete the question",
    "route": "propose a hand-off",
    "rerank": "order the passages",
    "judge": "judge a statement",
    "embed": "question to vector",
    "moderate": "moderation",
    "propose": "propose a case",
    "summarise": "shorten the conversation",
}
TOOL_NAMES: Final[Mapping[str, str]] = {
    "search_documents": "searching",
    "list_documents": "listing documents",
    "open_document": "opening a document",
}
STAGE_NAMES: Final[Mapping[str, str]] = {
    "lexical": "words", "dense": "meaning", "fused": "both", "reranked": "final",
}  # fmt: skip
TIMES: Final[Mapping[str, str]] = {
    "standalone": "completing the question",
    "search_embed": "question to vector",
    "search_mask": "what you may read",
    "search_lexical": "words",
    "search_dense": "meaning",
    "search_fuse": "both together",
    "search_rerank": "order",
    "search_total": "search in all",
    "retrieve": "until the passages were chosen",
    "first_token": "model's first word",
    "first_verified_claim": "first checked statement",
    "total": "in all",
}
SHOWN_CHARS: Final = 240
SETTINGS: Final = "Settings at that time"


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a record; every value is plain text."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    empty: str = ""  # said where there are no rows


def sections_of(record: Record) -> list[Section]:
    """The record in the order things happened."""
    return [
        _question(record),
        _found(record),
        _given(record),
        *([_looked_up(record)] if record.looked_up else []),
        _calls(record),
        _statements(record),
        _left_out(record),
        _times(record),
        _settings(record),
        _feedback(record),
    ]


def _question(record: Record) -> Section:
    answer, made = record.answer, record.made
    facts = [
        ("Question", answer.question),
        ("Asked", wording.moment_words(record.asked_at)),
        ("Searched for", record.searched or "nothing"),
        ("Result", wording.STATUSES[answer.status]),
        *([("Answer", wording.answerer_words(answer.model))] if answer.claims else []),
        *([("Rules given to the model", answer.prompt_version)] if answer.model != wording.QUOTED else []),
    ]
    if record.operator:
        facts.append(("Asked by an operator", record.operator))
    if answer.missing:
        facts.append(("Not covered", answer.missing))
    if answer.degraded:
        facts.append(("A lesser way", answer.degraded))
    moderation = made.get("moderation")
    if moderation:
        facts.append(("Moderation of the question", str(moderation.get("question", ""))))
    if made.get("repeated"):
        facts.append(("From memory", "the same question, over the same passages and rights, had just been drafted"))
    return Section("The question", tuple(facts))


def _found(record: Record) -> Section:
    made = record.made.get("search", {})
    facts = []
    if made:
        route = {"exact": "compared one by one", "hnsw": "by the index", "": "not searched"}[made.get("route", "")]
        facts = [
            ("Passages you could search", f"{made.get('readable_chunks', 0):,}"),
            ("Nearest in meaning", route),
            ("Language", str(made.get("language", ""))),
        ]
    stages = [stage for stage in STAGES if any(stage in hit.ranks for hit in record.hits)]
    rows = tuple(
        (
            str(number),
            wording.document_name(hit.title, hit.source) if hit.source else OUT_OF_REACH,
            *(_rank(hit.ranks.get(stage), hit.scores.get(stage)) for stage in stages),
            wording.shortened(hit.excerpt, SHOWN_CHARS),
        )
        for number, hit in enumerate(record.hits, 1)
    )
    heads = ("", "document", *(STAGE_NAMES[stage] for stage in stages), "beginning")
    return Section("What was found", tuple(facts), heads, rows, "Nothing was found.")


def _rank(rank: int | None, score: float | None) -> str:
    if rank is None and score is None:
        return ""
    return f"{'–' if rank is None else f'#{rank}'} ({0.0 if score is None else score:.2f})"


def _given(record: Record) -> Section:
    made = record.made.get("context", {})
    facts = []
    if made:
        facts = [
            ("Tokens of passages", f"{made.get('tokens', 0):,}"),
            ("Passages that disagree", str(made.get("conflicts", 0))),
            ("Earlier turns of the conversation", _earlier(made)),
        ]
    if record.left_out is None:
        facts.append(("Left out", "not shown: it may name documents that you cannot read now"))
    rows = tuple(
        (
            f"P{number}",
            wording.document_name(one.title, one.source) if one.source else OUT_OF_REACH,
            f"version {one.version}, characters {one.start:,} to {one.end:,}",
            wording.shortened(one.text, SHOWN_CHARS),
        )
        for number, one in enumerate(record.passages, 1)
    )
    rows += tuple(("left out", one, "", "") for one in record.left_out or ())
    return Section(
        "What the answer was drawn from",
        tuple(facts),
        ("", "document", "place", "words"),
        rows,
        "No passage was given.",
    )


def _earlier(made: Mapping[str, Any]) -> str:
    told = made.get("earlier") or {}
    if not made.get("earlier_turns"):
        return "none"
    shortened = told.get("shortened")
    return f"told, {shortened} of {told['turns']} shortened by {told['by']}" if shortened else "told"


def _looked_up(record: Record) -> Section:
    """What the model looked up itself; what it asked for is kept as a hash, and so is not shown."""
    rows: list[tuple[str, ...]] = []
    for number, use in enumerate(record.looked_up, 1):
        tool = TOOL_NAMES.get(use.tool, use.tool)
        if not use.found:
            rows.append((str(number), tool, "failed" if use.failed else "nothing found", "", ""))
        rows += [
            (
                str(number), tool, wording.document_name(one.title, one.source) if one.source else OUT_OF_REACH,
                f"version {one.version}, characters {one.start:,} to {one.end:,}",
                wording.shortened(one.text, SHOWN_CHARS),
            )
            for one in use.found
        ]  # fmt: skip
    heads = ("", "looked up by", "document", "place", "words")
    return Section("What the model looked up itself", (("Lookups", str(len(record.looked_up))),), heads, tuple(rows))


def _calls(record: Record) -> Section:
    chain = " → ".join(f"{one['answerer']} ({one['outcome']})" for one in record.made.get("chain", ()))
    usage = record.answer.usage
    routed = record.made.get("routed")
    facts = [
        ("Who was asked to answer", chain),
        ("Asked first", f"{routed['first']}: {routed['why']}" if routed else ""),
        (
            "Tokens",
            f"{usage.input_tokens:,} in, {usage.cached_input_tokens:,} of them cached, {usage.output_tokens:,} out",
        ),
        ("Cost", f"{usage.cost_usd:.6f} USD"),
    ][: None if record.calls else 2]
    rows = tuple(
        (
            PURPOSES.get(call.purpose, call.purpose), call.model, call.status, f"{call.input_tokens:,}",
            f"{call.cached_input_tokens:,}", f"{call.output_tokens:,}", f"{call.cost_usd:.6f}",
            "" if call.ms is None else f"{call.ms:,.0f}",
        )
        for call in record.calls
    )  # fmt: skip
    heads = ("for", "model", "outcome", "tokens in", "cached", "tokens out", "USD", "ms")
    return Section(
        "Calls of models", tuple(one for one in facts if one[1]), heads, rows, "No model was called: this was quoted."
    )


def _statements(record: Record) -> Section:
    made = record.made
    facts = []
    if made:
        facts = [("Checked by", str(made.get("checker", ""))), ("Drafted", str(made.get("drafted", 0)))]
    repair = made.get("repair")
    if repair:
        facts.append(("Put right", f"{repair['shown']} of {repair['claims']} that were left out at first"))
    rows = tuple(
        (claim.text, claim.verdict, f"{claim.score:.2f}", claim.reason, " ".join(f"[{one}]" for one in claim.citations))
        for claim in record.answer.claims
    )
    facts += [("Since then", words) for one in record.answer.citations if (words := wording.newer_words(one))]
    heads = ("statement", "verdict", "score", "reason", "sources")
    return Section("Statements that were shown", tuple(facts), heads, rows, "No statement was shown.")


def _left_out(record: Record) -> Section:
    rows = tuple((one.text, one.reason) for one in record.answer.rejected)
    return Section("Statements that were left out", (), ("statement", "reason"), rows, "None was left out.")


def _times(record: Record) -> Section:
    took = record.answer.timings_ms
    named = [*TIMES, *(name for name in took if name not in TIMES)]
    facts = [(TIMES.get(name, name), f"{ms:,.0f} ms") for name in named if (ms := took.get(name)) is not None]
    return Section("Times", tuple(facts))


def _settings(record: Record) -> Section:
    def flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for name, value in sorted(values.items()):
            if isinstance(value, Mapping):
                found += flat(value, f"{before}{name} ")
            else:
                found.append((f"{before}{name}".replace("_", " "), "unset" if value in (None, "") else str(value)))
        return found

    settings = record.made.get("settings", {})
    return Section(SETTINGS, tuple(flat(settings)), empty="" if settings else "They were not kept then.")


def _feedback(record: Record) -> Section:
    given = record.feedback
    if given is None:
        return Section("Your feedback", empty="You gave none.")
    facts = [("It helped", "yes" if given.helpful else "no")]
    if given.reason:
        facts.append(("What is wrong", given.reason))
    if given.correction:
        facts.append(("What would have been right", given.correction))
    return Section("Your feedback", tuple(facts))
