"""The sample handbook and its cases hold what they promise, without asking any search system."""

import csv
import email
import email.policy
import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import docx
import openpyxl
import pptx
import pypdfium2
import pytest
import Stemmer
from bs4 import BeautifulSoup

SAMPLES = Path(__file__).parents[2] / "evals" / "samples"
DOCUMENTS = SAMPLES / "documents"
MANIFEST = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))
READERS = {entry["source"]: set(entry["readers"]) for entry in MANIFEST["documents"]}
CASES = [json.loads(line) for line in (SAMPLES / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
FOLLOWUPS = [json.loads(line) for line in (SAMPLES / "followups.jsonl").read_text(encoding="utf-8").splitlines()]
GOLD = [(case["id"], gold["source"], gold["quote"]) for case in CASES for gold in case["gold"]]

# Function words only: the shorter this list, the stricter the check of what a question may share with its quote.
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a about above after again against all am an and any are as at be because been before being below between both
    but by can could did do does doing down during each few for from further had has have having he her here hers him
    his how i if in into is it its itself me more most must my no nor not now of off on once only or other our out
    over own same she should so some such than that the their them then there these they this those through to too
    under until up very was we were what when where which while who whom whose why will with would you your""",
    )
)
STEMMER = Stemmer.Stemmer("english")


@cache
def text_of(path: Path) -> str:
    """All words of a document in reading order, cells included, with single spaces."""
    return " ".join(" ".join(_pieces(path)).split())


def _pieces(path: Path) -> list[str]:
    match path.suffix:
        case ".pdf":
            return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(path)]
        case ".docx":
            document = docx.Document(str(path))
            cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
            return [paragraph.text for paragraph in document.paragraphs] + cells
        case ".pptx":
            pieces = []
            for slide in pptx.Presentation(str(path)).slides:
                for shape in slide.shapes:
                    if shape.has_text_frame:
                        pieces.append(shape.text_frame.text)
                    elif shape.has_table:
                        pieces += [cell.text for row in shape.table.rows for cell in row.cells]
            return pieces
        case ".xlsx":
            return [
                str(value)
                for sheet in openpyxl.load_workbook(path)
                for row in sheet.iter_rows(values_only=True)
                for value in row
                if value is not None
            ]
        case ".csv":
            return [" ".join(row) for row in csv.reader(path.read_text(encoding="utf-8").splitlines())]
        case ".html":
            return list(BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").stripped_strings)
        case ".eml":
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            return [message.get_content()]
        case ".md":
            return [path.read_text(encoding="utf-8").replace("|", " ")]
        case ".txt":
            return [path.read_text(encoding="utf-8")]
    raise AssertionError(f"{path} has a format the samples do not use")


def content_stems(text: str) -> set[str]:
    words = set(re.findall(r"\w+", text.lower().replace("’", "'").replace("'s", ""))) - STOP_WORDS
    return set(STEMMER.stemWords(list(words)))


def test_ids_are_unique_and_types_are_counted() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES) == 60
    assert Counter(case["type"] for case in CASES) == {
        "no_overlap": 15,
        "lookup": 9,
        "table": 5,
        "conflict": 2,
        "superseded": 2,
        "multi": 4,
        "restricted": 5,
        "exact": 3,
        "near_miss": 10,
        "off_topic": 5,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case_has_the_fields_of_its_kind(case: dict) -> None:
    assert case.keys() - {"groups"} == {"id", "question", "answerable", "gold", "answer", "type"}
    assert case["question"].strip()
    if case["type"] in ("near_miss", "off_topic"):
        assert (case["answerable"], case["gold"], case["answer"]) == (False, [], None)
    else:
        assert case["answerable"] and case["answer"]
        assert len(case["gold"]) == (2 if case["type"] in ("conflict", "multi") else 1)


def test_follow_ups_are_thirty_and_their_gold_stands_in_the_documents() -> None:
    assert [case["id"] for case in FOLLOWUPS] == [f"f{number:02}" for number in range(1, 31)]
    for case in FOLLOWUPS:
        assert case.keys() == {"id", "turns", "question", "standalone", "answerable", "gold", "type"}
        assert len(case["turns"]) == len(case["gold"]) == 1
        assert case["standalone"] != case["question"]
        (gold,) = case["gold"]
        assert " ".join(gold["quote"].split()) in text_of(DOCUMENTS / gold["source"]), case["id"]


def test_two_documents_conflict_in_each_conflict_case() -> None:
    for case in CASES:
        if case["type"] == "conflict":
            assert len({gold["source"] for gold in case["gold"]}) == 2, case["id"]


def test_manifest_and_folder_agree() -> None:
    on_disk = {path.relative_to(DOCUMENTS).as_posix() for path in DOCUMENTS.rglob("*") if path.is_file()}
    assert READERS.keys() == on_disk
    assert len(MANIFEST["documents"]) == len(READERS) == 30
    assert {Path(source).suffix[1:] for source in READERS} == {
        "txt",
        "md",
        "html",
        "pdf",
        "docx",
        "pptx",
        "xlsx",
        "csv",
        "eml",
    }


def test_some_documents_are_restricted() -> None:
    restricted = {source: readers for source, readers in READERS.items() if "everyone" not in readers}
    groups = set().union(*restricted.values())
    assert len(restricted) >= 5
    assert len(groups) >= 3
    assert groups == {group for groups in MANIFEST["users"].values() for group in groups}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_asker_may_read_every_gold_source_and_needs_the_groups_named(case: dict) -> None:
    asker = {"everyone", *case.get("groups", [])}
    for gold in case["gold"]:
        assert READERS[gold["source"]] & asker, gold["source"]
    needed = any("everyone" not in READERS[gold["source"]] for gold in case["gold"])
    assert needed == ("groups" in case)


@pytest.mark.parametrize(("case_id", "source", "quote"), GOLD, ids=lambda value: str(value)[:30])
def test_quote_stands_word_for_word_in_its_document_alone(case_id: str, source: str, quote: str) -> None:
    assert text_of(DOCUMENTS / source).count(quote) == 1
    assert [other for other in READERS if quote in text_of(DOCUMENTS / other)] == [source]


@pytest.mark.parametrize("case", [case for case in CASES if case["type"] == "no_overlap"], ids=lambda case: case["id"])
def test_question_shares_no_content_word_with_its_quote(case: dict) -> None:
    for gold in case["gold"]:
        assert not content_stems(case["question"]) & content_stems(gold["quote"])


def test_overlap_check_sees_inflected_words() -> None:
    assert content_stems("Which claims were paid?") & content_stems("We are paying a claim.")
    assert not content_stems("Which of these are mine?") & content_stems("These of which are yours.")


def test_pdfs_have_several_pages_and_all_documents_some_substance() -> None:
    for path in (DOCUMENTS / source for source in READERS):
        if path.suffix == ".pdf":
            assert 3 <= len(pypdfium2.PdfDocument(path)) <= 8, path.name
        assert len(text_of(path).split()) > (200 if path.suffix in (".csv", ".xlsx") else 300), path.name
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 1_500_000


def test_binary_documents_are_those_the_sources_give(tmp_path: Path) -> None:
    script = SAMPLES / "build_documents.py"
    subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {source for source in READERS if Path(source).suffix in (".pdf", ".docx", ".pptx", ".xlsx")}
    stale = [source for source in written if text_of(tmp_path / source) != text_of(DOCUMENTS / source)]
    assert not stale, "run evals/samples/build_documents.py"
