"""Rows of tables: every row in one block, under its header, with the numbers the program shows."""

from __future__ import annotations

from pathlib import Path

import openpyxl
from hypothesis import given
from hypothesis import strategies as st

from ingest.spreadsheets import ROWS_PER_BLOCK, csv_blocks, xlsx_blocks


def test_every_row_of_a_long_file_is_found_by_its_number() -> None:
    count = 20_000
    text = "name,days\n" + "".join(f"Person {number},{number % 31}\n" for number in range(2, count + 2))
    blocks = list(csv_blocks(text))
    assert len(blocks) == count // ROWS_PER_BLOCK
    expected = 2
    for block in blocks:
        header, *lines = block.text.split("\n")
        assert header == "name | days"
        first, last = int(block.place["first_row"]), int(block.place["last_row"])
        assert last == expected + len(lines) - 1 and first == (1 if expected == 2 else expected)
        assert lines[0] == f"Person {expected} | {expected % 31}"
        expected = last + 1
    assert expected == count + 2


def test_areas_of_a_sheet_have_headers_and_rows_of_their_own(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = "Größen"
    for row in (["Grade", "Days"], ["Junior", 25], [], [], ["City", "Office"], ["Köln", "North"]):
        sheet.append(row)
    workbook.save(tmp_path / "a.xlsx")
    blocks, warnings, _ = xlsx_blocks(tmp_path / "a.xlsx")
    assert [(block.text, dict(block.place)) for block in blocks] == [
        ("Grade | Days\nJunior | 25", {"sheet": "Größen", "first_row": 1, "last_row": 2}),
        ("City | Office\nKöln | North", {"sheet": "Größen", "first_row": 5, "last_row": 6}),
    ]
    assert not warnings


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99)), min_size=2, max_size=70))
def test_no_row_is_lost_or_told_twice(rows: list[tuple[str, int]]) -> None:
    blocks = list(csv_blocks("name,days\n" + "".join(f"{name},{days}\n" for name, days in rows), delimiter=","))
    lines = [line for block in blocks for line in block.text.split("\n")[1:]]
    assert lines == [f"{name} | {days}" for name, days in rows]


def test_a_header_of_two_rows_set_off_by_an_empty_one_is_kept_over_every_block(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = "Results"
    for row in (
        ["In millions", None, "January to June"],
        [None, "Sales", "Profit"],
        [],
        ["North", 12, 3],
        ["South", 9],
    ):
        sheet.append(row)
    sheet.append([])
    sheet.append(["(a)", "Not significant."])
    workbook.save(tmp_path / "a.xlsx")
    blocks, _, _ = xlsx_blocks(tmp_path / "a.xlsx")
    assert [(block.text, block.place["first_row"], block.place["last_row"]) for block in blocks] == [
        ("In millions |  | January to June\n | Sales | Profit\nNorth | 12 | 3\nSouth | 9", 1, 5),
        ("(a) | Not significant.", 7, 7),
    ]


def test_rows_of_a_sheet_that_claims_the_last_column_are_read_to_the_limit(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.active.append(["first", "second"])
    workbook.active.cell(1, 16_000, "far away")
    workbook.save(tmp_path / "a.xlsx")
    blocks, _, _ = xlsx_blocks(tmp_path / "a.xlsx")
    assert [block.text for block in blocks] == ["first | second"]
