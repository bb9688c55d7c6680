"""What a page or a sitemap names: links of HTML, addresses of a sitemap or an index of sitemaps."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin
from xml.parsers import expat

MOST_UNPACKED_BYTES: Final = 60_000_000  # the protocol of sitemaps allows 50 MB
MOST_LINKS: Final = 5000  # of one page


class NoSitemap(Exception):
    """Not a sitemap, or one that is not to be trusted; the text says why."""


@dataclass(frozen=True, slots=True)
class Sitemap:
    pages: tuple[str, ...]
    sitemaps: tuple[str, ...]


def read_sitemap(content: bytes) -> Sitemap:
    """The addresses in a sitemap (sitemaps.org), packed or not.

    Raises:
        NoSitemap: it is something else, unpacks to too much, or declares entities.
    """
    if content.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            content = unpacker.decompress(content, MOST_UNPACKED_BYTES)
        except zlib.error as error:
            raise NoSitemap("it is packed, and damaged") from error
        if not unpacker.eof:
            raise NoSitemap("it unpacks to too much, or is cut off")
    found: dict[str, list[str]] = {"url": [], "sitemap": []}
    path: list[str] = []
    text: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name.rpartition(":")[2])
        text.clear()
        if len(path) == 1 and path[0] not in ("urlset", "sitemapindex"):
            raise NoSitemap(f"it is XML of another kind ({path[0]})")

    def end(name: str) -> None:
        if len(path) == 3 and path[-1] == "loc" and path[1] in found:
            found[path[1]].append("".join(text).strip())
        path.pop()

    def refuse(*_: object) -> None:
        raise NoSitemap("it declares entities or a document type, which no sitemap needs")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise NoSitemap("it is no XML") from error
    return Sitemap(tuple(found["url"]), tuple(found["sitemap"]))


@dataclass(frozen=True, slots=True)
class Links:
    """What a page asks of those who read it, and where it leads."""

    urls: tuple[str, ...]  # absolute
    index: bool = True  # whether the page may be kept


def read_links(html: str, url: str) -> Links:
    reader = _Links()
    reader.feed(html)
    base = urljoin(url, reader.base) if reader.base else url
    found = []
    for link in () if "nofollow" in reader.robots else reader.links[:MOST_LINKS]:
        try:
            found.append(urljoin(base, link.strip()))
        except ValueError:
            continue
    return Links(tuple(dict.fromkeys(found)), not {"noindex", "none"} & reader.robots)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.base = ""
        self.robots: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("a", "area") and given.get("href") and "nofollow" not in given.get("rel", "").lower().split():
            self.links.append(given["href"])
        elif tag == "base" and not self.base:
            self.base = given.get("href", "")
        elif tag == "meta" and given.get("name", "").lower() in ("robots", "quoth"):
            words = {word.strip().lower() for word in given.get("content", "").split(",")}
            self.robots |= words | ({"nofollow"} if "none" in words else set())
