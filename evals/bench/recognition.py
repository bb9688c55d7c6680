"""How much of printed pages text recognition reads, whether its boxes lie on the words, and what a page costs.

    python -m evals.bench.recognition [--pages 2] [--dpi 150] [--only clean,slanting] [--pictures FOLDER]

Pages of invented prose are set in three faces with a heading, two columns on every third page and a table, turned into
pictures that are worn in ways scans are, and put into a PDF without text. The truth is what the printed PDF says of
itself. Each kind of wear is read in a process of its own, as the parser does, which loads the models anew: its cost
includes that. FOLDER receives each first page with the words' boxes drawn on it.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pypdfium2 as pdfium
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ingest.model import Box, ParsedDocument
from ingest.pdf import parse_pdf

_WORDS: Final = tuple(
    """the a of in and to for with harbour pier ship anchor winter storm captain cargo ledger warehouse
crane rope lantern tide channel pilot customs officer invoice tariff berth schedule inspection licence penalty payment
deadline appeal notice written request within fourteen days shall must may not be granted refused extended reviewed
before after between under section article paragraph annual monthly daily report figures total amount percent increase
decrease quality measure safety equipment training certificate valid until renewed observed recorded archived
quarterly summary appendix schedule keeper maintenance operator vessel registration tonnage ballast""".split()  # noqa: SIM905
)
_FACES: Final = (("Times-Roman", "Times-Bold"), ("Helvetica", "Helvetica-Bold"), ("Courier", "Courier-Bold"))
_CENTRED: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    page: int
    box: Box  # points as displayed


# -- pages to read -----------------------------------------------------------------------------------------------------


def _print_pages(path: Path, pages: int, choose: random.Random) -> None:
    canvas = Canvas(str(path), pagesize=A4)
    for number in range(pages):
        face, bold = _FACES[number % len(_FACES)]
        canvas.setFont(bold, 17)
        canvas.drawString(60, 770, f"{number + 1} {_sentence(choose, 4).rstrip('.')}")
        columns = ((60, 225), (310, 225)) if number % 3 == 2 else ((60, 475),)
        for x, width in columns:
            y = 735.0
            while y > 220:
                canvas.setFont(face, 10.5)
                line = _sentence(choose, 14)
                words = line.split()
                row = ""
                for word in words:
                    if canvas.stringWidth(f"{row} {word}", face, 10.5) > width:
                        canvas.drawString(x, y, row)
                        y -= 14
                        row = word
                    else:
                        row = f"{row} {word}".strip()
                canvas.drawString(x, y, row)
                y -= 22
        for row_number in range(6):
            for column in range(4):
                canvas.rect(60 + 110 * column, 80 + 18 * row_number, 110, 18)
                cell = choose.choice(_WORDS) if column == 0 else f"{choose.randint(1, 9999) / 10:,.1f}"
                canvas.drawString(65 + 110 * column, 85 + 18 * row_number, cell)
        canvas.showPage()
    canvas.save()


def _sentence(choose: random.Random, words: int) -> str:
    chosen = choose.choices(_WORDS, k=words)
    if choose.random() < 0.4:
        chosen.insert(words // 2, f"{choose.choice('ABCDE')}-{choose.randint(10, 9999)}")
    return " ".join(chosen).capitalize() + "."


def _clean(picture: Image.Image, dice: np.random.Generator) -> Image.Image:
    return picture


def _grey(picture: Image.Image, dice: np.random.Generator) -> Image.Image:
    """Grey print on yellowed paper, a little out of focus, with the sensor's noise."""
    values = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.7)), np.float64)
    paper = np.array([238, 228, 200])
    worn = 70 + values / 255 * (paper - 70) + dice.normal(0, 9, values.shape)
    return Image.fromarray(np.clip(worn, 0, 255).astype(np.uint8))


def _slanting(picture: Image.Image, dice: np.random.Generator) -> Image.Image:
    return picture.rotate(1.7, Image.Resampling.BICUBIC, fillcolor="white")


def _fax(picture: Image.Image, dice: np.random.Generator) -> Image.Image:
    """Black and white with specks."""
    values = np.asarray(picture.convert("L"), np.float64) + dice.normal(0, 60, picture.size[::-1])
    return Image.fromarray(((values > 128) * 255).astype(np.uint8)).convert("RGB")


def _upside_down(picture: Image.Image, dice: np.random.Generator) -> Image.Image:
    return picture.transpose(Image.Transpose.ROTATE_180)


def _shown_slanting(box: Box) -> Box:
    angle = np.radians(1.7)
    x, y = (box[0] + box[2] - A4[0]) / 2, (box[1] + box[3] - A4[1]) / 2
    moved = (x * np.cos(angle) + y * np.sin(angle) - x, y * np.cos(angle) - x * np.sin(angle) - y)
    return (box[0] + moved[0], box[1] + moved[1], box[2] + moved[0], box[3] + moved[1])


def _shown_upside_down(box: Box) -> Box:
    return (A4[0] - box[2], A4[1] - box[3], A4[0] - box[0], A4[1] - box[1])


_Wear = Callable[[Image.Image, np.random.Generator], Image.Image]
_WEAR: Final[dict[str, tuple[_Wear, Callable[[Box], Box]]]] = {
    "clean": (_clean, lambda box: box),
    "grey": (_grey, lambda box: box),
    "slanting": (_slanting, _shown_slanting),
    "fax": (_fax, lambda box: box),
    "upside down": (_upside_down, _shown_upside_down),
}


def _scan(printed: Path, to: Path, wear: _Wear, dpi: float) -> None:
    dice = np.random.default_rng(5)
    canvas = Canvas(str(to), pagesize=A4)
    for page in pdfium.PdfDocument(printed):
        buffer = io.BytesIO()
        wear(page.render(scale=dpi / 72).to_pil().convert("RGB"), dice).save(buffer, "JPEG", quality=75)
        canvas.drawImage(ImageReader(buffer), 0, 0, *A4)
        canvas.showPage()
    canvas.save()


# -- what was read -----------------------------------------------------------------------------------------------------


def _words_of(document: ParsedDocument) -> list[_Word]:
    found = []
    for page in document.pages:
        size = np.array([page.width, page.height] * 2) / 65535
        at = page.start
        for piece in document.text[page.start : page.end].split():
            at = document.text.index(piece, at)
            rows = page.boxes[at - page.start : at - page.start + len(piece)]
            rows = rows[rows.any(axis=1)].astype(np.float64)
            at += len(piece)
            if len(rows):
                x0, y0, x1, y1 = np.concatenate([rows[:, :2].min(axis=0), rows[:, 2:].max(axis=0)]) * size
                found.append(_Word(piece, page.page, (float(x0), float(y0), float(x1), float(y1))))
    return found


def _compare(true: list[_Word], read: list[_Word], shown: Callable[[Box], Box]) -> dict[str, float]:
    """Words found in order, of all; of those, boxes around the true middle; the share of a true box that is covered."""
    matcher = difflib.SequenceMatcher(None, [w.text for w in true], [w.text for w in read], autojunk=False)
    pairs = [(true[a + i], read[b + i]) for a, b, size in matcher.get_matching_blocks() for i in range(size)]
    centred = 0
    covered: list[float] = []
    for expected, word in pairs:
        x0, y0, x1, y1 = shown(expected.box)
        x, y = (x0 + x1) * _CENTRED, (y0 + y1) * _CENTRED
        left, top, right, bottom = word.box
        same = word.page == expected.page
        centred += same and left <= x <= right and top <= y <= bottom
        wide, tall = min(x1, right) - max(x0, left), min(y1, bottom) - max(y0, top)
        covered.append(max(0.0, wide) * max(0.0, tall) / ((x1 - x0) * (y1 - y0)) if same else 0.0)
    return {
        "recall": len(pairs) / max(1, len(true)),
        "extra": (len(read) - len(pairs)) / max(1, len(read)),
        "centred": centred / max(1, len(pairs)),
        "covered": float(np.mean(covered)) if covered else 0.0,
    }


def _in_its_own_process(work: Callable[[], dict[str, float]]) -> tuple[dict[str, float], float, float]:
    """What `work` returns, its CPU seconds, and the most memory it held, in MB."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(out)
            os.write(into, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        content = pipe.read()
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"The reading ended with status {status}.")
    return json.loads(content), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _draw(file: Path, document: ParsedDocument, to: Path) -> None:
    picture = pdfium.PdfDocument(file)[0].render(scale=1.6).to_pil().convert("RGB")
    draw = ImageDraw.Draw(picture)
    for word in _words_of(document):
        if word.page == 1:
            draw.rectangle([1.6 * side for side in word.box], outline="red")
    picture.save(to)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.bench.recognition", description=__doc__)
    parser.add_argument("--pages", type=int, default=2, help="of each document (2)")
    parser.add_argument("--dpi", type=float, default=150, help="of the scans (150)")
    parser.add_argument("--only", default="", help="kinds of wear, separated by commas")
    parser.add_argument("--pictures", type=Path, help="folder for first pages with the boxes drawn on them")
    arguments = parser.parse_args(argv)
    wanted = [name for name in _WEAR if not arguments.only or name in arguments.only.split(",")]
    print(f"{'wear':12} {'words':>6} {'read':>7} {'extra':>7} {'centred':>8} {'covered':>8} {'score':>6} "
          f"{'CPU s/page':>11} {'peak MB':>8}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder) / "printed.pdf"
        _print_pages(printed, arguments.pages, random.Random(3))
        true = _words_of(parse_pdf(printed, name="printed.pdf"))
        for name in wanted:
            wear, shown = _WEAR[name]
            file = Path(folder) / "scan.pdf"
            _scan(printed, file, wear, arguments.dpi)

            def work(name: str = name, file: Path = file, shown: Callable[[Box], Box] = shown) -> dict[str, float]:
                document = parse_pdf(file, name="scan.pdf")
                if arguments.pictures:
                    arguments.pictures.mkdir(parents=True, exist_ok=True)
                    _draw(file, document, arguments.pictures / f"{name.replace(' ', '_')}.png")
                scores: NDArray[np.float64] = np.array([page.recognition or 0.0 for page in document.pages])
                return {**_compare(true, _words_of(document), shown), "score": float(scores.mean())}

            found, cpu_s, peak_mb = _in_its_own_process(work)
            print(f"{name:12} {len(true):6,} {found['recall']:7.1%} {found['extra']:7.1%} {found['centred']:8.1%} "
                  f"{found['covered']:8.1%} {found['score']:6.3f} {cpu_s / arguments.pages:11.1f} "
                  f"{peak_mb:8.0f}")  # fmt: skip
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
