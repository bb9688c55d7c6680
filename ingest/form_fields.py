"""What was filled into the fields of a PDF form: a page's own text lacks it. Runs only in the child."""

from __future__ import annotations

import ctypes
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pypdfium2.raw as raw
from numpy.typing import NDArray

from ingest.page_reading import Characters
from ingest.page_text import Style

_UNSEEN: Final = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW | raw.FPDF_ANNOT_FLAG_INVISIBLE
_TYPED: Final = (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX)
_TICKED: Final = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
_PASSWORD: Final = 1 << 13  # flag of a field that shows asterisks
_TICK: Final = "\u2612"
_MAX_FIELDS: Final = 2000
_MAX_VALUE: Final = 20_000  # characters
_LARGEST_POINTS: Final = 12.0  # of letters whose size is left to the program
_WIDTH_EM: Final = 0.5  # of a letter on average


@dataclass(frozen=True, slots=True)
class Field:
    """One field that was filled in."""

    value: str
    box: tuple[float, float, float, float]  # x0, y0, x1, y1 as displayed
    size: float  # points


def read_fields(page: Any, forms: Any, displayed: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> list[Field]:
    """The fields of a page that hold something and that readers see, in the form's order.

    Args:
        page: as pypdfium2 wraps it.
        forms: the document's form environment, as pypdfium2 wraps it.
        displayed: turns (n, 4) left, bottom, right, top in user space into x0, y0, x1, y1 as displayed.
    """
    found = []
    bounds, size = raw.FS_RECTF(), ctypes.c_float()
    for i in range(min(max(0, raw.FPDFPage_GetAnnotCount(page)), _MAX_FIELDS)):
        note = raw.FPDFPage_GetAnnot(page, i)
        if not note:
            continue
        try:
            if raw.FPDFAnnot_GetSubtype(note) != raw.FPDF_ANNOT_WIDGET or raw.FPDFAnnot_GetFlags(note) & _UNSEEN:
                continue
            value = _value(forms, note)
            if not value or not raw.FPDFAnnot_GetRect(note, ctypes.byref(bounds)):
                continue
            size.value = 0
            raw.FPDFAnnot_GetFontSize(forms, note, ctypes.byref(size))
            box = displayed(np.array([[bounds.left, bounds.bottom, bounds.right, bounds.top]]))[0].tolist()
            if box[2] - box[0] < 1 or box[3] - box[1] < 1:
                continue  # a field without room shows nothing
            found.append(Field(value, tuple(box), size.value or min(_LARGEST_POINTS, 0.75 * (box[3] - box[1]))))
        finally:
            raw.FPDFPage_CloseAnnot(note)
    return found


def _value(forms: Any, note: Any) -> str:
    kind = raw.FPDFAnnot_GetFormFieldType(forms, note)
    if kind in _TICKED:
        return _TICK if raw.FPDFAnnot_IsChecked(forms, note) else ""
    if kind not in _TYPED or raw.FPDFAnnot_GetFormFieldFlags(forms, note) & _PASSWORD:
        return ""
    length = min(raw.FPDFAnnot_GetFormFieldValue(forms, note, None, 0), 2 * _MAX_VALUE)
    buffer = ctypes.create_string_buffer(length + 2)
    raw.FPDFAnnot_GetFormFieldValue(forms, note, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), length)
    return buffer.raw[:length].decode("utf-16-le", "replace").rstrip("\0").strip()


def with_fields(read: Characters, fields: Sequence[Field]) -> Characters:
    """A page's characters and after them each field's, line by line, at the place of the field.

    Letters are given the average width: a field says which words stand in it, and not where each letter does.
    """
    characters, styles, style_of = list(read.characters), list(read.styles), list(read.style_of)
    boxes: list[tuple[float, float, float, float]] = []
    for field in fields:
        x0, y0, x1, y1 = field.box
        room = max(1, int((x1 - x0) / (_WIDTH_EM * field.size)))
        lines = [line for part in field.value.splitlines() for line in textwrap.wrap(part, room)]
        height = min(1.2 * field.size, (y1 - y0) / max(1, len(lines)))
        top = y0 + max(0.0, (y1 - y0 - height * len(lines)) / 2)
        for at, line in enumerate(lines):
            baseline = top + (at + 0.8) * height
            styles.append(Style(round(field.size, 2), False, False, True, baseline, 0))
            width = min(_WIDTH_EM * field.size, (x1 - x0) / len(line))
            characters.extend("\n" + line)
            style_of.extend([len(styles) - 1] * (len(line) + 1))
            boxes.append((0.0, 0.0, 0.0, 0.0))
            boxes.extend(
                (x0 + i * width, top + at * height, x0 + (i + 1) * width, top + (at + 1) * height)
                for i in range(len(line))
            )
    return read._replace(
        characters=characters,
        boxes=np.concatenate([read.boxes, np.array(boxes, np.float64).reshape(-1, 4)]),
        styles=styles,
        style_of=style_of,
    )
