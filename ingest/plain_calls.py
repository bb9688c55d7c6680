"""Functions of PDFium that take and give plain numbers and addresses, so that `map` can call them in a loop in C."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pypdfium2.raw as raw


def plain(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function of PDFium by name, with the types of `ctypes` of what it gives and takes; addresses are c_void_p.

    Unlike the one in `pypdfium2.raw` it holds the interpreter's lock and wraps nothing, at a fifth of the cost.
    """
    place = ctypes.cast(getattr(raw, name), ctypes.c_void_p).value
    assert place is not None
    return ctypes.PYFUNCTYPE(result, *arguments)(place)


def address_of(wrapped: Any) -> int:
    """Of what pypdfium2 wraps: a page, a page of text, an object."""
    place = ctypes.cast(getattr(wrapped, "raw", wrapped), ctypes.c_void_p).value
    assert place is not None
    return place
