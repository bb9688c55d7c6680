"""What a PDF of so many pages costs: `python -m evals.bench.pdf_growth FILE PAGES`. Its pages are a file's, repeated.

A process of its own for each size, so that its peak memory is that of one reading.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import pypdfium2 as pdfium

from ingest.pdf import parse_pdf


def main() -> int:
    source, pages = Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grown.pdf"
        original, grown = pdfium.PdfDocument(source), pdfium.PdfDocument.new()
        while len(grown) < pages:
            grown.import_pages(original, list(range(min(len(original), pages - len(grown)))))
        grown.save(path)
        grown.close()
        original.close()
        before = time.process_time()
        parsed = parse_pdf(path, name=path.name)
        cpu_s = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    boxes = sum(page.boxes.nbytes for page in parsed.pages)
    print(
        f"{parsed.page_count:5d} pages, {len(parsed.text):8d} characters: {cpu_s:7.2f} s CPU, "
        f"{1000 * cpu_s / pages:6.1f} ms a page, {peak:6.0f} MB peak, boxes {boxes / 1e6:.1f} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
