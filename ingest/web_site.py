"""One web site over HTTP, politely: its robots.txt, its pace, its redirects, and never another host."""

from __future__ import annotations

import ipaddress
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit
from urllib.robotparser import RobotFileParser

import httpx

from ingest.errors import ServiceError, UsageError

AGENT: Final = "Quoth/1.0 (knowledge assistant; keeps documents in step with this site)"
CONNECT_S, ANSWER_S = 10.0, 30.0
TRIES: Final = 3
LONGEST_WAIT_S: Final = 60.0  # that a Retry-After is heeded
MOST_REDIRECTS: Final = 5
ROBOTS_BYTES: Final = 500_000


class PageError(Exception):
    """One page cannot be had now; that says nothing of whether it exists."""


class PageGone(Exception):
    """The site says that there is no such page (404, 410)."""


class PageLeft(Exception):
    """The page is not for us: robots.txt, a redirect to another place, a refusal of access."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What a later request asks with whether a page has changed."""

    etag: str = ""
    modified: str = ""

    def headers(self) -> dict[str, str]:
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in asked.items() if value}


class Site:
    """The site that an address lies on. Connects to its host only."""

    def __init__(self, address: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Check the address.

        Raises:
            UsageError: it is none of a site.
        """
        self.start = tidy(address)
        parts = urlsplit(self.start)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{self.start!r} is no address of a web site. Give one such as https://host/handbook/.")
        given = urlsplit(address)
        auth = (given.username or "", given.password or "") if given.username else None
        self._host, self._port, self._secure = parts.hostname, parts.port, parts.scheme == "https"
        self._sleep = sleep
        self._pause_s = 0.0
        self._last = 0.0
        self._robots: RobotFileParser | None = None
        self._proxied = bool(urllib.request.getproxies())  # then names are resolved and reached elsewhere
        self._inside: bool | None = None
        self._client = httpx.Client(
            headers={"User-Agent": AGENT},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            follow_redirects=False,
            auth=auth,
        )

    def close(self) -> None:
        self._client.close()

    def is_of(self, url: str) -> bool:
        """Whether an address is of this site, and not less secure than the one given."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            return False
        if parts.hostname != self._host:
            return False
        if self._secure:
            return parts.scheme == "https" and port == self._port
        return parts.scheme in ("http", "https") and (port == self._port or (parts.scheme == "https" and not port))

    def may_read(self, url: str) -> bool:
        """What robots.txt says of it.

        Raises:
            ServiceError: the site does not say, because it does not answer.
        """
        if self._robots is None:
            self._robots = self._read_robots()
            self._pause_s = float(self._robots.crawl_delay(AGENT) or 0.0)
        return self._robots.can_fetch(AGENT, url)

    def _read_robots(self) -> RobotFileParser:
        robots = RobotFileParser()
        url = urljoin(self.start, "/robots.txt")
        try:
            with self.get(url, robots=False) as (_, answer):
                robots.parse(read(answer, ROBOTS_BYTES).decode("utf-8", "replace").splitlines())
        except (PageGone, PageLeft):  # a site without one may be read
            robots.parse([])
        except (PageError, TooLarge) as error:
            raise ServiceError(
                f"{url!r} cannot be read ({error}), so nobody knows what may be. Nothing was retired; try again later."
            ) from error
        return robots

    @contextmanager
    def get(
        self, url: str, before: Validators | None = None, *, robots: bool = True
    ) -> Iterator[tuple[str, httpx.Response]]:
        """The page and its final address; status 200, or 304 when it is as `before`. Its body is yet to be read.

        Raises:
            PageError, PageGone, PageLeft: see there.
            ServiceError: the site's host is not to be reached at all.
        """
        for _ in range(MOST_REDIRECTS + 1):
            if robots and not self.may_read(url):
                raise PageLeft("robots.txt keeps it from us")
            answer = self._patiently(url, before)
            try:
                if answer.is_redirect and answer.headers.get("location"):
                    url = tidy(urljoin(url, answer.headers["location"]))
                    if not self.is_of(url):
                        raise PageLeft("it leads to another site, or from https to http")
                    continue
                if answer.status_code in (404, 410):
                    raise PageGone(f"status {answer.status_code}")
                if answer.status_code in (401, 403, 451) or 400 <= answer.status_code < 500:
                    raise PageLeft(f"status {answer.status_code}")
                if answer.status_code not in (200, 304):
                    raise PageError(f"status {answer.status_code}")
                yield url, answer
                return
            finally:
                answer.close()
        raise PageLeft(f"it redirects more than {MOST_REDIRECTS} times")

    def _patiently(self, url: str, before: Validators | None) -> httpx.Response:
        """Send, and send again when the site asks for patience."""
        said = ""
        for attempt in range(TRIES):
            self._keep_pace()
            try:
                answer = self._send(url, before)
            except httpx.HTTPError as error:
                said, wait_s = type(error).__name__, 1.0 * (attempt + 1)
            else:
                if answer.status_code not in (429, 502, 503, 504):
                    return answer
                said, wait_s = f"status {answer.status_code}", retry_after_s(answer.headers, attempt + 1.0)
                answer.close()
            if wait_s > LONGEST_WAIT_S:
                break
            if attempt + 1 < TRIES:
                self._sleep(wait_s)
        raise PageError(said)

    def _send(self, url: str, before: Validators | None) -> httpx.Response:
        self._check_host(url)
        request = self._client.build_request("GET", url, headers=before.headers() if before else None)
        answer = self._client.send(request, stream=True)
        reached = answer.extensions.get("network_stream")
        address = reached.get_extra_info("server_addr") if reached is not None else None
        if not self._proxied and address and not self._inside and not is_public(str(address[0])):
            answer.close()
            raise self._refused(str(address[0]))
        return answer

    def _check_host(self, url: str) -> None:
        """A public site must not lead into the network that Quoth stands in, whatever its name resolves to today."""
        if self._proxied or self._inside:
            return
        parts = urlsplit(url)
        try:
            found = socket.getaddrinfo(self._host, parts.port or (443 if parts.scheme == "https" else 80))
        except OSError as error:
            raise ServiceError(
                f"The host {self._host!r} is not found ({error.strerror}). Check the address and the network."
            ) from error
        addresses = {str(one[4][0]) for one in found}
        if self._inside is None:  # the address that was given decides: an intranet's is meant
            self._inside = not any(is_public(one) for one in addresses)
        elif not all(is_public(one) for one in addresses):
            raise self._refused(", ".join(sorted(addresses)))

    def _refused(self, address: str) -> ServiceError:
        return ServiceError(
            f"The host {self._host!r} leads to {address}, an address of a private network, though it did not at first. "
            "Nothing more was read of it."
        )

    def _keep_pace(self) -> None:
        wait_s = self._last + self._pause_s - time.monotonic()
        if self._pause_s and self._last and wait_s > 0:
            self._sleep(wait_s)
        self._last = time.monotonic()


class TooLarge(Exception):
    """More bytes, or more time, than a page may take."""


def read(answer: httpx.Response, max_bytes: int, *, within_s: float = 120.0) -> bytes:
    """The body.

    Raises:
        TooLarge: it is longer than `max_bytes`, or still coming after `within_s`.
        PageError: it broke off.
    """
    body = bytearray()
    for block in blocks(answer, max_bytes, within_s=within_s):
        body += block
    return bytes(body)


def blocks(answer: httpx.Response, max_bytes: int, *, within_s: float) -> Iterator[bytes]:
    """The body in pieces; as `read`."""
    ends, size = time.monotonic() + within_s, 0
    try:
        for block in answer.iter_bytes(1 << 16):
            size += len(block)
            if size > max_bytes:
                raise TooLarge(f"larger than {max_bytes / 1e6:,.1f} MB")
            if time.monotonic() > ends:
                raise TooLarge(f"not received within {within_s:.0f} s")
            yield block
    except httpx.HTTPError as error:
        raise PageError(type(error).__name__) from error


def retry_after_s(headers: Mapping[str, str], otherwise_s: float) -> float:
    """How long a site asks to wait: seconds, or until a date."""
    given = headers.get("retry-after", "").strip()
    if given.isdigit():
        return float(given)
    try:
        return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return otherwise_s


def is_public(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global


def tidy(url: str) -> str:
    """One form of an address: no fragment, no credentials, no default port, a path."""
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    try:
        port = parts.port
    except ValueError:
        port = None
    default = {"http": 80, "https": 443}.get(parts.scheme.lower())
    place = host if port in (None, default) else f"{host}:{port}"
    return urlunsplit((parts.scheme.lower(), place, parts.path or "/", parts.query, ""))
