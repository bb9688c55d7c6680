import random
import time
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunking import MAX_TITLE_TOKENS, chunk_spans
from ingest.model import ChunkSpan, Element, PageMap, ParsedDocument

Part = tuple[str, int, str]  # category, depth, text


def count(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def document(parts: Sequence[Part], pages: Sequence[int | None] = ()) -> ParsedDocument:
    text, elements = "", []
    for ordinal, (category, depth, content) in enumerate(parts):
        text += "\n\n" if text else ""
        page = pages[ordinal] if pages else None
        elements.append(Element(ordinal, category, depth, len(text), len(text) + len(content), page, {}))
        text += content
    return ParsedDocument("", text, tuple(elements), (), None, "en", "text/plain")


def words(n: int, name: str = "w") -> str:
    return " ".join(f"{name}{i}" for i in range(n - 1)) + f" {name}."


def paragraph(n: int, sentences: int, name: str = "P") -> str:
    return " ".join(words(n, f"{name}{i}x") for i in range(sentences))


def texts(found: ParsedDocument, chunks: list[ChunkSpan]) -> list[str]:
    return [found.text[chunk.start : chunk.end] for chunk in chunks]


def test_small_documents():
    assert chunk_spans(document([]), count) == []
    assert chunk_spans(ParsedDocument("", " \n\n ", (), (), None, "", ""), count) == []
    (chunk,) = chunk_spans(document([("title", 0, "Leave"), ("text", 0, "It is long. It is paid.")]), count)
    assert (chunk.start, chunk.end, chunk.heading, chunk.tokens) == (0, 30, ("Leave",), 7)
    assert chunk.sentences == ((0, 5), (7, 18), (19, 30))
    (preamble,) = chunk_spans(document([("text", 0, "Before."), ("title", 0, "A"), ("title", 1, "B")]), count)
    assert preamble.heading == ()
    (alone,) = chunk_spans(document([("title", 0, "Leave")]), count)
    assert alone.heading == ("Leave",)


def test_large_sections_are_chunks_of_their_own_with_their_path():
    found = document(
        [
            ("title", 0, "Leave"),
            ("title", 1, "Parental\nleave"),
            ("text", 0, paragraph(20, 11)),
            ("title", 1, "Sick leave"),
            ("text", 0, paragraph(20, 11)),
            ("title", 0, "Pay"),
            ("text", 0, paragraph(20, 11)),
        ]
    )
    chunks = chunk_spans(found, count)
    assert [chunk.heading for chunk in chunks] == [("Leave", "Parental leave"), ("Leave", "Sick leave"), ("Pay",)]
    assert texts(found, chunks)[1].startswith("Sick leave\n\n")


def test_small_sections_are_merged_with_their_siblings_and_not_with_what_follows_above():
    parts: list[Part] = [("title", 0, "Leave")]
    for name in ("A", "B", "C"):
        parts += [("title", 1, name), ("text", 0, words(30, name.lower()))]
    parts += [("title", 0, "Pay"), ("text", 0, words(180, "pay"))]
    found = document(parts)
    chunks = chunk_spans(found, count)
    assert [chunk.heading for chunk in chunks] == [("Leave", "A"), ("Pay",)]
    assert texts(found, chunks)[0].endswith(words(30, "c"))
    deeper = document([("title", 0, "X"), ("text", 0, words(150)), ("title", 1, "Y"), ("text", 0, words(20)),
                       ("title", 0, "Z"), ("text", 0, words(150))])  # fmt: skip
    assert [chunk.heading for chunk in chunk_spans(deeper, count)] == [("X",), ("Z",)]


def test_a_title_never_stands_alone():
    for length in (10, 100, 180, 240, 249, 250):
        found = document([("text", 0, paragraph(50, 4)), ("title", 2, "Sub title"), ("text", 0, words(length, "z"))])
        (held,) = (text for text in texts(found, chunk_spans(found, count)) if "Sub title" in text)
        after = held.split("Sub title\n\n")[1]
        assert after.startswith(("z0 ", "z."))
        assert len(after) >= min(len(words(length, "z")), 400)  # a whole sentence, or the piece of one


def test_tables_keep_rows_whole_and_name_their_header():
    header = "Country | Rate | Since"
    rows = [f"Country{i} of the north | {i} percent | {1900 + i}" for i in range(120)]
    found = document([("title", 0, "Rates"), ("table", 0, "\n".join([header, *rows])), ("text", 0, "After it.")])
    chunks = chunk_spans(found, count)
    assert len(chunks) > 3
    lines = set(rows) | {header}
    for chunk in chunks[:-1]:
        assert set(found.text[chunk.start : chunk.end].split("\n")) <= lines | {"Rates", ""}
    assert chunks[0].heading == ("Rates",)
    assert all(chunk.heading == ("Rates", header) for chunk in chunks[1:-1])


def test_a_sentence_or_a_row_that_is_too_long_is_divided():
    no_stop = document([("text", 0, "漢" * 3000)])
    by_character = chunk_spans(no_stop, lambda texts: [len(text) for text in texts])
    assert all(chunk.tokens <= 250 for chunk in by_character)
    assert sum(chunk.tokens for chunk in by_character) == 3000
    row = document([("table", 0, " | ".join(f"cell {i}" for i in range(900)))])
    assert all(chunk.tokens <= 250 for chunk in chunk_spans(row, count))
    one_token_words = document([("text", 0, " ".join(["x" * 590] * 100))])
    assert all(chunk.end - chunk.start < 3_000 for chunk in chunk_spans(one_token_words, lambda t: [1] * len(t)))


def test_the_page_is_that_of_the_first_character():
    found = document([("text", 0, words(200, "a")), ("text", 0, words(200, "b"))], pages=[3, 4])
    assert [chunk.page for chunk in chunk_spans(found, count)] == [3, 4]
    middle = found.text.index("b0")
    maps = tuple(PageMap(page, a, b, 1, 1, None) for page, a, b in ((7, 0, middle), (8, middle, len(found.text))))
    mapped = ParsedDocument("", found.text, found.elements, maps, 2, "en", "application/pdf")
    assert [chunk.page for chunk in chunk_spans(mapped, count)] == [7, 8]


def test_tokens_are_counted_once():
    calls = []

    def counting(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        return count(texts)

    found = document([("text", 0, paragraph(20, 5)) for _ in range(50)])
    chunk_spans(found, counting)
    assert calls == [250]


sentence = st.tuples(st.integers(1, 60), st.sampled_from("abcdef")).map(lambda pair: words(*pair))
parts = st.lists(
    st.one_of(
        st.tuples(
            st.just("title"), st.integers(0, 3), st.sampled_from(["One", "Two words", "A title of five words", "…"])
        ),
        st.tuples(st.just("text"), st.just(0), st.lists(sentence, min_size=1, max_size=12).map(" ".join)),
        st.tuples(st.just("list_item"), st.just(0), sentence.map("- ".__add__)),
        st.tuples(st.just("table"), st.just(0), st.lists(sentence, min_size=1, max_size=30).map("\n".join)),
        st.tuples(st.just("text"), st.just(0), st.integers(300, 700).map(lambda n: "long " * n + "end")),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(parts, st.data())
def test_the_laws_of_chunks(parts, data):
    found = document(parts)
    if data.draw(st.booleans()):  # elements need not cover the text, nor be apart
        kept = tuple(
            Element(
                e.ordinal,
                e.category,
                e.depth,
                e.start,
                min(len(found.text), e.end + data.draw(st.integers(0, 3))),
                1,
                {},
            )
            for e in found.elements
            if data.draw(st.booleans())
        )
        found = ParsedDocument("", found.text, kept, (), None, "en", "text/plain")
    chunks = chunk_spans(found, count)
    assert chunk_spans(found, count) == chunks
    at = 0
    for chunk in chunks:
        assert at <= chunk.start < chunk.end <= len(found.text)
        assert not found.text[at : chunk.start].strip()
        assert chunk.sentences[0][0] == chunk.start
        assert chunk.sentences[-1][1] == chunk.end
        inner = chunk.start
        for low, high in chunk.sentences:
            assert inner <= low < high
            assert not found.text[inner:low].strip()
            inner = high
        assert chunk.tokens == sum(count([found.text[a:b] for a, b in chunk.sentences]))
        titles = [e for e in found.elements if e.category == "title" and chunk.start <= e.start < chunk.end]
        assert chunk.tokens <= 250 or (titles and chunk.tokens <= 250 + MAX_TITLE_TOKENS)
        at = chunk.end
    assert not found.text[at:].strip()


@settings(deadline=None)
@given(parts)
def test_the_heading_is_the_path_in_force(parts):
    found = document(parts)
    chunks = chunk_spans(found, count)
    for number, chunk in enumerate(chunks):
        path: list[Element] = []
        for element in found.elements:
            if element.category == "title" and element.start < chunk.end:
                deeper = not path or element.depth > path[-1].depth
                between = found.text[chunk.start : element.start]
                only_titles = all(
                    other.category == "title"
                    for other in found.elements
                    if other.end > chunk.start and other.start < element.start
                )
                if element.start > chunk.start and (not only_titles or (between.strip() and not deeper)):
                    break
                path = [title for title in path if title.depth < element.depth] + [element]
        expected = tuple(" ".join(found.text[title.start : title.end].split()) for title in path)
        assert chunk.heading[: len(expected)] == expected
        assert len(chunk.heading) <= len(expected) + 1
        # only titles that fill a chunk by themselves may be left without their text
        inside = [e for e in found.elements if e.start < chunk.end and e.end > chunk.start]
        if inside and all(e.category == "title" for e in inside) and number < len(chunks) - 1:
            assert chunk.tokens > MAX_TITLE_TOKENS - 6


def prose(r: random.Random) -> str:
    return " ".join(
        " ".join(r.choice("abcdefghijklmnopqrstuvwxyz") * r.randint(2, 9) for _ in range(r.randint(6, 25))).capitalize()
        + "."
        for _ in range(max(1, int(r.lognormvariate(1.1, 0.7))))
    )


@pytest.mark.parametrize("headings", [0.0, 0.2, pytest.param(0.6, marks=pytest.mark.soak)])
def test_an_edit_changes_the_chunks_near_it_only(headings):
    changed: Counter[int] = Counter()
    for seed in range(2):
        r = random.Random(seed)
        parts: list[Part] = []
        while sum(len(text.split()) for _, _, text in parts) < 36_000:
            if r.random() < headings:
                parts.append(("title", r.choice([0, 1, 1, 2]), prose(r)[:40]))
            parts.append(("text", 0, prose(r)))
        found = document(parts)
        before = set(texts(found, chunk_spans(found, count)))
        assert len(before) >= 160
        for edit in range(8):
            index = r.choice([i for i, part in enumerate(parts) if part[0] == "text"])
            edited = parts[index][2].split()
            edited.insert(r.randrange(min(6, len(edited)), len(edited) + 1), "changed")
            other = document([*parts[:index], ("text", 0, " ".join(edited)), *parts[index + 1 :]])
            changed[len(set(texts(other, chunk_spans(other, count))) - before)] += 1
            if edit < 4:  # a paragraph taken out is an edit too
                moved = document(parts[:index] + parts[index + 1 :])
                assert len(set(texts(moved, chunk_spans(moved, count))) - before) <= 8
    total = sum(changed.values())
    assert changed[1] >= 0.85 * total
    assert sum(changed[n] for n in (0, 1, 2, 3)) >= 0.95 * total
    assert max(changed) <= 8  # two regions


def test_chunks_are_near_their_target():
    r = random.Random(3)
    found = document([("text", 0, prose(r)) for _ in range(600)])
    sizes = [chunk.tokens for chunk in chunk_spans(found, count)]
    assert 150 <= sum(sizes) / len(sizes) <= 230
    assert sorted(sizes)[len(sizes) // 20] >= 90


@pytest.mark.parametrize("kind", ["paragraphs", "titles", "rows", "one paragraph", "same"])
def test_time_is_linear(kind):
    took = []
    for n in (500, 4000):
        r = random.Random(n)
        lines = ["the same words again. " * 3 if kind == "same" else prose(r)[:120] for _ in range(n)]
        whole: list[Part] = {
            "paragraphs": [("text", 0, line) for line in sorted(lines)],
            "same": [("text", 0, line) for line in lines],
            "titles": [("title", i % 5, line[:30]) for i, line in enumerate(lines)],
            "rows": [("table", 0, "\n".join(lines))],
            "one paragraph": [("text", 0, " ".join(lines))],
        }[kind]
        found = document(whole)
        started = time.process_time()
        chunk_spans(found, count)
        took.append(time.process_time() - started)
    assert took[1] < 8 * 4 * took[0] + 0.3  # quadratic would be 64 times
