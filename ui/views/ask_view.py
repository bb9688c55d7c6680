"""The page where questions are asked: the conversation, and beside it the source that is open."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from assistant.asking_back import chosen
from assistant.model import Answer, AnswerId, Begun, ClaimShown, ConversationId, Progress, Usage
from assistant.moderation import DECLINED, DECLINED_UNSEEN
from assistant.records import answer_text
from ingest.access import Reader
from ingest.errors import QuothError, trace_of
from ingest.model import Document
from ui import wording
from ui.cited_answer import cited_answer, watch_for_stop
from ui.feedback_panel import show_feedback, show_reasons
from ui.handoff_panel import show_handoff
from ui.history_drawer import history_drawer
from ui.shared_conversation import LINK, show_shared
from ui.source_pane import OPEN, OpenSource, draw_ahead, show_source
from ui.speaking import show_speaking

if TYPE_CHECKING:
    from streamlit.navigation.page import Page

    from assistant.bootstrap import Quoth
    from retrieval.narrowing import Offer

LOG: Final = logging.getLogger("quoth.web")
MAX_QUESTION_CHARACTERS: Final = 2000
QUESTION: Final = "question"
CONVERSATION: Final = "conversation"  # keys of the session's state
COLLECTION: Final = "collection"
PENDING: Final = "pending_question"
UNFINISHED: Final = "unfinished_answer"
ARRIVING: Final = "arriving_answer"  # the newest answer of this session: the page scrolls to it once
FAILED: Final = "failed_question"
NEAREST: Final = 3  # passages shown when the documents do not say
ALL: Final = "All collections"
OFFERED: Final = "offered_narrowing"  # that the reader took up, for the question that is asked next
NARROWED: Final = "narrowed-"  # and an answer's id: what its search was narrowed to, in words

# Questions that the sample documents answer; each is shown when its document is there.
EXAMPLES: Final = (
    ("finance/travel_policy.pdf", "Within how many days after a trip do I have to submit my expense claim?"),
    ("hr/parental_leave.pdf", "How many weeks on full pay does the second parent receive?"),
    ("it/equipment.md", "After how many years is my laptop replaced with a new one?"),
    ("safety/laboratory_manual.pdf", "How long must acid in the eyes be rinsed?"),
)


@dataclass(slots=True)
class Unfinished:
    """An answer under way; what the reader sees of it when they stop it."""

    question: str
    conversation: ConversationId | None
    shown: list[ClaimShown] = field(default_factory=list)
    id: AnswerId = field(default_factory=lambda: AnswerId(uuid.uuid4()))

    def answer(self) -> Answer:
        """What was shown of it, as an answer that was not kept."""
        claims = tuple(one.claim for one in self.shown)
        return Answer(
            id=self.id,
            conversation=self.conversation or ConversationId(uuid.uuid4()),
            question=self.question,
            status="partial",
            text=answer_text(claims),
            claims=claims,
            citations=tuple(citation for one in self.shown for citation in one.new_citations),
            passages=(),
            missing=None,
            model="",
            prompt_version="",
            degraded=None,
            usage=Usage(),
            timings_ms={},
        )


def show(
    quoth: Quoth, reader: Reader, documents_page: Page | None, record_page: Page, evaluation_page: Page | None = None
) -> None:
    """Show the page, and answer the question that was just asked."""
    if token := st.query_params.get(LINK):
        show_shared(quoth, reader, token, show_turn, leave=_new_conversation)
        return
    conversation = _conversation()
    answers = quoth.answers.conversation(reader, conversation) if conversation else []
    unfinished: Unfinished | None = st.session_state.get(UNFINISHED)
    if unfinished and unfinished.id in {one.id for one in answers}:  # it was stopped, and is kept
        unfinished = st.session_state.pop(UNFINISHED) and None
    stopped = unfinished.answer() if unfinished else None
    turns = [*answers, stopped] if stopped else answers
    opened: OpenSource | None = st.session_state.get(OPEN)
    source_of = next((turn for turn in turns if opened and str(turn.id) == opened.answer), None)
    side_by_side = source_of is not None
    with st.bottom, _column(side_by_side):
        show_speaking(quoth, reader, QUESTION)
        typed = st.chat_input(
            "Ask a question" if not turns else "Ask a follow-up question",
            submit_mode="stop",
            max_chars=MAX_QUESTION_CHARACTERS,
            key=QUESTION,
        )
    question = (st.session_state.pop(PENDING, None) or typed or "").strip()
    if question and stopped:
        turns, stopped = answers, None  # a new question takes its place
    if side_by_side:
        left, right = st.columns([10, 11], gap="large")
    else:
        left, right = st.container(horizontal_alignment="center"), None
    with left, st.container(width="stretch" if side_by_side else 780, key="conversation"):
        if not turns and not question and FAILED not in st.session_state:
            _empty(quoth, reader, documents_page, unknown=conversation is not None)
        elif turns:
            _header(quoth, reader, conversation)
        said = quoth.feedback.of(reader, [one.id for one in answers]) if answers else {}
        for turn in turns:
            asks_back = turn is turns[-1] and turn.status == "clarifying" and not question
            shown = replace(turn, choices=()) if asks_back else turn  # as buttons, below
            show_turn(quoth, reader, shown, opened, stopped=turn is stopped)
            if asks_back:
                _choices(turn)
            if turn is not stopped:
                if turn.status == "abstained" and turn.missing not in (DECLINED, DECLINED_UNSEEN):
                    show_handoff(quoth, reader, turn)
                with st.container(horizontal=True, vertical_alignment="center", key=f"below-{turn.id}"):
                    show_feedback(quoth, reader, turn, said.get(turn.id))
                    st.page_link(
                        record_page, label="How this answer was made", query_params={"answer": str(turn.id)},
                        icon=":material/receipt_long:",
                    )  # fmt: skip
                    if evaluation_page is not None:
                        st.page_link(
                            evaluation_page, label="Make it a case", icon=":material/science:",
                            query_params={"section": "make-cases", "answer": str(turn.id)},
                        )  # fmt: skip
                show_reasons(quoth, reader, turn, said.get(turn.id))
        if turns and not question:
            _offers(quoth, reader, turns[-1])
        failed = st.session_state.pop(FAILED, None)
        if failed and not question:
            _question(failed[0], key="failed")
            st.error(failed[1], icon=":material/error:")
        if question:
            _answer(quoth, reader, question, conversation if answers else None)
    if right is not None and source_of is not None and opened is not None:
        with right, st.container(key="source-pane"):
            show_source(quoth, reader, source_of, opened)


def _column(side_by_side: bool) -> Any:
    """Where the question field stands: under the conversation, whether or not a source is open beside it."""
    if side_by_side:
        return st.columns([10, 11], gap="large")[0]
    with st.container(horizontal_alignment="center"):
        return st.container(width=780)


def _conversation() -> ConversationId | None:
    """The conversation that the address names, else the session's own."""
    named = st.query_params.get("c") or st.session_state.get(CONVERSATION)
    try:
        conversation = ConversationId(uuid.UUID(str(named))) if named else None
    except ValueError:
        conversation = None
    if conversation is None:
        st.query_params.pop("c", None)
        return None
    if st.session_state.get(CONVERSATION) != str(conversation):
        _forget()
        st.session_state[CONVERSATION] = str(conversation)
    st.query_params["c"] = str(conversation)
    return conversation


def open_conversation(conversation: ConversationId) -> None:
    """Have the page show another conversation when it is drawn again."""
    _forget()
    st.session_state[CONVERSATION] = st.query_params["c"] = str(conversation)


def _forget() -> None:
    for key in (CONVERSATION, OPEN, UNFINISHED, FAILED, PENDING):
        st.session_state.pop(key, None)


def _new_conversation() -> None:
    _forget()
    st.query_params.pop("c", None)
    st.query_params.pop(LINK, None)


def _header(quoth: Quoth, reader: Reader, conversation: ConversationId | None) -> None:
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="ask-header"):
        if collection := st.session_state.get(COLLECTION):
            st.caption(f"In the collection {wording.literal(collection)}", width="content")
        _history_button(quoth, reader, conversation)
        st.button(
            "New conversation", icon=":material/add:", type="tertiary", key="new-conversation",
            on_click=_new_conversation,
        )  # fmt: skip


def _history_button(quoth: Quoth, reader: Reader, conversation: ConversationId | None) -> None:
    if st.button("History", icon=":material/history:", type="tertiary", key="history"):
        history_drawer(quoth, reader, conversation, open_conversation, _new_conversation)


def _empty(quoth: Quoth, reader: Reader, documents_page: Page | None, *, unknown: bool) -> None:
    """What the page says before the first question."""
    documents = quoth.catalog.documents(reader)
    with st.container(key="welcome"):
        if unknown:
            st.info("This conversation is not yours, or it holds no answer. Ask a question to begin a new one.")
        st.title("Ask your documents", anchor=False)
        st.markdown(
            "Every sentence of an answer carries a quotation that was checked word for word. "
            "Where the documents do not say, Quoth says so."
        )
        if not documents:
            st.caption("There are no documents yet.")
            if documents_page is not None:
                st.page_link(documents_page, label="Add documents", icon=":material/upload_file:")
            return
        st.caption(wording.library_words(documents))
        _choose_collection(documents)
        if quoth.conversations.listed(reader, limit=1):
            _history_button(quoth, reader, None)
        examples = _examples(documents)
        if examples:
            st.markdown("For example")
            with st.container(gap="xsmall", key="examples"):
                for number, example in enumerate(examples):
                    st.button(
                        example, key=f"example-{number}", width="stretch", on_click=_ask_next, args=(example,),
                        icon=":material/arrow_outward:",
                    )  # fmt: skip


def _choose_collection(documents: Sequence[Document]) -> None:
    names = sorted({document.collection for document in documents})
    if len(names) < 2:
        st.session_state.pop(COLLECTION, None)
        return
    chosen = st.selectbox("Where to look", [ALL, *names], width=320)
    st.session_state[COLLECTION] = None if chosen == ALL else chosen


def _examples(documents: Sequence[Document]) -> list[str]:
    sources = {document.source for document in documents}
    return [question for source, question in EXAMPLES if source in sources]


def _ask_next(question: str) -> None:
    st.session_state[PENDING] = question


def _narrow_next(question: str, offer: Offer) -> None:
    st.session_state[PENDING], st.session_state[OFFERED] = question, offer


def _question(text: str, *, key: str, narrowed: str = "") -> None:
    with st.container(horizontal_alignment="right", key=f"asked-{key}"):
        st.text(text)
        if narrowed:
            st.caption(wording.literal(narrowed))


def show_turn(quoth: Quoth, reader: Reader, answer: Answer, opened: OpenSource | None, *, stopped: bool) -> None:
    """One question and its answer."""
    identity = str(answer.id)

    def open_citation(marker: int) -> None:
        st.session_state[OPEN] = OpenSource(identity, marker=marker)

    def open_passage(index: int) -> None:
        st.session_state[OPEN] = OpenSource(identity, passage=index)

    _question(answer.question, key=identity, narrowed=st.session_state.get(f"{NARROWED}{identity}", ""))
    with st.container(key=f"answer-{identity}"):
        cited_answer(
            nearest_only(quoth, reader, answer) if answer.status == "abstained" else answer,
            key=f"cited-{identity}",
            selected=opened.marker if opened and opened.answer == identity else None,
            on_cited=open_citation,
            on_passage=open_passage,
            stopped=stopped,
            arriving=st.session_state.get(ARRIVING) == identity,
        )
        if answer.rejected:
            with st.expander(f"{wording.counted(len(answer.rejected), 'drafted statement')} left out", type="compact"):
                for rejection in answer.rejected:
                    st.text(f"{rejection.text}\nLeft out: {rejection.reason}")


def _choices(answer: Answer) -> None:
    """What may be meant; choosing one asks the question that it completes."""
    with st.container(gap="xsmall", key=f"choices-{answer.id}"):
        for number, choice in enumerate(answer.choices):
            st.button(
                wording.literal(choice), key=f"choice-{number}-{answer.id}", icon=":material/arrow_forward:",
                on_click=_ask_next, args=(chosen(answer.question, choice),),
            )  # fmt: skip


def _offers(quoth: Quoth, reader: Reader, answer: Answer) -> None:
    """What the last question's own words suggest to narrow the search to; a person decides."""
    if st.session_state.get(f"{NARROWED}{answer.id}"):
        return
    for number, offer in enumerate(quoth.offers(answer.question, reader)):
        if offer.collection and offer.collection == st.session_state.get(COLLECTION):
            continue
        st.button(
            f"Ask again, {wording.offer_words(offer, within=True)}", key=f"ask-offer-{number}", type="tertiary",
            icon=":material/filter_list:", on_click=_narrow_next, args=(answer.question, offer),
        )  # fmt: skip


def nearest_only(quoth: Quoth, reader: Reader, answer: Answer) -> Answer:
    """An abstention with its nearest passages alone, each with its page."""
    passages = []
    for passage in answer.passages[:NEAREST]:
        locator = quoth.catalog.locate(reader, passage.document, passage.version, passage.start, passage.end)
        passages.append(replace(passage, page=locator.page))
    return replace(answer, passages=tuple(passages))


def _answer(quoth: Quoth, reader: Reader, question: str, conversation: ConversationId | None) -> None:
    """Ask, show each verified statement as it comes, and begin the page anew with the kept answer."""
    st.session_state.pop(OPEN, None)
    offer: Offer | None = st.session_state.pop(OFFERED, None)
    _question(question, key="now", narrowed=offer.label if offer else "")
    unfinished = Unfinished(question, conversation)
    # Stop ends the script where it draws next, and then it can keep nothing more: so this is kept from the beginning.
    st.session_state[UNFINISHED] = unfinished
    answer: Answer | None = None
    events = quoth.ask(
        question,
        reader,
        collection=(offer.collection if offer else None) or st.session_state.get(COLLECTION),
        conversation=conversation,
        narrowing=offer.narrowing if offer else None,
    )
    try:
        with st.container(key="answering"), contextlib.closing(_drawn(events)) as drawn:
            for event in drawn:
                if isinstance(event, Answer):
                    answer = event
                elif isinstance(event, Begun):
                    unfinished.id, unfinished.conversation = event.answer, event.conversation
                    st.session_state[CONVERSATION] = str(event.conversation)
                elif isinstance(event, ClaimShown):
                    unfinished.shown.append(event)
    except QuothError as error:
        st.session_state[FAILED] = (question, wording.literal(str(error)))
    except Exception as error:
        LOG.error("a question failed:\n%s", trace_of(error))
        st.session_state[FAILED] = (question, wording.error_words(error))
    st.session_state.pop(UNFINISHED, None)
    if answer is not None:
        st.session_state[CONVERSATION] = str(answer.conversation)
        st.query_params["c"] = str(answer.conversation)
        st.session_state[ARRIVING] = str(answer.id)
        if offer:
            st.session_state[f"{NARROWED}{answer.id}"] = offer.label
        draw_ahead(quoth, reader, answer)
    st.rerun()


def _drawn(events: Iterator[Any]) -> Generator[Any, None, None]:
    """Pass events on, each drawn: steps under one line, statements as plain text."""
    try:
        status = st.status(":shimmer[Looking]", type="compact")
        watch_for_stop()
        for event in events:
            if isinstance(event, Progress):
                status.update(label=f":shimmer[{wording.literal(event.text)}]")
                status.text(event.text)
            elif isinstance(event, ClaimShown):
                markers = "".join(f" [{marker}]" for marker in event.claim.citations)
                st.text(event.claim.text + markers)
            yield event
        status.update(label="Done", state="complete")
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()
