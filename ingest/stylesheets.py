"""The part of CSS that hides text: rules of a page's own style sheets and inline styles, as declared, not as laid out.

Selectors of tags, classes and ids with descendants and children are matched. Rules that hold in some state or medium
only (`:hover`, `@media print`) are kept apart: what they show is not hidden for good.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

Style = Mapping[str, str]  # property: value, both in small letters
Colour = tuple[int, int, int]
_Part = tuple[str, str, frozenset[str], frozenset[str]]  # combinator with what is inside it, tag, ids, classes

_MAX_CSS_CHARS: Final = 1_000_000
_MAX_RULES: Final = 10_000
_MAX_ALIKE: Final = 200  # rules that name the same innermost part
_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_BRACE: Final = re.compile(r"([^{}]*)([{}])")
_COMPOUND: Final = re.compile(r"([a-z][\w-]*|\*)?((?:[.#][\w-]+)*)")
_STATE: Final = re.compile(r"::?[\w-]+(?:\([^)]*\))?|\[[^\]]*\]")
_OF_INTEREST: Final = re.compile(
    r"display|visibility|opacity|color|background|font|position|left|right|top|bottom|text-indent|clip|width|height"
    r"|overflow|transform|transition|animation|filter|mso-hide"
)


@dataclass(frozen=True, slots=True)
class _Rule:
    chain: tuple[_Part, ...]  # innermost first
    weight: tuple[int, int, int, int]  # ids, classes, tags, place in the sheet
    style: Style
    urgent: Style


@dataclass(slots=True)
class StyleSheet:
    """A page's own rules, found again by what their innermost part names."""

    always: dict[str, list[_Rule]] = field(default_factory=lambda: defaultdict(list))
    sometimes: dict[str, list[_Rule]] = field(default_factory=lambda: defaultdict(list))
    complete: bool = True  # no sheet elsewhere, no selector that is not understood sets a background
    size: int = 0

    def add(self, css: str) -> None:
        """Take in the text of one style element."""
        css = _COMMENT.sub("", css[:_MAX_CSS_CHARS]).lower()
        if "@import" in css:
            self.complete = False
        inside: list[str] = []  # "always", "sometimes", "never": groups and rules that are open
        prelude = ""
        for text, brace in _BRACE.findall(css):
            if brace == "{":
                prelude = text.rpartition(";")[2].strip()
                inside.append(_when(prelude) if prelude.startswith("@") else "rule")
                continue
            opened = inside.pop() if inside else ""
            if opened == "rule" and "never" not in inside and _OF_INTEREST.search(text):
                self._add_rule(prelude, text, "sometimes" in inside)
        if len(css) == _MAX_CSS_CHARS:
            self.complete = False

    def _add_rule(self, selectors: str, declarations: str, sometimes: bool) -> None:
        style, urgent = _declarations(declarations)
        for selector in selectors.split(","):
            self.size += 1
            if self.size > _MAX_RULES:
                self.complete = False
                return
            plain = _STATE.sub("", selector)
            chain = _chain(plain)
            if chain is None or ("background" in declarations and plain != selector):
                self.complete = False
            if chain is None:
                continue
            _, tag, ids, classes = chain[0]
            named = [*("#" + name for name in ids), *("." + name for name in classes), tag or "*"]
            weight = (
                sum(len(part[2]) for part in chain),
                sum(len(part[3]) for part in chain),
                sum(bool(part[1]) for part in chain),
                self.size,
            )
            rules = self.sometimes if sometimes or plain != selector else self.always
            if len(rules[named[0]]) < _MAX_ALIKE:
                rules[named[0]].append(_Rule(chain, weight, style, urgent))

    def style_of(self, element: Any) -> Style:
        """What holds for an element by the sheets and its own style attribute."""
        own, urgent = _declarations(element.get("style", "").lower())
        rules = sorted(_matching(self.always, element), key=lambda rule: rule.weight) if self.always else []
        if not rules:
            return {**own, **urgent} if urgent else own
        merged: dict[str, str] = {}
        for rule in rules:
            merged |= rule.style
        merged |= own
        for rule in rules:
            merged |= rule.urgent
        return {**merged, **urgent}

    def shown_sometimes(self, element: Any) -> bool:
        """Whether some state or medium shows it: a menu under the pointer, a part for print."""
        return any(
            style.get("display", "none") != "none" or style.get("visibility") == "visible" or "opacity" in style
            for rule in _matching(self.sometimes, element)
            for style in (rule.style, rule.urgent)
        )


def _when(prelude: str) -> str:
    if prelude.startswith(("@supports", "@layer", "@container")):
        return "always"
    if not prelude.startswith("@media"):
        return "never"
    return "always" if re.fullmatch(r"@media\s*(?:(?:only\s+)?screen|all)?\s*", prelude) else "sometimes"


@lru_cache(maxsize=4096)
def _declarations(text: str) -> tuple[Style, Style]:
    """Declarations, and those that are !important. A page repeats few of them on many elements."""
    style: dict[str, str] = {}
    urgent: dict[str, str] = {}
    for declaration in text.split(";") if text else ():
        name, colon, value = declaration.partition(":")
        if colon and _OF_INTEREST.search(name):
            value, mark, _ = value.partition("!important")
            (urgent if mark else style)[name.strip()] = value.strip()
    return style, urgent


def _chain(selector: str) -> tuple[_Part, ...] | None:
    """A selector from its innermost part outwards; None where it is not understood."""
    parts: list[_Part] = []
    combinator = ""
    for word in reversed(selector.replace(">", " > ").split()):
        if word == ">":
            combinator = ">"
            continue
        matched = _COMPOUND.fullmatch(word)
        if not matched:
            return None
        names = re.findall(r"[.#][\w-]+", matched[2])
        ids = frozenset(name[1:] for name in names if name[0] == "#")
        classes = frozenset(name[1:] for name in names if name[0] == ".")
        parts.append((combinator, "" if matched[1] in (None, "*") else matched[1], ids, classes))
        combinator = " "
    return tuple(parts) or None


def _matching(rules: Mapping[str, list[_Rule]], element: Any) -> Iterator[_Rule]:
    keys = [element.tag, "*", *("." + name for name in element.get("class", "").lower().split())]
    if "id" in element.attrib:
        keys.append("#" + element.get("id").lower())
    for key in keys:
        for rule in rules.get(key, ()):
            if _reaches(rule.chain, element):
                yield rule


def _reaches(chain: tuple[_Part, ...], element: Any) -> bool:
    """Whether a chain holds for an element; by sets of candidates, so that no nesting makes it slow."""
    if not _is(element, chain[0]):
        return False
    candidates = [element]
    for part in chain[1:]:
        if part[0] == ">":
            outer = [parent for one in candidates if (parent := one.getparent()) is not None]
        else:
            outer = list(candidates[0].iterancestors())  # the innermost candidate's ancestors hold all others'
        candidates = [one for one in outer if _is(one, part)]
        if not candidates:
            return False
    return True


def _is(element: Any, part: _Part) -> bool:
    _, tag, ids, classes = part
    return (
        (not tag or element.tag == tag)
        and (not ids or ids == {element.get("id", "").lower()})
        and (not classes or classes <= set(element.get("class", "").lower().split()))
    )


# -- values ------------------------------------------------------------------------------------------------------------

_NAMED: Final[dict[str, Colour]] = {
    "white": (255, 255, 255), "black": (0, 0, 0), "red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255),
    "green": (0, 128, 0), "yellow": (255, 255, 0), "silver": (192, 192, 192), "gray": (128, 128, 128),
    "grey": (128, 128, 128), "navy": (0, 0, 128), "maroon": (128, 0, 0), "purple": (128, 0, 128),
    "teal": (0, 128, 128), "olive": (128, 128, 0), "aqua": (0, 255, 255), "cyan": (0, 255, 255),
    "fuchsia": (255, 0, 255), "magenta": (255, 0, 255), "orange": (255, 165, 0), "snow": (255, 250, 250),
    "ivory": (255, 255, 240), "whitesmoke": (245, 245, 245), "ghostwhite": (248, 248, 255),
    "lightgray": (211, 211, 211), "lightgrey": (211, 211, 211), "darkgray": (169, 169, 169),
    "darkgrey": (169, 169, 169), "gainsboro": (220, 220, 220), "floralwhite": (255, 250, 240),
    "azure": (240, 255, 255), "mintcream": (245, 255, 250), "aliceblue": (240, 248, 255),
}  # fmt: skip
_NUMERAL: Final = r"(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})"
_RGB: Final = re.compile(rf"rgba?\(\s*{_NUMERAL}[\s,]+{_NUMERAL}[\s,]+{_NUMERAL}(?:[\s,/]+{_NUMERAL}(%?))?\s*\)")
_LENGTH: Final = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+))\s*(px|pt|em|rem|%|in|cm|mm|pc|vw|vh)?")
_PIXELS_IN: Final = {
    "": 1, "px": 1, "pt": 4 / 3, "rem": 16, "in": 96, "cm": 37.8, "mm": 3.78, "pc": 16, "vw": 12.8, "vh": 8
}  # fmt: skip
TRANSPARENT: Final = "transparent"


@lru_cache(maxsize=1024)
def colour(value: str) -> Colour | str | None:
    """A colour, "transparent", or None for what is not known."""
    value = value.strip().lower()
    if value in _NAMED:
        return _NAMED[value]
    if value == TRANSPARENT:
        return TRANSPARENT
    if re.fullmatch(r"#?[0-9a-f]{6}(?:[0-9a-f]{2})?", value):
        digits = value.lstrip("#")
        if digits[6:] and int(digits[6:], 16) < 13:
            return TRANSPARENT
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    if re.fullmatch(r"#[0-9a-f]{3,4}", value):
        return colour("#" + "".join(2 * digit for digit in value[1:]))
    matched = _RGB.fullmatch(value)
    if not matched:
        return None
    if matched[4] and float(matched[4]) / (100 if matched[5] else 1) < 0.05:
        return TRANSPARENT
    red, green, blue = (min(round(float(part)), 255) for part in matched.groups()[:3])
    return red, green, blue


def alike(one: Colour, other: Colour) -> bool:
    """Whether no one would tell text of one colour on the other."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 10


@lru_cache(maxsize=4096)
def pixels(value: str, parent_px: float = 16.0) -> float | None:
    """A length in CSS pixels; None for what is not known. Per cent and em are of `parent_px`."""
    matched = _LENGTH.fullmatch(value.strip())
    if not matched:
        return None
    unit = matched[2] or ""
    relative = {"em": parent_px, "%": parent_px / 100}
    return float(matched[1]) * (relative[unit] if unit in relative else _PIXELS_IN[unit])
