"""What the app says, and how it says what others wrote.

Text of documents, models and file names reaches a Streamlit element that reads Markdown only through `literal`; where
possible it goes into text nodes of a component instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from assistant.model import Answer, Citation, Passage, Status
from ingest.document_list import Names, Work
from ingest.errors import QuothError, Reason
from ingest.intake import Progress
from ingest.intake_rows import Item
from ingest.model import Document, Finding, Receipt

if TYPE_CHECKING:
    from ingest.history import StoredVersion
    from retrieval.narrowing import Offer

_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")
_SPACES: Final = re.compile(r"\s+")
_ADDRESS: Final = re.compile(r"(https?:|www|(?=@))(//|\.|@)", re.IGNORECASE)
_HASH: Final = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24,}\b")
_WORD: Final = re.compile(r"\w{4,}")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?]) ")
STEM: Final = 5  # letters by which words of an excerpt are compared with the question's

WORD_JOINER: Final = "\u2060"
WENT_WRONG: Final = "Something went wrong here. Nothing was changed. Try again; if it stays, the server's log has more."

REASONS: Final[Mapping[Reason, tuple[str, str]]] = {
    "unsupported_type": ("Not a kind of file Quoth reads", "Save it as PDF, Word, Excel, PowerPoint, HTML or text."),
    "empty": ("No text in it", "A scan needs text recognition first; otherwise check that it is the right file."),
    "encrypted": ("Protected with a password", "Save a copy without the password and add that."),
    "corrupt": ("Damaged", "Open it in the program it came from, save it again and add the new file."),
    "too_large": ("Too large", "Split it, or leave out what nobody needs to ask about."),
    "timeout": ("Took too long to read", "Split it into smaller files, or save it again in a simpler format."),
    "unsafe": (
        "Refused as unsafe",
        "It unpacks or refers to something it should not. Ask whoever made it for a clean copy.",
    ),
    "unreadable": ("Could not be opened", "Check that the file is still there, then add it again."),
    "ambiguous_name": ("Two files with one name", "Rename one of them, or add it to another collection."),
}

ROUTES: Final[Mapping[str, str]] = {
    "": "not asked for; words alone were searched for",
    "exact": "each passage compared",
    "hnsw": "through the index of neighbours, which may pass over a few",
}

STATUSES: Final[Mapping[Status, str]] = {
    "answered": "answered",
    "partial": "answered in part",
    "abstained": "the documents do not say",
    "clarifying": "asked back",
}
QUOTED: Final = "quoted"  # the model's name where none wrote

Tone = Literal["good", "neutral", "bad", "busy"]
TONES: Final[Mapping[Tone, tuple[str, str]]] = {  # colour and icon
    "good": ("green", ":material/check_circle:"),
    "neutral": ("blue", ":material/info:"),
    "bad": ("red", ":material/error:"),
    "busy": ("gray", ":material/hourglass_top:"),
}
FINDINGS: Final[Mapping[str, str]] = {
    "hidden_text": "Text that nobody sees",
    "invisible_characters": "Invisible characters",
    "instruction": "Words that address an assistant",
}


def literal(text: str) -> str:
    """Markdown that shows `text` as it is, on one line.

    Each ASCII punctuation mark gets a backslash. Addresses become links all the same, unless an invisible word joiner
    stands in them; so one does.
    """
    line = _SPACES.sub(" ", text).strip()
    return _PUNCTUATION.sub(r"\\\1", _ADDRESS.sub(lambda found: found[1] + WORD_JOINER + found[2], line))


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters on one line, cut at a word where possible, with an ellipsis when cut."""
    line = _SPACES.sub(" ", text).strip()
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    at_word = cut.rsplit(" ", 1)[0]
    return (at_word if len(at_word) > limit // 2 else cut).rstrip(" .,;:") + "…"


def excerpt(text: str, question: str, limit: int) -> str:
    """The part of a passage that shares most words with the question, at most `limit` characters on one line."""
    line = _SPACES.sub(" ", text).strip()
    if len(line) <= limit:
        return line
    wanted = {word[:STEM] for word in _WORD.findall(question.lower())}
    found = [(at.start(), at.group()[:STEM]) for at in _WORD.finditer(line.lower()) if at.group()[:STEM] in wanted]
    sentences = [0, *(at.end() for at in _SENTENCE_END.finditer(line))]

    def shared(start: int) -> int:
        return len({word for at, word in found if start <= at < start + limit})

    start = max(sentences, key=lambda start: (shared(start), start)) if found else 0
    return ("… " if start else "") + shortened(line[start:], limit)


def counted(number: int, one: str, many: str | None = None) -> str:
    """'1 page', '3 pages'."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size_words(size: int) -> str:
    """'812 bytes', '34 kB', '2.1 MB'."""
    if size < 1000:
        return counted(size, "byte")
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def date_words(when: datetime | date | str) -> str:
    """'21 November 2026'; an ISO date's text is read, anything else given back."""
    if isinstance(when, str):
        try:
            read = datetime.fromisoformat(when)
        except ValueError:
            return when
        return date_words(read)
    return f"{when.day} {when:%B %Y}"


def moment_words(when: datetime) -> str:
    """'21 November 2026, 14:05 UTC': servers and readers may live in different zones, so the zone is said."""
    at = when.astimezone(UTC)
    return f"{date_words(at)}, {at:%H:%M} UTC"


def place_words(page: int | None, end_page: int | None, place: Mapping[str, str | int]) -> str:
    """'page 3', 'pages 3 to 4', 'slide 2', 'sheet Rates, rows 4 to 9'; empty where a format has no places."""
    parts = []
    if "slide" in place:
        parts.append(f"slide {place['slide']}")
    elif page is not None:
        parts.append(f"pages {page} to {end_page}" if end_page and end_page != page else f"page {page}")
    if "sheet" in place:
        parts.append(f"sheet {place['sheet']}")
    first, last = place.get("first_row"), place.get("last_row")
    if first is not None:
        parts.append(f"rows {first} to {last}" if last not in (None, first) else f"row {first}")
    return ", ".join(parts)


def citation_place(citation: Citation) -> str:
    """Where a citation's quote stands, as `place_words` says it."""
    place = citation.locator.place if citation.locator else {}
    return place_words(citation.page, citation.end_page, place)


def newer_words(citation: Citation) -> str:
    """What is said of a quotation whose version has been replaced; empty where it has not."""
    if citation.newer is None:
        return ""
    if citation.newer.span:
        return f"Source {citation.marker} was replaced: the quotation still stands in version {citation.newer.version}."
    return (
        f"Source {citation.marker} was replaced: the quotation does not stand in version {citation.newer.version}. "
        "Ask again for what holds now."
    )


def passage_place(passage: Passage) -> str:
    """A passage's page, or the headings it stands under."""
    return place_words(passage.page, None, {}) or " › ".join(passage.heading)


def offer_words(offer: Offer, *, within: bool = False) -> str:
    """What a button that narrows a search says; `within` a sentence it begins small."""
    label = offer.label if within else offer.label[0].upper() + offer.label[1:]
    return literal(label)


def document_name(title: str, source: str) -> str:
    """What a document is called: its title, else the last part of its source."""
    return shortened(title, 160) or source.rsplit("/", 1)[-1] or "Untitled"


def verified_words(answer: Answer) -> str:
    """'3 of 3 statements carry a quotation checked word for word'; empty without statements."""
    total = len(answer.claims)
    if not total:
        return ""
    good = sum(claim.verdict == "supported" and bool(claim.citations) for claim in answer.claims)
    if total == 1:
        return (
            "The statement carries a quotation checked word for word"
            if good
            else "The statement carries no checked quotation"
        )
    return f"{good} of {total} statements carry a quotation checked word for word"


def details_words(details: Mapping[str, Any]) -> str:
    """'version 3, over 2; readers hr, it': what is kept of an event, as words and not as JSON."""

    def value(one: Any) -> str:
        if isinstance(one, Mapping):
            return ", ".join(f"{name.replace('_', ' ')} {value(inner)}" for name, inner in one.items())
        if isinstance(one, list | tuple):
            return ", ".join(map(value, one)) or "none"
        if isinstance(one, bool):
            return "yes" if one else "no"
        if isinstance(one, float):
            return f"{one:,.4g}"
        return "none" if one in (None, "") else _HASH.sub(r"\1…", str(one))

    return "; ".join(f"{name.replace('_', ' ')} {value(one)}" for name, one in details.items())


def answerer_words(model: str) -> str:
    """'Written by gpt-6-luna', or that sentences were quoted without a model."""
    return "Sentences quoted from the documents" if model == QUOTED else f"Written by {model}"


def method_words(answer: Answer) -> str:
    """Who wrote the answer, how long it took, what it cost."""
    parts = []
    if answer.claims:
        parts.append(answerer_words(answer.model))
    total_ms = answer.timings_ms.get("total")
    if total_ms is not None:
        parts.append(f"{total_ms / 1000:.1f} s")
    if answer.usage.cost_usd:
        parts.append(f"{answer.usage.cost_usd:.4f} USD")
    return " · ".join(parts)


def copied_answer(answer: Answer) -> str:
    """The answer as plain text with its sources, ready to paste elsewhere."""
    lines = [answer.text or "The documents do not say."]
    if answer.status == "partial" and answer.missing:
        lines += ["", f"Not answered: {answer.missing}"]
    if answer.citations:
        lines += ["", "Sources"]
    for citation in answer.citations:
        if not citation.source:
            lines.append(f"[{citation.marker}] no longer available")
            continue
        where = ", ".join(filter(None, (citation_place(citation), f"version {citation.version}")))
        name = document_name(citation.title, citation.source)
        lines.append(f"[{citation.marker}] {name} ({citation.source}), {where}: “{citation.quote}”")
    return "\n".join(lines)


def library_words(documents: Sequence[Document]) -> str:
    """'30 documents in 2 collections, last updated 21 November 2026'."""
    collections = {document.collection for document in documents}
    latest = max(document.updated_at for document in documents)
    inside = f" in {counted(len(collections), 'collection')}" if len(collections) > 1 else ""
    return f"{counted(len(documents), 'document')}{inside}, last updated {date_words(latest)}"


def receipt_words(receipt: Receipt) -> tuple[Tone, str]:
    """What became of a file, and for a failure what to do about it."""
    size = counted(receipt.chunks, "passage")
    if receipt.pages:
        size = f"{counted(receipt.pages, 'page')}, {size}"
    if receipt.status == "added":
        return "good", f"Added: {size}. It can be asked about now."
    if receipt.status == "updated":
        return "good", (
            f"Updated to version {receipt.version}: {size}, {receipt.chunks_embedded} of them new. "
            "Answers use the new version now."
        )
    if receipt.status == "unchanged":
        return "neutral", f"Identical to the stored version {receipt.version}. Nothing to do."
    if receipt.status == "removed":
        return "neutral", "Removed."
    headline, advice = REASONS[receipt.reason] if receipt.reason else ("Could not be added", "Try again.")
    text = f"{headline}. {receipt.detail or advice}"
    if receipt.version is not None:
        text += f" Version {receipt.version} goes on answering."
    return "bad", text


def stage_words(stage: str, done: int, total: int) -> str:
    """What is being done with a file: 'reading', 'preparing 12 of 40 passages'."""
    if stage == "embedding" and total:
        return f"preparing {done} of {counted(total, 'passage')}"
    if stage == "reading pages" and total > 1:
        return f"reading page {min(done + 1, total)} of {total}"
    return {"parsing": "reading", "chunking": "dividing", "embedding": "preparing", "starting": "beginning"}.get(
        stage, stage
    )


def error_words(error: Exception) -> str:
    """What may be shown of an error: our own messages as they are, nothing of others."""
    return str(error) if isinstance(error, QuothError) else WENT_WRONG


def removal_words(document: Document) -> str:
    """What removing a document erases."""
    versions = "its only version" if document.version == 1 else f"all {document.version} versions"
    return (
        f"This erases {versions}, {counted(document.chunks, 'passage')} with their search entries, and the stored "
        "original. What was attached to it goes too. Answers that quoted it lose the words and keep the place. "
        "It cannot be undone."
    )


def left_words(seconds: float | None) -> str:
    """'about 40 seconds left', 'about 3 minutes left'; empty where it is not known."""
    return "" if seconds is None else f"about {duration_words(seconds)} left"


def duration_words(seconds: float) -> str:
    """'5 seconds', '3 minutes', '2 hours'; never less than a second."""
    if seconds < 90:
        return counted(max(round(seconds), 1), "second")
    return counted(round(seconds / 60), "minute") if seconds < 5400 else counted(round(seconds / 3600), "hour")


def queue_words(progress: Progress) -> str:
    """'2 being read, 14 wait, about 3 minutes left'; empty when nothing is under way."""
    parts = []
    if progress.running:
        parts.append(f"{progress.running:,} being read")
    if progress.waiting:
        parts.append(f"{progress.waiting:,} {'waits' if progress.waiting == 1 else 'wait'}")
    if parts and progress.eta_s:
        parts.append(left_words(progress.eta_s))
    return ", ".join(parts)


def intake_words(item: Item, now: datetime) -> tuple[Tone, str]:
    """How far a file is, or what became of it, and for a failure what to do."""
    if item.state == "waiting":
        return "busy", "Waits" if item.stage == "waiting" else f"Waits: {item.stage}"
    if item.state == "running":
        words = stage_words(item.stage, item.done, item.total)
        left = left_words(item_left_s(item, now))
        return "busy", f"{words[0].upper()}{words[1:]}{f', {left}' if left else ''}"
    if item.state == "cancelled":
        return "neutral", "Cancelled. What was stored before goes on answering."
    receipt = item.receipt
    if receipt is None:
        return ("bad", "Could not be read. Try again.") if item.state == "failed" else ("good", "Done.")
    if receipt.status == "updated" and item.kind == "reindex":
        return "good", f"Read and indexed again: {counted(receipt.chunks, 'passage')}."
    if receipt.status == "updated":
        changed = f"{receipt.chunks_embedded:,} of {counted(receipt.chunks, 'passage')} changed"
        if not receipt.chunks_embedded:
            changed = f"none of {counted(receipt.chunks, 'passage')} changed"
        return "good", f"New version {receipt.version}: {changed}. Answers use it now; the former one can be restored."
    return receipt_words(receipt)


def item_left_s(item: Item, now: datetime) -> float | None:
    """The time left for a file under way, judged by what is done of its stage; None where nothing is."""
    if item.state != "running" or item.started_at is None or item.total < 2 or not 0 < item.done < item.total:
        return None
    elapsed_s = max((now - item.started_at).total_seconds(), 0.0)
    return elapsed_s * (item.total - item.done) / item.done


def already_here_words(known: Document) -> str:
    """That a file is stored already under another name."""
    return (
        f"Already here, byte for byte, as {document_name(known.title, known.source)} "
        f"({known.collection}/{known.source}). Not added."
    )


def finding_words(finding: Finding) -> str:
    """Where a finding stands: 'page 3'; empty where it has no page."""
    return f"page {finding.page}" if finding.page is not None else ""


def work_words(work: Work, cost_usd: float | None, embedder: str) -> str:
    """What reindexing will take, said before it begins.

    Args:
        cost_usd: 0 where the embedder runs here; None where its price is not known.
        embedder: the embedding space's name.
    """
    if cost_usd is None:
        money = f"The price of {embedder} is not known here; its service charges for these tokens."
    elif cost_usd:
        money = f"About {max(cost_usd, 0.01):,.2f} USD for {embedder}."
    else:
        money = "It costs no money: the embedding model runs here."
    time = "How long it takes is not known before something was read."
    if work.seconds is not None:
        time = f"About {duration_words(work.seconds)} of work, shared by the workers."
    return (
        f"{counted(work.documents, 'document')}, {counted(work.chunks, 'passage')}, "
        f"{counted(work.tokens, 'token')}. {time} {money} What is stored answers until then."
    )


def document_badges(document: Document, today: date) -> list[tuple[Tone, str]]:
    """What the owner of a document should know at one look."""
    found: list[tuple[Tone, str]] = []
    if document.superseded_by is not None:
        found.append(("neutral", "Superseded"))
    if document.expires_on is not None and document.expires_on <= today:
        found.append(("bad", f"Expired on {date_words(document.expires_on)}; no answer uses it"))
    if document.effective_from is not None and document.effective_from > today:
        found.append(("neutral", f"Takes effect on {date_words(document.effective_from)}; no answer uses it before"))
    if document.review_by is not None and document.review_by < today:
        found.append(("bad", f"Its review was due on {date_words(document.review_by)}"))
    if document.findings:
        found.append(("bad", counted(document.findings, "finding")))
    if document.warnings:
        found.append(("neutral", counted(document.warnings, "remark")))
    return found


def names_words(names: Names) -> str:
    """'30 documents in 2 collections, last updated 21 November 2026'."""
    inside = f" in {counted(len(names.collections), 'collection')}" if len(names.collections) > 1 else ""
    latest = f", last updated {date_words(names.updated_at)}" if names.updated_at else ""
    return f"{counted(names.documents, 'document')}{inside}{latest}"


def version_words(version: StoredVersion) -> str:
    """'stored on 5 March 2026, 34 kB, 12 passages' and when another took its place."""
    parts = [f"stored on {moment_words(version.stored_at)}", size_words(version.bytes)]
    if version.current:
        parts.append(counted(version.chunks, "passage"))
    parts.append(counted(version.characters, "character"))
    if version.findings:
        parts.append(counted(version.findings, "finding"))
    if version.replaced_at is not None:
        parts.append(f"replaced on {date_words(version.replaced_at)}")
    return ", ".join(parts)


def change_words(kinds: Sequence[str]) -> str:
    """'3 paragraphs changed, 1 added'; of the kinds of a comparison's changes."""
    parts = [f"{number:,} {kind}" for kind in ("changed", "added", "removed") if (number := kinds.count(kind))]
    if not parts:
        return "Nothing changed"
    first, _, rest = parts[0].partition(" ")
    return ", ".join([f"{first} {'paragraph' if first == '1' else 'paragraphs'} {rest}", *parts[1:]])
