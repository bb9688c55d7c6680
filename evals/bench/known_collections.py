"""Public test collections in the forms they are handed out in, read as what `quoth eval retrieval` measures.

Paragraphs wrapped at a fixed width are joined to lines, for a line's end would be taken for a sentence's. Where a
collection is drawn from, the draw is seeded and by id, so that it does not depend on the order of a file.
"""

from __future__ import annotations

import hashlib
import html
import json
import random
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from evals.beir import SCRATCH_PREFIX, Record, TestCollection, plain_text, read_beir
from evals.cases import read_jsonl
from ingest.errors import UsageError

SQUAD_QUESTIONS: Final = 300
XQUAD_LANGUAGES: Final = ("en", "de", "ru", "zh", "ar")

Qrels = Mapping[str, Mapping[str, int]]


def known_collections(
    folder: Path, passages: int | None = None, queries: int | None = None
) -> tuple[dict[str, Callable[[], TestCollection]], list[str]]:
    """The collections whose folders are there, by name, not read yet; and the folders that are missing.

    Args:
        passages, queries: the most of each, drawn as `sampled` does; None: all.
    """
    wanted: dict[str, tuple[str, Callable[[Path], TestCollection]]] = {
        "scifact": ("scifact", read_beir),
        "cacm": ("cacm", read_cacm),
        "vaswani": ("vaswani", read_vaswani),
        "miracl-yo": ("miracl-yo", read_miracl),
        "cookbook-docs": ("cookbook-rag", read_cookbook_docs),
        "cookbook-code": ("cookbook-rag", read_cookbook_code),
        "squad": ("squad/dev-2.0-part-a.json", lambda path: read_squad(path, "squad")),
    }
    for language in XQUAD_LANGUAGES:
        name = f"xquad-{language}"
        wanted[name] = (f"xquad/xquad.{language}.json", partial(read_squad, name=name))

    def drawn(read: Callable[[Path], TestCollection], at: Path) -> TestCollection:
        return sampled(read(at), passages, queries)

    found: dict[str, Callable[[], TestCollection]] = {
        name: partial(drawn, read, folder / place)
        for name, (place, read) in wanted.items()
        if (folder / place).exists()
    }
    return found, [place for place, _ in wanted.values() if not (folder / place).exists()]


def collected(
    name: str, texts: Iterable[tuple[str, str, str]], queries: Mapping[str, str], qrels: Qrels
) -> TestCollection:
    """A collection of (id, title, text); judgements of documents without a letter of text are kept, and never met.

    Raises:
        UsageError: an id is used twice, or a judged query has no text.
    """
    unknown = [query for query in qrels if query not in queries]
    if unknown:
        raise UsageError(f"{name}: the query {unknown[0]!r} is judged and has no text. Is the file whole?")
    return TestCollection(
        name=name, queries={query: queries[query] for query in qrels}, qrels=qrels, **_corpus(name, texts)
    )


def sampled(tests: TestCollection, passages: int | None, queries: int | None = None) -> TestCollection:
    """A seeded draw of the queries, and all documents with a judgement with a draw of the others, `passages` in all.

    The documents do not depend on how many queries are drawn.

    What is found among fewer documents is found more easily: figures of a sample compare with one another only.
    """
    if queries is not None and len(tests.scored) > queries:
        drawn = set(random.Random(1).sample(sorted(tests.scored), queries))
        tests = replace(tests, queries={one: text for one, text in tests.queries.items() if one in drawn})
    if passages is not None and len(tests.records) > passages:
        judged = {document for of_query in tests.qrels.values() for document in of_query}
        others = sorted(record.id for record in tests.records if record.id not in judged)
        kept = {*judged, *random.Random(1).sample(others, max(0, passages - (len(tests.records) - len(others))))}
        texts = ((record.id, record.title, record.text) for record in tests.records if record.id in kept)
        tests = replace(tests, **{**_corpus(tests.name, texts), "empty": tests.empty})
    return replace(tests, qrels={one: tests.qrels[one] for one in tests.queries})


def trec_documents(text: str, tag: str, id_tag: str) -> list[tuple[str, str]]:
    """Ids and what stands beside them in each <tag> of a TREC file, other tags cut away."""
    found = []
    for inside in re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL):
        id = re.search(rf"<{id_tag}>\s*(\S+?)\s*</{id_tag}>", inside)
        if id is None:
            raise UsageError(f"A <{tag}> has no <{id_tag}>. Is the file whole?")
        rest = re.sub(r"</?[a-zA-Z]+>", " ", inside[: id.start()] + inside[id.end() :])
        found.append((id[1], html.unescape(rest).strip()))
    return found


def trec_qrels(text: str) -> dict[str, dict[str, int]]:
    """Lines of query, anything, document and grade, separated by white space."""
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        if line.strip():
            query, _, document, grade = line.split()
            found.setdefault(query, {})[document] = int(grade)
    return found


def read_vaswani(folder: Path) -> TestCollection:
    """Vaswani (NPL): abstracts in lower case, queries in capitals."""
    documents = trec_documents(_read(folder / "doc-text.trec"), "DOC", "DOCNO")
    queries = trec_documents(_read(folder / "query-text.trec"), "top", "num")
    return collected(
        "vaswani",
        ((id, "", one_line(text)) for id, text in documents),
        {id: one_line(text) for id, text in queries},
        trec_qrels(_read(folder / "qrels")),
    )


def read_cacm(folder: Path) -> TestCollection:
    """CACM: title, abstract, authors and keywords; not the stamp and the table of citations that end a record."""
    records = []
    with tarfile.open(folder / "cacm.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                number = int(Path(member.name).stem.rpartition("-")[2])  # judgements write it without noughts
                records.append((f"CACM-{number}", *cacm_parts(file.read().decode("latin-1"))))
    queries = {id: one_line(text) for id, text in trec_documents(_read(folder / "topics.cacm.txt"), "DOC", "DOCNO")}
    return collected("cacm", records, queries, trec_qrels(_read(folder / "qrels.cacm.txt")))


def cacm_parts(page: str) -> tuple[str, str]:
    """Title and remaining text of one CACM record."""
    text = html.unescape(re.sub(r"</?(?:html|pre)>", "", page))
    text = re.sub(r"^(?:\d+\t\d+\t\d+|CA\d{6}\b.*)$", "", text, flags=re.MULTILINE)
    paragraphs = [one_line(one) for one in re.split(r"\n\s*\n", text) if one.strip()]
    return (paragraphs[0], "\n\n".join(paragraphs[1:])) if paragraphs else ("", "")


def read_miracl(folder: Path) -> TestCollection:
    """MIRACL Yoruba, development topics.

    Raises:
        UsageError: there is no `zstd` to read it with, or it fails.
    """
    queries = dict(line.split("\t", 1) for line in _lines(next(folder.glob("topics.*"))))
    qrels = trec_qrels(_read(next(folder.glob("qrels.*"))))
    try:
        done = subprocess.run(["zstd", "-dcq", str(next(folder.glob("*.jsonl.zst")))], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"{str(folder)!r} cannot be unpacked ({error}). Install zstd.") from error
    fields = [json.loads(line)["fields"] for line in done.stdout.decode("utf-8").split("\n") if line]
    return collected("miracl-yo", ((one["doc_id"], one["title"], one["text"]) for one in fields), queries, qrels)


def read_cookbook_docs(folder: Path) -> TestCollection:
    """Sections of a product's documentation, and questions with the sections that answer them."""
    asked = json.loads(_read(folder / "docs_evaluation_dataset.json"))
    return collected(
        "cookbook-docs",
        ((one["chunk_link"], one["chunk_heading"], one["text"])
         for one in json.loads(_read(folder / "anthropic_docs.json"))),
        {one["id"]: one["question"] for one in asked},
        {one["id"]: dict.fromkeys(one["correct_chunks"], 1) for one in asked},
    )  # fmt: skip


def read_cookbook_code(folder: Path) -> TestCollection:
    """Pieces of source code as they were cut, and questions with the pieces that answer them."""
    pieces = [
        (f"{whole['original_uuid']}#{piece['original_index']}", "", piece["content"])
        for whole in json.loads(_read(folder / "codebase_chunks.json"))
        for piece in whole["chunks"]
    ]
    asked = {str(at): one for at, (_, one) in enumerate(read_jsonl(folder / "evaluation_set.jsonl"))}
    return collected(
        "cookbook-code",
        pieces,
        {at: one["query"] for at, one in asked.items()},
        {at: {f"{uuid}#{index}": 1 for uuid, index in one["golden_chunk_uuids"]} for at, one in asked.items()},
    )


def read_squad(path: Path, name: str, questions: int = SQUAD_QUESTIONS) -> TestCollection:
    """Paragraphs of a file in SQuAD's form, and a seeded draw of its answerable questions; each one's own paragraph is
    relevant. The articles' names are not given: they would say what the question is about.
    """
    paragraphs: list[tuple[str, str, str]] = []
    asked: dict[str, tuple[str, str]] = {}
    articles: list[dict[str, Any]] = json.loads(_read(path))["data"]
    for article in articles:
        for paragraph in article["paragraphs"]:
            id = f"p{len(paragraphs)}"
            paragraphs.append((id, "", paragraph["context"]))
            for one in paragraph["qas"]:
                if not one.get("is_impossible", False):
                    asked[one["id"]] = (one["question"], id)
    drawn = random.Random(1).sample(sorted(asked), min(questions, len(asked)))
    return collected(
        name, paragraphs, {id: asked[id][0].strip() for id in drawn}, {id: {asked[id][1]: 1} for id in drawn}
    )


def _corpus(name: str, texts: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """A collection's fields that follow from its documents."""
    found: dict[str, Record] = {}
    empty = 0
    for id, title, text in texts:
        if id in found:
            raise UsageError(f"{name}: the id {id!r} was used before. Is the file whole?")
        record = Record(id, plain_text(title, "title", name), plain_text(text, "text", name))
        if not any(character.isalnum() for character in record.title + record.text):
            empty += 1
            continue
        found[id] = record
    digest = hashlib.sha256(b"\n".join(record.original for record in found.values())).hexdigest()
    return {"records": tuple(found.values()), "empty": empty, "collection": SCRATCH_PREFIX + digest[:12]}


def one_line(text: str) -> str:
    """The text with every run of white space as one blank."""
    return " ".join(text.split())


def _read(path: Path) -> str:
    return path.read_text("utf-8")


def _lines(path: Path) -> list[str]:
    return [line for line in _read(path).split("\n") if line]
