"""What a reader of a web page or mail does not see: taken out of the page before its text is read, and reported."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from ingest.model import Finding
from ingest.stylesheets import TRANSPARENT, Colour, Style, StyleSheet, alike, colour, pixels
from ingest.suspicion import excerpt_of, instructions_in

MAX_FINDINGS: Final = 20
MIN_FONT_PT: Final = 2.0
_MIN_FONT_PX: Final = 2.0
_OFF_SCREEN_PX: Final = -500.0
_LETTER: Final = re.compile(r"[^\W_]")
_WHITE: Final = (255, 255, 255)
_LINK: Final = (0, 0, 238)
_TEXTLESS: Final = frozenset(
    [
        "script",
        "style",
        "template",
        "noscript",
        "head",
        "svg",
        "iframe",
        "object",
        "select",
        "datalist",
        "title",
        "meta",
        "link",
        "textarea",
        "option",
    ]
)
_STYLED: Final = ("style", "hidden", "<font", "bgcolor", "color=", "sr-only", "screen-reader", "skip-", "skiplink")
# What pages hide for their readers' sake: for screen readers, under a menu's button, for print, for a list of mails.
_FOR_READERS: Final = re.compile(
    r"\b(?:sr-?only|visually-?hidden|visuallyhidden|screen-?reader|a11y|assistive|offscreen|off-screen|skip-?(?:link|nav"
    r"|to)|skiplink|element-invisible|accessib\w*|preheader|preview-?text|print-?only|only-?print|hidden-?print|mobile"
    r"|desktop|menu|nav\w*|sub-?menu|drop-?down\w*|modal|dialog|popup|popover|tooltip|tabs?|tab-?(?:pane|panel|content|body)\w*|collaps\w*|accordion\w*"
    r"|cookie\w*|lightbox|toast|overlay|sidebar|drawer|carousel|slide\w*|swiper\w*|toc|search\w*|spoiler|no-?js|js-?\w*"
    r"|loading|spinner|error-?message|form-?error|mw-\w+|noprint|toggle\w*|flyout|off-?canvas)\b",
    re.IGNORECASE,
)
_SCREEN_READER: Final = re.compile(
    r"(?:^|[\s-])(?:sr-only|visually-hidden|visuallyhidden|screen-reader-(?:text|only)|skip-?(?:link|nav))(?:\s|$)",
    re.IGNORECASE,
)
_ROLES: Final = frozenset(
    [
        "menu",
        "menubar",
        "dialog",
        "alertdialog",
        "tooltip",
        "tabpanel",
        "navigation",
        "alert",
        "status",
        "search",
        "listbox",
        "tree",
    ]
)
_ORDINARY_TAGS: Final = frozenset(["nav", "menu", "dialog", "form", "label", "legend", "caption"])
_SKIP: Final = re.compile(r"\s*(?:skip|jump|zum inhalt|aller au contenu|saltar al|back to top)\b", re.IGNORECASE)
_REMOVING: Final = frozenset(["opacity", "position", "text-indent", "clip", "clip-path", "overflow", "transform"])
_NO_CLIP: Final = re.compile(r"rect\(\s*[01]?(?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?")
_NO_PATH: Final = re.compile(r"inset\(\s*(?:50|100)%|circle\(\s*0")
_NO_SCALE: Final = re.compile(r"scale[xy3d]*\(\s*0(?:\.0+)?\s*[,)]")
_LOOKING: Final = frozenset(
    [
        "color",
        "background-color",
        "background",
        "background-image",
        "background-clip",
        "-webkit-background-clip",
        "font",
        "font-size",
        "visibility",
        "position",
    ]
)
_LOOKING_ATTRIBUTES: Final = frozenset(["color", "bgcolor", "background", "text", "href"])
_ADDRESS: Final = re.compile(r"\s*https?://\S+\s*")
_MOVING: Final = re.compile(r"transition|animation")


@dataclass(frozen=True, slots=True)
class _Look:
    """What an element hands down to the text in it."""

    colour: Colour | str | None  # None: not known
    background: Colour | None
    font_px: float
    visible: bool


def take_out_hidden(root: Any, markup: str) -> tuple[Finding, ...]:
    """Remove from a parsed page what its own styles hide; elements without text of their own are left to the caller.

    Nothing is reported, though taken out, that pages hide for their readers' sake (texts for screen readers, menus,
    dialogs, parts for print or for another state), unless it addresses an assistant.

    Args:
        root: lxml's tree, changed in place.
        markup: what it was made of.
    """
    lowered = markup.lower()
    if not any(mark in lowered for mark in _STYLED):
        return ()
    sheet = StyleSheet()
    for style in root.iter("style"):
        if style.get("media", "all").lower() in ("all", "screen", ""):
            sheet.add(style.text or "")
    if any("stylesheet" in (link.get("rel") or "").lower() for link in root.iter("link")):
        sheet.complete = False
    taken = _Taken([])
    body = _Look((0, 0, 0), _WHITE if sheet.complete else None, 16.0, True)
    dropped: list[Any] = []
    stack: list[tuple[Any, _Look]] = [(root, body)]
    while stack:  # not by recursion: pages are nested deeper than Python's stack
        element, above = stack.pop()
        if not isinstance(element.tag, str) or element.tag in _TEXTLESS:
            continue
        style = sheet.style_of(element) if sheet.always or "style" in element.attrib else {}
        how = _gone(element, style)
        if how:
            taken.add(how, _words_of(element), _is_ordinary(element, style, sheet))
            dropped.append(element)
            continue
        look = _look(element, style, above, sheet)
        how = _unseen(look)
        if how and element.text and element.text.strip():
            taken.add(how, element.text, _is_ordinary(element, style, sheet))
            element.text = " "
        for child in element:
            if how and child.tail and child.tail.strip():
                taken.add(how, child.tail, _is_ordinary(element, style, sheet))
                child.tail = " "
        stack.extend((child, look) for child in reversed(element))
    for element in dropped:
        if element.getparent() is not None:
            element.drop_tree()
    return taken.findings()


@dataclass(slots=True)
class _Taken:
    pieces: list[tuple[str, str, bool]]  # how it is hidden, words, whether that is ordinary

    def add(self, how: str, words: str, ordinary: bool) -> None:
        words = " ".join(words.split())
        if not _LETTER.search(words):
            return
        if self.pieces and self.pieces[-1][0] == how and self.pieces[-1][2] == ordinary:
            words = self.pieces.pop()[1] + " " + words
        self.pieces.append((how, words, ordinary))

    def findings(self) -> tuple[Finding, ...]:
        told = [
            hidden_finding(how, words) for how, words, ordinary in self.pieces if not ordinary or instructions_in(words)
        ]
        return tuple(dict.fromkeys(told))[:MAX_FINDINGS]


def hidden_finding(how: str, words: str, *, page: int | None = None) -> Finding:
    """Hidden text that was left out; `how` completes "Text that no reader sees (...)"."""
    addressed = " It addresses an assistant." if instructions_in(words) else ""
    told = f"Text that no reader sees ({how}) was left out.{addressed}"
    return Finding("hidden_text", told, excerpt_of(words), page)


def _words_of(element: Any) -> str:
    pieces = []
    for one in element.iter():
        if isinstance(one.tag, str) and one.tag not in _TEXTLESS and one.text:
            pieces.append(one.text)
        if one is not element and one.tail:
            pieces.append(one.tail)
    return " ".join(pieces)


def _gone(element: Any, style: Style) -> str:
    """How an element is hidden with all that is in it, or ""."""
    if "hidden" in element.attrib and element.get("hidden").lower() != "until-found" and "display" not in style:
        return "hidden"
    if "class" in element.attrib and _SCREEN_READER.search(element.get("class")):
        return "for screen readers"
    if not style:
        return ""
    if style.get("display") == "none":
        return "display: none"
    if _REMOVING.isdisjoint(style):
        return ""
    moving = any(_MOVING.match(name) for name in style)  # shown by and by, as the page is opened or scrolled
    opacity = pixels(style.get("opacity", "1"))
    if opacity is not None and opacity < 0.05 and not moving:
        return "opacity 0"
    if style.get("position") in ("absolute", "fixed"):
        offsets = (pixels(style.get(side, "")) for side in ("left", "right", "top", "bottom"))
        if any(offset is not None and offset <= _OFF_SCREEN_PX for offset in offsets):
            return "off the screen"
    if (indent := pixels(style.get("text-indent", ""))) is not None and indent <= _OFF_SCREEN_PX:
        return "off the screen"
    if _NO_CLIP.match(style.get("clip", "")) or _NO_PATH.match(style.get("clip-path", "")):
        return "clipped away"
    if "hidden" in style.get("overflow", "") and not moving:
        sizes = (pixels(style.get(side, "")) for side in ("height", "width", "max-height", "max-width"))
        if any(size is not None and size <= 1 for size in sizes):
            return "in a box without room"
    if _NO_SCALE.search(style.get("transform", "")) and not moving:
        return "scaled to nothing"
    return ""


def _look(element: Any, style: Style, above: _Look, sheet: StyleSheet) -> _Look:
    attributes = element.attrib
    if (
        _LOOKING.isdisjoint(style)
        and (not attributes or _LOOKING_ATTRIBUTES.isdisjoint(attributes))
        and element.tag not in ("button", "input", "mark")
    ):
        return above
    text = style.get("color") or (attributes.get("color") if element.tag == "font" else None)
    if element.tag == "body":
        text = text or attributes.get("text")
    now = above
    own = colour(text) if text and text not in ("inherit", "currentcolor") else None
    if text and text != "inherit":
        now = replace(now, colour=own)
    elif element.tag == "a" and "href" in attributes:
        now = replace(now, colour=_LINK)
    painted = style.get("background-color") or style.get("background") or attributes.get("bgcolor")
    if "url(" in (painted or "") or "gradient" in (painted or "") or "background-image" in style:
        now = replace(now, background=None)
    elif painted:
        found = [one for word in _words(painted) if (one := colour(word)) is not None]
        if found and not isinstance(found[0], str):
            now = replace(now, background=found[0])
        elif not found and painted != "none":
            now = replace(now, background=None)
    elif element.tag in ("button", "input", "mark") or "background" in attributes:
        now = replace(now, background=None)
    elif not sheet.complete and own is not None:
        now = replace(now, background=None)  # what is not read may paint here
    elif style.get("position") in ("absolute", "fixed", "relative") and _over_picture(element):
        now = replace(now, background=None)
    if "text" in style.get("background-clip", "") + style.get("-webkit-background-clip", ""):
        now = replace(now, colour=None)
    size = style.get("font-size") or next(
        (word.partition("/")[0] for word in style.get("font", "").split() if pixels(word.partition("/")[0])), ""
    )
    if size and (length := pixels(size, now.font_px)) is not None:
        now = replace(now, font_px=length)
    elif size:  # small, medium, calc(...)
        now = replace(now, font_px=16.0)
    visibility = style.get("visibility")
    if visibility in ("hidden", "collapse", "visible"):
        moving = any(_MOVING.match(name) for name in style)
        now = replace(now, visible=visibility == "visible" or moving)
    return now


def _words(value: str) -> list[str]:
    return re.findall(r"[\w#.-]+\([^)]*\)|[#\w.-]+", value)


def _over_picture(element: Any) -> bool:
    """Whether it may lie over a picture: white words on a photograph are no secret."""
    around = element.getparent() if element.getparent() is not None else element
    return next(around.iter("img", "picture", "video", "canvas", "svg"), None) is not None


@lru_cache(maxsize=4096)
def _unseen(look: _Look) -> str:
    """How text of this look is hidden, or ""."""
    if not look.visible:
        return "visibility: hidden"
    if look.font_px < _MIN_FONT_PX:
        return "smaller than 2 pixels"
    if look.colour == TRANSPARENT:
        return "transparent"
    if look.background is not None and isinstance(look.colour, tuple) and alike(look.colour, look.background):
        return "in the colour of its background"
    return ""


def _is_ordinary(element: Any, style: Style, sheet: StyleSheet) -> bool:
    if "mso-hide" in style or next(element.iter("ix:header"), None) is not None or sheet.shown_sometimes(element):
        return True
    for one in (element, *itertools.islice(element.iterancestors(), 4)):
        if one.tag in ("body", "html"):
            break
        if one.tag in _ORDINARY_TAGS or one.get("role") in _ROLES or one.get("aria-modal"):
            return True
        if _FOR_READERS.search(f"{one.get('class', '')} {one.get('id', '')}"):
            return True
    words = _words_of(element)
    return (len(words) < 60 and _SKIP.match(words) is not None) or _ADDRESS.fullmatch(words) is not None
