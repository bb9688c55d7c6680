"""A process that reads PDFs in one way and says what each cost: `python -m evals.bench.pdf_reader text|whole|rival`.

One JSON line in, `{"path": ..., "text": true}`; one out: pages, CPU seconds, letters, and with `text` the blocks found.
`rival` is unstructured's own `partition_pdf(strategy="fast")`, with the tagger that Quoth puts in the place of the
downloaded one (`ingest.parsing.prepare`): the faster of the two, so the comparison favours the rival.

`unstructured_inference.inference.layout` imports torch for the strategies that use a layout model. The fast strategy
imports the module and calls nothing in it, so an empty one is put in its place: torch need not be there.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

Blocks = list[tuple[str, int, str]]  # category, depth, text
Read = Callable[[Path], tuple[int, Blocks]]

RIVAL_PACKAGES: Final = (
    "unstructured[csv,docx,md,pptx,xlsx]==0.27.32",
    "unstructured-inference>=1.6.12,<2 (with --no-deps: its own dependencies bring torch, and are not used)",
    "pdfminer.six>=20251230",
    "pi-heif>=1.2",
    "pikepdf>=10.3",
    "pypdf>=6.9.1,<7",
    "pdf2image>=1.17",
    "wrapt",
    "opencv-python-headless",
)


def text_reader() -> Read:
    """Characters with their boxes, in PDFium's order: no reading order, no headings, no tables."""
    import pypdfium2

    from ingest.page_reading import read_characters, to_display

    def read(path: Path) -> tuple[int, Blocks]:
        document = pypdfium2.PdfDocument(path)
        found: Blocks = []
        try:
            count = len(document)
            for index in range(count):
                page = document[index]
                textpage = page.get_textpage()
                characters = read_characters(textpage, to_display(page), page.get_size())
                found.append(("text", 0, "".join(characters.characters)))
                textpage.close()
                page.close()
        finally:
            document.close()
        return count, found

    return read


def whole_reader() -> Read:
    """What Quoth makes of a PDF: reading order, headings, tables, boxes."""
    from ingest.pdf import parse_pdf

    def read(path: Path) -> tuple[int, Blocks]:
        parsed = parse_pdf(path, name=path.name)
        return parsed.page_count or 0, [(e.category, e.depth, parsed.text[e.start : e.end]) for e in parsed.elements]

    return read


def rival_reader() -> Read:
    """unstructured's fast strategy.

    Raises:
        ImportError: a package of RIVAL_PACKAGES is missing.
    """
    os.environ.update(DO_NOT_TRACK="1", SCARF_NO_ANALYTICS="1", UNSTRUCTURED_DISABLE_NOTICE="1", HF_HUB_OFFLINE="1")
    layout = types.ModuleType("unstructured_inference.inference.layout")
    layout.convert_pdf_to_image = None  # type: ignore[attr-defined]
    sys.modules[layout.__name__] = layout
    from unstructured.partition.pdf import partition_pdf

    from ingest.parsing import prepare

    prepare()
    names = {"Title": "title", "Table": "table", "Header": "header", "Footer": "footer", "ListItem": "list_item"}

    def read(path: Path) -> tuple[int, Blocks]:
        elements: list[Any] = partition_pdf(str(path), strategy="fast", languages=["eng"])
        pages = max((element.metadata.page_number or 0 for element in elements), default=0)
        return pages, [
            (names.get(one.category, "text"), one.metadata.category_depth or 0, one.text or "") for one in elements
        ]

    return read


READERS: Final[dict[str, Callable[[], Read]]] = {"text": text_reader, "whole": whole_reader, "rival": rival_reader}


def cpu_s() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> int:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    try:
        read = READERS[sys.argv[1]]()
    except ImportError as error:
        print(json.dumps({"missing": f"{error}"}), file=answers, flush=True)
        return 1
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        before = cpu_s()
        answer: dict[str, Any] = {}
        blocks: Blocks = []
        try:
            answer["pages"], blocks = read(Path(request["path"]))
        except Exception as error:  # any failure of a reader is a result: the file gave nothing
            answer["error"] = f"{type(error).__name__}: {error}"[:200]
        answer["cpu_s"] = cpu_s() - before
        answer["letters"] = sum(character.isalnum() for _, _, text in blocks for character in text)
        if request.get("text"):
            answer["blocks"] = blocks
        print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
