"""A web site as a source: the pages of a sitemap, or what is linked beneath an address, breadth first.

Listing is reading: whether a page is there, what it is and whether it changed, only a request tells. Pages are kept
in a folder of their own from the listing until they are fetched; other files are asked for again then.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import shutil
import tempfile
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from ingest.errors import DocumentError, ServiceError, UsageError
from ingest.sitemaps import MOST_UNPACKED_BYTES, NoSitemap, Sitemap, read_links, read_sitemap
from ingest.sources import (
    FETCH_S,
    MOST_FILE_BYTES,
    Entry,
    Gone,
    Listed,
    Remembered,
    Unlisted,
    refused_name,
    stable_name,
    too_large,
)
from ingest.web_site import (
    PageError,
    PageGone,
    PageLate,
    PageLeft,
    PageRefused,
    Site,
    TooLarge,
    Validators,
    blocks,
    read,
    tidy,
)

SUFFIXES: Final = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
}
ALIKE: Final = {".html": {".html", ".htm", ".xhtml"}, ".txt": {".txt", ".text", ".md", ".rst", ".log"}}
PAGE_BYTES: Final = 10_000_000  # of HTML
PAGE_S: Final = 120.0
KEPT_BYTES: Final = 1_000_000_000  # of pages, between listing and fetching
MOST_SITEMAPS: Final = 100
MOST_PACKED_LINKS: Final = 32_000  # characters


class WebSource:
    def __init__(
        self,
        address: str,
        *,
        max_pages: int = 1000,
        max_depth: int = 10,
        max_bytes: int = MOST_FILE_BYTES,
        fetch_s: float = FETCH_S,
        page_s: float = PAGE_S,
        intranet: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Check the address; nothing is asked for yet.

        Args:
            max_pages: requests for pages in one pass; a site with more is read in part, and nothing of the rest is
                retired unless the site says that it is gone.
            max_depth: links followed from the start.
            page_s, fetch_s: for all of one page, and for all of one other file.
            intranet: as for `Site`.

        Raises:
            UsageError: the address is none of a site.
        """
        self._site = Site(address, intranet=intranet, sleep=sleep)
        self.origin = self._site.start
        self._max_pages, self._max_depth = max_pages, max_depth
        self._max_bytes, self._fetch_s, self._page_s = max_bytes, fetch_s, page_s
        self._kept: Path | None = None
        self._kept_bytes = 0

    def entries(self, remembered: Remembered) -> Iterator[Listed]:
        self._clear()
        self._kept = Path(tempfile.mkdtemp(prefix="quoth-site-"))
        self._taken: dict[str, str] = {}  # name -> address
        self._read: set[str] = set()
        self._pages = 0
        self._before = {one.url: one for one in (Before.of(*pair) for pair in remembered())}
        sitemap = self._sitemap_at_start()
        complete = True
        for one in self._crawl() if sitemap is None else self._mapped(sitemap):
            complete = complete and one != Unlisted("")
            yield one
        if not complete:
            yield from self._probe()

    # -- a sitemap -----------------------------------------------------------------------------------------------

    def _sitemap_at_start(self) -> Sitemap | None:
        """The sitemap that the start address is; None when it is a page.

        Raises:
            UsageError: there is nothing there.
            ServiceError: it does not answer.
        """
        if not urlsplit(self._site.start).path.endswith((".xml", ".xml.gz")):
            return None
        try:
            return self._read_sitemap(self._site.start)
        except (PageGone, PageLeft, PageRefused, NoSitemap) as error:
            raise UsageError(f"There is no sitemap at {self.origin!r} ({error}). Check the address.") from error
        except (PageError, TooLarge) as error:
            raise self._unavailable(error) from error

    def _read_sitemap(self, url: str) -> Sitemap:
        with self._site.get(url) as (_, answer):
            return read_sitemap(read(answer, MOST_UNPACKED_BYTES))

    def _mapped(self, first: Sitemap) -> Iterator[Listed]:
        waiting, seen = deque([first]), 0
        while waiting:
            sitemap = waiting.popleft()
            for url in sitemap.pages:
                url = tidy(url)
                if not self._site.is_of(url) or url in self._read:
                    continue
                if self._pages == self._max_pages:
                    yield Unlisted("")
                    return
                yield from self._look(url, leads=False)[0]
            for url in sitemap.sitemaps:
                seen += 1
                if seen > MOST_SITEMAPS or not self._site.is_of(tidy(url)):
                    yield Unlisted("")
                    continue
                try:
                    waiting.append(self._read_sitemap(tidy(url)))
                except (PageGone, PageLeft, PageRefused, PageError, TooLarge, NoSitemap) as error:
                    words = f"The sitemap {tidy(url)!r} cannot be read ({error}). Nothing was retired; sync again."
                    yield Unlisted(name_of(url, "text/html"), DocumentError("unreadable", words))
                    yield Unlisted("")

    # -- links ---------------------------------------------------------------------------------------------------

    def _crawl(self) -> Iterator[Listed]:
        waiting = deque([(self._site.start, 0)])
        met = {self._site.start}
        while waiting:
            url, depth = waiting.popleft()
            if url in self._read:  # another led to it
                continue
            if self._pages == self._max_pages:
                yield Unlisted("")
                return
            listed, links = self._look(url, start=depth == 0)
            yield from listed
            for link in links:
                if link not in met:
                    met.add(link)
                    if depth < self._max_depth:
                        waiting.append((link, depth + 1))

    def _followed(self, links: Iterable[str]) -> tuple[str, ...]:
        """The links that stay on the site, beneath the start."""
        beneath = urlsplit(self._site.start).path.rpartition("/")[0] + "/"
        tidied = dict.fromkeys(tidy(link) for link in links)
        return tuple(one for one in tidied if self._site.is_of(one) and urlsplit(one).path.startswith(beneath))

    def _probe(self) -> Iterator[Listed]:
        """After an incomplete listing: ask for what was there before, as far as the budget of pages goes."""
        for url in list(self._before):
            if url not in self._read and self._site.is_of(url) and self._pages < self._max_pages:
                yield from self._look(url, leads=False)[0]

    # -- one page ------------------------------------------------------------------------------------------------

    def _look(self, url: str, *, start: bool = False, leads: bool = True) -> tuple[list[Listed], tuple[str, ...]]:
        """Ask for one address: what is listed of it, and where it leads.

        Args:
            leads: whether its links count; a page whose links are not known is then asked for in full.
        """
        self._read.add(url)
        self._pages += 1
        known = self._before.get(url)
        conditional = known is not None and (not leads or known.links is not None)
        try:
            asked = known.validators if known and conditional else None
            with self._site.get(url, asked, within_s=self._page_s) as (final, answer):
                if final != url and final in self._read:
                    return [], ()
                self._read.add(final)
                if answer.status_code == 304:
                    if known is None:
                        raise PageError("status 304, though nothing was asked")
                    self._taken.setdefault(known.source, url)
                    return [Entry(known.source, known.fingerprint, place=url)], known.links or ()
                return self._listed(final, answer)
        except PageGone as error:
            if start:
                raise UsageError(f"There is nothing at {self.origin!r} ({error}). Check the address.") from error
            return [Gone(known.source)] if known else [], ()
        except (PageLeft, PageRefused) as error:
            if start:
                raise UsageError(f"{self.origin!r} may not be read ({error}). Give another address.") from error
            if known is None or isinstance(error, PageLeft):
                return [], ()
            return self._unread(url, error, leads), ()
        except PageError as error:
            if start:
                raise self._unavailable(error) from error
            return self._unread(url, error, leads), ()

    def _unread(self, url: str, error: Exception, leads: bool) -> list[Listed]:
        known = self._before.get(url)
        name = known.source if known else name_of(url, "text/html")
        words = f"{url!r} cannot be read ({error}). Nothing was retired for it; sync again."
        # what only this page leads to is unknown now
        return [Unlisted(name, DocumentError("unreadable", words)), *([Unlisted("")] if leads else [])]

    def _listed(self, url: str, answer: httpx.Response) -> tuple[list[Listed], tuple[str, ...]]:
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in SUFFIXES:
            return [], ()
        name = name_of(url, media_type)
        if self._taken.setdefault(name, url) != url:  # /guide and /guide.html
            path = PurePosixPath(name)
            name = str(path.with_name(f"{path.stem}~{short_hash(url)}{path.suffix}"))
            self._taken[name] = url
        refused = refused_name(name)
        if refused is not None:
            return [Unlisted(name[:200], refused)], ()
        validators = Validators(answer.headers.get("etag", ""), answer.headers.get("last-modified", ""))
        if SUFFIXES[media_type] != ".html":
            length = answer.headers.get("content-length", "")
            size = int(length) if length.isdigit() and "content-encoding" not in answer.headers else None
            fingerprint = pack(url, validators) if validators != Validators() else None
            return [Entry(name, fingerprint, size, place=url)], ()
        try:
            body = read(answer, PAGE_BYTES)
        except TooLarge as error:
            words = f"The page {url!r} is {error}. Leave it out of the source."
            return [Unlisted(name, DocumentError("too_large", words)), Unlisted("")], ()
        text = _decoded(body, answer.charset_encoding)
        found = read_links(text, url)
        links = self._followed(found.urls)
        if not found.index or "noindex" in answer.headers.get("x-robots-tag", "").lower():
            return [], links
        body = _stored(body, text, answer.charset_encoding)
        self._keep(url, body)
        digest = hashlib.sha256(body).hexdigest()
        return [Entry(name, pack(url, validators, digest, links), len(body), place=url)], links

    # -- fetching ------------------------------------------------------------------------------------------------

    def fetch(self, entry: Entry, folder: Path) -> Path:
        descriptor, name = tempfile.mkstemp(prefix="fetched-", dir=folder)
        copy = Path(name)
        kept = self._place_of(entry.place)
        try:
            with open(descriptor, "wb") as target:  # noqa: PTH123
                if kept is not None and kept.exists():
                    target.write(kept.read_bytes())
                    return copy
                with self._site.get(entry.place, within_s=self._fetch_s) as (_, answer):
                    if entry.source.endswith((".html", ".htm", ".xhtml")):
                        body = read(answer, PAGE_BYTES)
                        text = _decoded(body, answer.charset_encoding)
                        target.write(_stored(body, text, answer.charset_encoding))
                    else:
                        for block in blocks(answer, self._max_bytes):
                            target.write(block)
            return copy
        except TooLarge as error:
            copy.unlink(missing_ok=True)
            raise too_large(entry.source, self._max_bytes) from error
        except (PageGone, PageLeft, PageRefused, PageError) as error:
            copy.unlink(missing_ok=True)
            raise DocumentError(
                "timeout" if isinstance(error, PageLate) else "unreadable",
                f"{entry.place!r} could not be received ({error}). Sync again.",
            ) from error
        except BaseException:
            copy.unlink(missing_ok=True)
            raise

    def holds(self, source: str) -> bool:
        return False  # a page that is named nowhere is no part of the source, though it may still answer

    def close(self) -> None:
        self._site.close()
        self._clear()

    def _keep(self, url: str, body: bytes) -> None:
        place = self._place_of(url)
        if place is not None and self._kept_bytes + len(body) <= KEPT_BYTES:
            self._kept_bytes += len(body)
            place.write_bytes(body)

    def _place_of(self, url: str) -> Path | None:
        return self._kept and self._kept / hashlib.sha256(url.encode()).hexdigest()

    def _clear(self) -> None:
        if self._kept is not None:
            shutil.rmtree(self._kept, ignore_errors=True)
        self._kept, self._kept_bytes = None, 0

    def _unavailable(self, error: Exception) -> ServiceError:
        return ServiceError(f"{self.origin!r} cannot be read ({error}). Nothing was retired; try again later.")


def name_of(url: str, media_type: str) -> str:
    """A page's name as a document: its path, a hash of its query, and the ending of its type."""
    parts = urlsplit(url)
    steps = [step for step in unquote(parts.path, errors="replace").split("/") if step not in ("", ".", "..")]
    if not steps or parts.path.endswith("/"):
        steps.append("index")
    name = steps[-1]
    suffix = SUFFIXES[media_type]
    stem, own = PurePosixPath(name).stem, PurePosixPath(name).suffix
    if own.lower() not in ALIKE.get(suffix, {suffix}):
        stem, own = name, suffix
    if parts.query:
        stem = f"{stem}~{short_hash(parts.query)}"
    return stable_name("/".join([*steps[:-1], stem + own])).replace("\0", "")


def short_hash(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()[:10]


@dataclass(frozen=True, slots=True)
class Before:
    """What an earlier pass made of an address."""

    source: str
    fingerprint: str
    url: str
    validators: Validators
    links: tuple[str, ...] | None  # None: not known

    @classmethod
    def of(cls, source: str, fingerprint: str) -> Before:
        url, etag, modified, _, packed = json.loads(fingerprint)
        links = None
        if packed is not None:
            paths = json.loads(zlib.decompress(base64.b64decode(packed)))
            here = urlsplit(url)
            links = tuple(f"{here.scheme}://{here.netloc}{path}" if path.startswith("/") else path for path in paths)
        return cls(source, fingerprint, url, Validators(etag, modified), links)


def pack(url: str, validators: Validators, digest: str = "", links: Sequence[str] = ()) -> str:
    """A page's fingerprint: its address, what to ask with, the hash of what was read, and where it leads.

    A page that has not changed comes without its body, so its links are kept; a page with too many is read in full.
    """
    mark = digest if not validators.etag or validators.etag.startswith("W/") else ""
    here = urlsplit(url)
    root = f"{here.scheme}://{here.netloc}"
    paths = [link.removeprefix(root) if link.startswith(f"{root}/") else link for link in links]
    packed = base64.b64encode(zlib.compress(json.dumps(paths).encode())).decode()
    return json.dumps(
        [url, validators.etag, validators.modified, mark, packed if len(packed) <= MOST_PACKED_LINKS else None]
    )


def _decoded(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _stored(body: bytes, text: str, charset: str | None) -> bytes:
    """A page as a file: what its answer alone says of its encoding is written into it."""
    if (charset or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8", "us-ascii"):
        return body
    return codecs.BOM_UTF8 + text.encode("utf-8", "replace")
