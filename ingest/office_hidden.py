"""What a reader of a Word file or of slides does not see: taken out before the text is read, and reported.

Word: text set as hidden, in white on the white page, or of a size that nobody reads. Slides: those that are not shown
in a presentation, and shapes that are hidden or lie beyond the slide's edges. Colours of slides are not judged, since
what lies beneath a shape is not known; nor are colours that a theme names.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from docx.oxml.ns import qn

from ingest.hidden_text import MAX_FINDINGS, MIN_FONT_PT, hidden_finding
from ingest.model import Finding

_PALE: Final = 244  # of 255, in each of red, green and blue: nobody tells it from white
_DEEPEST_STYLE: Final = 20
_RUN, _RUN_PROPERTIES, _VALUE = qn("w:r"), qn("w:rPr"), qn("w:val")
_SHADE: Final = qn("w:shd")
_PART_NAMES: Final = ("header", "footer", "first_page_header", "first_page_footer")
_Properties = dict[str, Any]  # by tag: w:vanish, w:color ..., the element that sets it


@dataclass(frozen=True, slots=True)
class _Look:
    """How a run of text is drawn, as far as it can hide it."""

    vanish: bool
    pale: bool
    tiny: bool

    @property
    def how(self) -> str:
        if self.vanish:
            return "set as hidden text"
        if self.pale:
            return "white on white"
        return f"letters under {MIN_FONT_PT:g} points" if self.tiny else ""


def take_out_hidden_runs(document: Any) -> tuple[Finding, ...]:
    """Remove from a Word document, as python-docx opened it, the runs that nobody sees; reported by paragraph.

    A run that takes its colour over a shaded cell, paragraph or highlight is left: what lies beneath decides.
    """
    styles = _Styles(document)
    found: list[tuple[str, str]] = []
    for root in _roots(document):
        for paragraph in list(root.iter(qn("w:p"))):
            hidden: dict[str, list[str]] = {}
            runs = [run for run in paragraph.iter(_RUN) if next(_paragraphs_of(run), None) is paragraph]
            for run in runs:
                how = styles.look(run, paragraph).how
                if how and (text := "".join(run.itertext(qn("w:t"), qn("w:delText")))):
                    hidden.setdefault(how, []).append(text)
                    run.getparent().remove(run)
            found.extend((how, "".join(texts)) for how, texts in hidden.items())
    return _told(found)


def take_out_hidden_slides(presentation: Any) -> tuple[Finding, ...]:
    """Empty the hidden slides of a presentation, as python-pptx opened it, and remove unseen shapes of the others.

    The slides stay where they are, so that the numbers of the others do not change.
    """
    found: list[tuple[str, str]] = []
    width, height = presentation.slide_width, presentation.slide_height
    for number, slide in enumerate(presentation.slides, 1):
        away = slide._element.get("show") in ("0", "false")
        for shape in list(slide.shapes):
            how = f"on slide {number}, which is hidden" if away else _unseen_shape(shape, number, width, height)
            if how:
                text = " ".join(piece for piece in shape._element.itertext(_DRAWN_TEXT) if piece)
                shape._element.getparent().remove(shape._element)
                found.append((how, text))
    return _told(_joined(found))


_DRAWN_TEXT: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"


def _unseen_shape(shape: Any, number: int, width: int, height: int) -> str:
    for properties in shape._element.iter("{http://schemas.openxmlformats.org/presentationml/2006/main}cNvPr"):
        if properties.get("hidden") in ("1", "true"):
            return f"in a hidden shape of slide {number}"
        break
    if None in (shape.left, shape.top, shape.width, shape.height):
        return ""
    beyond = shape.left >= width or shape.top >= height or shape.left + shape.width <= 0
    return f"beyond the edges of slide {number}" if beyond or shape.top + shape.height <= 0 else ""


def _joined(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        (how, " ".join(text for _, text in group)) for how, group in itertools.groupby(found, key=lambda one: one[0])
    ]


def _told(found: Iterable[tuple[str, str]]) -> tuple[Finding, ...]:
    words = ((how, " ".join(text.split())) for how, text in found)
    told = (hidden_finding(how, text) for how, text in words if any(map(str.isalnum, text)))
    return tuple(itertools.islice(dict.fromkeys(told), MAX_FINDINGS))


# -- Word --------------------------------------------------------------------------------------------------------------


def _roots(document: Any) -> Iterator[Any]:
    yield document.element.body
    for section in document.sections:
        for name in _PART_NAMES:
            part = getattr(section, name)
            if not part.is_linked_to_previous:
                yield part._element


def _paragraphs_of(element: Any) -> Iterator[Any]:
    return element.iterancestors(qn("w:p"))


class _Styles:
    """What the styles of a document say of runs; a run's own properties go before its style's, these before others."""

    def __init__(self, document: Any) -> None:
        self._own = {style.get(qn("w:styleId")): style for style in document.styles.element.iter(qn("w:style"))}
        self._default = next(
            (s.get(qn("w:styleId")) for s in self._own.values()
             if s.get(qn("w:type")) == "paragraph" and s.get(qn("w:default")) in ("1", "true")), None,
        )  # fmt: skip
        self._known: dict[str | None, _Properties] = {}
        background = document.element.find(qn("w:background"))
        self._paper = background is None or _pale(background.get(qn("w:color")))

    def look(self, run: Any, paragraph: Any) -> _Look:
        properties = dict(self._of_style(_style_name(paragraph.find(qn("w:pPr")), "w:pStyle") or self._default))
        own = run.find(_RUN_PROPERTIES)
        properties |= self._of_style(_style_name(own, "w:rStyle")) | _by_tag(own)
        colour, size = properties.get("color"), properties.get("sz")
        pale = colour is not None and colour.get(qn("w:themeColor")) is None and _pale(colour.get(_VALUE))
        return _Look(
            vanish=_on(properties.get("vanish")),  # webHidden is for page numbers of contents, and they are printed
            pale=pale and self._paper and not _painted(properties) and not _on_paint(paragraph),
            tiny=size is not None and _half_points(size.get(_VALUE)) < 2 * MIN_FONT_PT,
        )

    def _of_style(self, name: str | None, depth: int = 0) -> _Properties:
        if name is None or name not in self._own or depth > _DEEPEST_STYLE:
            return {}
        if name not in self._known:
            style = self._own[name]
            above = self._of_style(_style_name(style, "w:basedOn"), depth + 1)
            self._known[name] = above | _by_tag(style.find(_RUN_PROPERTIES)) | _band(style.find(qn("w:pPr")))
        return self._known[name]


def _style_name(properties: Any, tag: str) -> str | None:
    named = properties.find(qn(tag)) if properties is not None else None
    return named.get(_VALUE) if named is not None else None


def _by_tag(properties: Any) -> _Properties:
    return {child.tag.rpartition("}")[2]: child for child in properties} if properties is not None else {}


def _on(element: Any) -> bool:
    return element is not None and element.get(_VALUE, "1") not in ("0", "false", "off")


def _half_points(value: str | None) -> float:
    try:
        return float(value or "")
    except ValueError:
        return 24.0


def _pale(colour: str | None) -> bool:
    if not colour or len(colour) != 6:
        return False
    try:
        return min(bytes.fromhex(colour)) >= _PALE
    except ValueError:
        return False


def _band(properties: Any) -> _Properties:
    """The shade behind a whole paragraph."""
    shade = properties.find(_SHADE) if properties is not None else None
    return {"band": shade} if shade is not None else {}


def _painted(properties: _Properties) -> bool:
    """Whether a run is highlighted or shaded, or its paragraph's style is."""
    highlight = properties.get("highlight")
    if highlight is not None and highlight.get(_VALUE) not in ("none", "white"):
        return True
    return _is_shade(properties.get("shd")) or _is_shade(properties.get("band"))


def _is_shade(shade: Any) -> bool:
    if shade is None:
        return False
    fill = shade.get(qn("w:fill"), "auto")
    return shade.get(qn("w:themeFill")) is not None or (fill != "auto" and not _pale(fill))


def _on_paint(paragraph: Any) -> bool:
    """Whether a paragraph is shaded, or lies in a cell or a text box: what paints those is not followed."""
    properties = paragraph.find(qn("w:pPr"))
    if properties is not None and (properties.find(qn("w:framePr")) is not None or _is_shade(properties.find(_SHADE))):
        return True
    return next(paragraph.iterancestors(qn("w:tc"), qn("w:txbxContent")), None) is not None
