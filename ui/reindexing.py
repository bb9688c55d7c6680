"""Reading and indexing many documents again: what it would take is said before it begins."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import streamlit as st

from ingest.access import Reader
from ingest.batch_embedding import SHARE
from ingest.document_list import Wanted, list_documents, work_of
from ingest.errors import QuothError
from ingest.intake_rows import REBUILD
from ui import wording
from ui.document_panel import acting

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

MOST: Final = 1_000_000  # documents: all of them


@st.dialog("Read and index documents again?", icon=":material/refresh:", width="medium")
def confirm_reindexing(quoth: Quoth, reader: Reader, wanted: Wanted) -> None:
    """Say what it would take; queue it behind everything else when it is wanted."""
    try:
        work = work_of(quoth.database, reader, wanted)
    except QuothError as error:
        st.error(wording.literal(wording.error_words(error)))
        return
    space = quoth.embedder.space
    least = quoth.settings.batch_from
    cost_usd = embedding_cost_usd(space, work.tokens, batched=least is not None and work.chunks >= least)
    st.markdown(wording.literal(wording.work_words(work, cost_usd, space)))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Not now", key="keep-index"):
            st.rerun()
        words = f"Reindex {wording.counted(work.documents, 'document')}"
        if st.button(words, key="confirm-reindex", type="primary", disabled=not work.documents):

            def begin() -> None:
                documents = list_documents(quoth.database, reader, wanted, limit=MOST).documents
                quoth.intake.submit_documents(
                    [one.id for one in documents], "reindex", batch=uuid.uuid4(), by=reader, priority=REBUILD
                )
                quoth.pipeline.ensure_worker()  # begins to work where no worker lives

            acting(begin, "They are being read again, after everything else; see above how far it is.")


def embedding_cost_usd(space: str, tokens: int, *, batched: bool = False) -> float | None:
    """What a service asks for embedding so many tokens: 0 for a model that runs here, None for an unknown price.

    Args:
        batched: by the Batch API, at its share of the price.
    """
    scheme, _, rest = space.partition(":")
    if scheme != "openai":
        return 0.0
    from genai_prices import Usage, calc_price  # a fraction of a second that the page need not wait for

    try:
        price = calc_price(Usage(input_tokens=tokens), model_ref=rest.rsplit("/", 1)[0], provider_id="openai")
    except LookupError:
        return None
    return float(price.total_price) * (SHARE if batched else 1)
