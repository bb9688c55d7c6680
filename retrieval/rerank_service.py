"""Re-ranking by a service over HTTP, in either of the two forms that such services speak.

| form | asked | answered |
|---|---|---|
| Cohere, Jina | {"model", "query", "documents", "top_n"} | {"results": [{"index", "relevance_score"}]} |
| Text Embeddings Inference | {"query", "texts", "truncate"} | [{"index", "score"}] |
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from ingest.errors import ConfigurationError, ServiceError
from ingest.indexing import chunk_text
from retrieval.cross_encoder import logistic
from retrieval.model import Hit
from retrieval.reranking import Asked
from retrieval.timed_calls import TimedCalls

if TYPE_CHECKING:
    import httpx

Form = Literal["documents", "texts"]
FORMS: Final[tuple[Form, ...]] = ("documents", "texts")
OTHER_FORM: Final = frozenset({400, 404, 405, 415, 422})  # what a service says to a form that it does not know
MOST_BYTES: Final = 1_000_000  # of an answer
PASSAGE_CHARS: Final = 8000
FEWEST: Final = 4  # passages that are still asked for after a service was too slow for more


class WrongForm(ServiceError):
    """The service does not speak this form."""


class ServiceReranker:
    """Scores in [0, 1] by a service that gets the question and the passages.

    A service that was too slow for all passages is asked for half as many the next time.

    Args:
        url: of the endpoint itself.
        model: named in the request; None where the service has only one.
        key: sent as a bearer token.
    """

    def __init__(self, url: str, model: str | None = None, key: str | None = None) -> None:
        self._url, self._model, self._key = url, model, key
        self._host = urlsplit(url).hostname or ""
        self._form: Form | None = None
        self._most: int | None = None
        self._calls = TimedCalls()
        self._client: httpx.AsyncClient | None = None

    @classmethod
    def named(cls, name: str, setting: str, *, key: str | None) -> ServiceReranker:
        """The service that URL[#MODEL] names.

        Raises:
            ConfigurationError: it is no address, or has a password in it.
        """
        url, _, model = name.partition("#")
        try:
            parts = urlsplit(url)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            whole = False
        if not whole:
            raise ConfigurationError(
                f"{setting} must be http:URL, such as http:https://rerank.example/v1/rerank#MODEL."
            )
        if parts.username or parts.password:
            raise ConfigurationError("QUOTH_RERANKER must not hold a password. Set QUOTH_RERANKER_KEY.")
        return cls(url, model or None, key or None)

    @property
    def name(self) -> str:
        return f"http:{self._host}" + (f"#{self._model}" if self._model else "")

    def scores(self, asked: Asked, candidates: Sequence[Hit], *, budget_s: float) -> list[float]:
        """Scores of the first candidates, as many as the service has shown it can score in time.

        Raises:
            ServiceError: it does not answer in time, refuses, or answers something else.
        """
        few = candidates[: self._most or len(candidates)]
        texts = [chunk_text(hit.title, hit.heading, hit.text)[:PASSAGE_CHARS] for hit in few]
        if not texts:
            return []
        try:
            scores = self._calls.result(self._asked(asked.text, texts), within_s=budget_s)
        except TimeoutError as error:
            self._most = max(FEWEST, len(texts) // 2)
            raise ServiceError(f"{self._host!r} did not answer within {budget_s:g} s.") from error
        if self._most is not None:
            self._most = self._most * 2 if self._most < len(candidates) else None
        return scores

    def release(self) -> None:
        """Nothing is held but a connection."""

    async def _asked(self, question: str, texts: list[str]) -> list[float]:
        refused: WrongForm | None = None
        for form in FORMS if self._form is None else (self._form,):
            try:
                scores = await self._asked_as(form, question, texts)
            except WrongForm as error:
                refused = error
                continue
            self._form = form
            return scores
        self._form = None  # another service may be there by now
        raise refused or AssertionError("there is a form to try")

    async def _asked_as(self, form: Form, question: str, texts: list[str]) -> list[float]:
        body: dict[str, Any] = {"query": question, "texts": texts, "truncate": True}
        if form == "documents":
            body = {"query": question, "documents": texts, "top_n": len(texts), "return_documents": False}
        if self._model:
            body["model"] = self._model
        status, content = await self._posted(body)
        if status in OTHER_FORM:
            raise WrongForm(f"{self._host!r} does not take the question (HTTP {status}). Check QUOTH_RERANKER.")
        if status in (401, 403):
            raise ServiceError(f"{self._host!r} wants another key (HTTP {status}). Check QUOTH_RERANKER_KEY.")
        if status != 200:
            raise ServiceError(f"{self._host!r} does not answer (HTTP {status}). Try again later.")
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ServiceError(f"{self._host!r} answers something that is not JSON. Check QUOTH_RERANKER.") from error
        return _read(answer, form, len(texts), self._host)

    async def _posted(self, body: dict[str, Any]) -> tuple[int, bytes]:
        import httpx  # here, because only this re-ranker needs it

        if self._client is None:
            # identity: a small answer must not become a large one. No redirect: the documents go where they were sent.
            headers = {"accept-encoding": "identity"} | ({"authorization": f"Bearer {self._key}"} if self._key else {})
            self._client = httpx.AsyncClient(headers=headers, timeout=None, follow_redirects=False)
        try:
            content = json.dumps(body, ensure_ascii=True).encode()
            headers = {"content-type": "application/json"}
            async with self._client.stream("POST", self._url, content=content, headers=headers) as answer:
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise ServiceError(f"{self._host!r} sends a compressed answer that was not asked for.")
                received = bytearray()
                async for block in answer.aiter_raw():
                    received += block
                    if len(received) > MOST_BYTES:
                        raise ServiceError(f"{self._host!r} answers more than {MOST_BYTES:,} bytes.")
                return answer.status_code, bytes(received)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServiceError(
                f"{self._host!r} cannot be reached ({type(error).__name__}). Try again later."
            ) from error


def _read(answer: Any, form: Form, count: int, host: str) -> list[float]:
    """Scores in the order of the texts.

    Raises:
        WrongForm: the answer has another form.
        ServiceError: a text has no score or two, or a score is no number.
    """
    rows = answer.get("results") if form == "documents" and isinstance(answer, dict) else answer
    field = "relevance_score" if form == "documents" else "score"
    if not isinstance(rows, list) or not all(isinstance(row, dict) and {"index", field} <= set(row) for row in rows):
        raise WrongForm(f"{host!r} answers in a form that is not known. Check QUOTH_RERANKER.")
    found: dict[int, float] = {}
    for row in rows:
        at, score = row["index"], row[field]
        if type(at) is not int or not 0 <= at < count or at in found:
            raise ServiceError(f"{host!r} scores a passage {at!r} that was not asked for, or twice.")
        if type(score) not in (int, float) or not math.isfinite(score):
            raise ServiceError(f"{host!r} gives a score that is no number.")
        found[at] = float(score)
    if len(found) < count:
        raise ServiceError(f"{host!r} scores {len(found)} of {count} passages.")
    scores = [found[at] for at in range(count)]
    return scores if all(0 <= score <= 1 for score in scores) else [logistic(score) for score in scores]
