"""What stands between a draft and a reader: every quote is found, every claim is checked, every span is read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from assistant.asking_back import FEWEST, checked
from assistant.citing import Unresolved, resolve
from assistant.model import (
    Checker,
    Citation,
    Claim,
    ClaimShown,
    Context,
    DraftClaim,
    DraftEnd,
    Passage,
    Rejection,
    Resolved,
)
from assistant.moderation import Moderation
from ingest.access import Reader
from ingest.catalog import Catalog
from retrieval.surroundings import Place, Surroundings

FLAGGED: Final = "(a statement that moderation held back)"


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges what is said in one answer, each bound to it."""

    reader: Reader  # whose access decides
    checker: Checker
    moderation: Moderation | None
    notes: list[str]  # gets what worked less well than set up

    def note(self, failed: str | None) -> None:
        if failed is not None and failed not in self.notes:
            self.notes.append(failed)

    def held_back(self, text: str) -> str | None:
        """Why moderation holds a text back, in words; None for one that may be shown."""
        if self.moderation is None:
            return None
        judged = self.moderation.look(text)
        self.note(judged.failed)
        if not judged.blocks(self.moderation.when_down):
            return None
        return ", ".join(judged.flagged) or "nobody could look at it"


class Verifier:
    """Checks drafts against the stored versions of one store. Holds no state between questions."""

    def __init__(self, catalog: Catalog, surroundings: Surroundings) -> None:
        self._catalog = catalog
        self._surroundings = surroundings

    def verified(
        self, item: DraftClaim, context: Context, known: Sequence[Citation], judges: Judges
    ) -> ClaimShown | Rejection:
        """Resolve a claim's quotes and check its support; only what passes both is shown.

        Args:
            known: the citations that were shown, whose spans keep their marker.
        """
        passages = {passage.id: passage for passage in context.passages}
        resolved: list[Resolved] = []
        for evidence in item.evidence:
            result = resolve(evidence, passages)
            if isinstance(result, Unresolved):
                return Rejection(item.text, result.reason)
            resolved.append(result)
        if not resolved:
            return Rejection(item.text, "no quotation was given for it")
        verdict = judges.checker.check(
            item.text, [one.quote for one in resolved], around=[_around(one.passage) for one in resolved]
        )
        judges.note(verdict.failed)
        if not verdict.supported:
            return Rejection(item.text, verdict.reason)
        if (why := judges.held_back(item.text)) is not None:
            return Rejection(FLAGGED, why)
        markers: list[int] = []
        new: list[Citation] = []
        for one in resolved:
            citation = self._cited(one, judges.reader, [*known, *new])
            if citation is None:
                return Rejection(item.text, "the quotation is not in the stored version")
            if citation.marker > len(known) + len(new):
                new.append(citation)
            markers.append(citation.marker)
        claim = Claim(item.text, "supported", round(verdict.score, 4), tuple(dict.fromkeys(markers)), verdict.reason)
        return ClaimShown(claim, tuple(new))

    def choices(self, end: DraftEnd, context: Context, judges: Judges) -> tuple[str, ...]:
        """What may be meant, in words of passages that the reader may read at this moment and moderation lets pass."""

        def readable(passage: Passage) -> bool:
            place = Place(passage.document, passage.version, passage.start, passage.end)
            return self._surroundings.texts(judges.reader, [place]) == [passage.text]

        meant = checked(end.choices, context.passages, readable) if end.choices else ()
        shown = tuple(one for one in meant if judges.held_back(one) is None)
        return shown if len(shown) >= FEWEST else ()

    def _cited(self, one: Resolved, reader: Reader, known: Sequence[Citation]) -> Citation | None:
        """The citation of a resolved quote, checked against the stored version; known spans keep their marker."""
        for citation in known:
            if (citation.document, citation.version, citation.start, citation.end) == (
                one.passage.document, one.passage.version, one.start, one.end,
            ):  # fmt: skip
                return citation
        stored, locator = self._catalog.stored_span(
            reader, one.passage.document, one.passage.version, one.start, one.end
        )
        if stored != one.quote:
            return None
        return Citation(
            marker=len(known) + 1,
            source=one.passage.source,
            collection=one.passage.collection,
            title=one.passage.title,
            document=one.passage.document,
            version=one.passage.version,
            page=locator.page,
            end_page=locator.end_page,
            locator=locator,
            start=one.start,
            end=one.end,
            quote=one.quote,
        )


def _around(passage: Passage) -> str:
    """What a quote stands in: what its headings name, it is about."""
    return "\n".join((passage.title, *passage.heading, passage.text))
