"""One web site over HTTP, politely: its robots.txt, its pace, its redirects, and never another host."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
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


class PageLate(PageError):
    """It was not received in its time."""


class PageGone(Exception):
    """The site says that there is no such page (404, 410)."""


class PageLeft(Exception):
    """The page is no part of what we may read: robots.txt, a redirect to another place."""


class PageRefused(Exception):
    """The site does not let us see it (401, 403, another 4xx); that says nothing of whether it exists."""


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

    def __init__(self, address: str, *, intranet: bool = False, sleep: Callable[[float], None] = time.sleep) -> None:
        """Check the address.

        Args:
            intranet: its host may be one of a private network; an address that says so itself (localhost, 10.0.0.1)
                needs no such permission.

        Raises:
            UsageError: it is none of a site.
        """
        self.start = tidy(address)
        parts = urlsplit(self.start)
        if parts.scheme not in ("http", "https") or not parts.hostname or _port_of(address) is None:
            shown = re.sub(r"//[^/\s]*@", "//", address)
            raise UsageError(f"{shown!r} is no address of a web site. Give one such as https://host/handbook/.")
        given = urlsplit(address)
        auth = (given.username or "", given.password or "") if given.username else None
        self._host, self._port, self._secure = parts.hostname, parts.port, parts.scheme == "https"
        self._sleep = sleep
        self._pause_s = 0.0
        self._last = 0.0
        self._robots: RobotFileParser | None = None
        # behind a proxy names are resolved and reached elsewhere
        self._proxied = parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(self._host)
        self._inside = intranet or _is_private_by_name(self._host)
        self._client = httpx.Client(
            headers={"User-Agent": AGENT, "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            follow_redirects=False,
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=0),  # a deadline cuts what it saw opened
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
            if self._pause_s > LONGEST_WAIT_S:
                raise UsageError(
                    f"{self.start!r} asks to wait {self._pause_s:.0f} s between two pages, which would take days. Ask "
                    "its owner for the files."
                )
        return self._robots.can_fetch(AGENT, url)

    def _read_robots(self) -> RobotFileParser:
        robots = RobotFileParser()
        url = urljoin(self.start, "/robots.txt")
        try:
            with self.get(url, robots=False) as (_, answer):
                robots.parse(read(answer, ROBOTS_BYTES).decode("utf-8", "replace").splitlines())
        except (PageGone, PageLeft, PageRefused):  # a site without one may be read (RFC 9309, 2.3.1.3)
            robots.parse([])
        except (PageError, TooLarge) as error:
            raise ServiceError(
                f"{url!r} cannot be read ({error}), so nobody knows what may be. Nothing was retired; try again later."
            ) from error
        return robots

    @contextmanager
    def get(
        self, url: str, before: Validators | None = None, *, robots: bool = True, within_s: float = 120.0
    ) -> Iterator[tuple[str, httpx.Response]]:
        """The page and its final address; status 200, or 304 when it is as `before`. Its body is yet to be read.

        Args:
            within_s: for the whole of one answer; the connection is cut then, however steadily it trickles.

        Raises:
            PageError, PageGone, PageLeft, PageRefused: see there.
            UsageError, ServiceError: the site's host is not to be reached at all.
        """
        if not self.is_of(url):
            raise PageLeft("it is of another site")
        for _ in range(MOST_REDIRECTS + 1):
            if robots and not self.may_read(url):
                raise PageLeft("robots.txt keeps it from us")
            with Deadline(within_s) as deadline:
                answer = self._patiently(url, before, deadline)
                try:
                    if answer.is_redirect and answer.headers.get("location"):
                        url = joined(url, answer.headers["location"])
                        if not self.is_of(url):
                            raise PageLeft(f"it leads elsewhere, to {url!r}")
                        before = None  # which was said of another address
                        continue
                    if answer.status_code in (404, 410):
                        raise PageGone(f"status {answer.status_code}")
                    if answer.status_code not in (200, 304):
                        refused = 400 <= answer.status_code < 500 and answer.status_code != 408
                        raise (PageRefused if refused else PageError)(f"status {answer.status_code}")
                    yield url, answer
                    if deadline.passed:  # a body without a length ends cleanly where it was cut
                        raise PageLate(f"not received within {within_s:g} s")
                    return
                except PageError as error:
                    if deadline.passed and not isinstance(error, PageLate):
                        raise PageLate(f"not received within {within_s:g} s") from error
                    raise
                finally:
                    answer.close()
        raise PageLeft(f"it redirects more than {MOST_REDIRECTS} times")

    def _patiently(self, url: str, before: Validators | None, deadline: Deadline) -> httpx.Response:
        """Send, and send again when the site asks for patience."""
        said = ""
        for attempt in range(TRIES):
            self._keep_pace()
            deadline.begin()
            try:
                answer = self._send(url, before, deadline)
            except (httpx.HTTPError, OSError) as error:  # OSError: cut at the deadline
                if deadline.passed:
                    raise PageLate(f"no answer within {deadline.seconds:g} s") from error
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

    def _send(self, url: str, before: Validators | None, deadline: Deadline) -> httpx.Response:
        self._check_host(url)
        request = self._client.build_request(
            "GET", url, headers=before.headers() if before else None, extensions={"trace": deadline.note}
        )
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
        private = sorted({str(one[4][0]) for one in found if not is_public(str(one[4][0]))})
        if private:
            raise self._refused(", ".join(private))

    def _refused(self, address: str) -> UsageError:
        return UsageError(
            f"The host {self._host!r} leads to {address}, an address of a private network. Nothing was read. "
            "If the site is one of your own network, say so with --intranet."
        )

    def _keep_pace(self) -> None:
        wait_s = self._last + self._pause_s - time.monotonic()
        if self._pause_s and self._last and wait_s > 0:
            self._sleep(wait_s)
        self._last = time.monotonic()


class Deadline:
    """Cuts a connection when its time is up. Time-outs between two bytes do not end an answer that trickles."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.passed = False
        self._timer: threading.Timer | None = None
        self._stream: Any = None

    def note(self, event: str, told: Mapping[str, Any]) -> None:
        """What httpx tells of a request's course: which connection it takes."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._stream = told["return_value"]

    def begin(self) -> None:
        """Count from now."""
        self._stop()
        self._timer = threading.Timer(self.seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        self.passed = True
        connection = self._stream and self._stream.get_extra_info("socket")
        if connection:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of the socket beneath, where there is TLS

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def __enter__(self) -> Deadline:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()


class TooLarge(Exception):
    """More bytes than a page may have."""


def read(answer: httpx.Response, max_bytes: int) -> bytes:
    """The body.

    Raises:
        TooLarge: it is longer than `max_bytes`.
        PageError: it broke off, or took longer than it may.
    """
    body = bytearray()
    for block in blocks(answer, max_bytes):
        body += block
    return bytes(body)


def blocks(answer: httpx.Response, max_bytes: int) -> Iterator[bytes]:
    """The body in pieces; as `read`."""
    size = 0
    try:
        for block in answer.iter_bytes():
            size += len(block)
            if size > max_bytes:
                raise TooLarge(f"larger than {max_bytes / 1e6:,.1f} MB")
            yield block
    except (httpx.HTTPError, OSError) as error:
        raise PageError(f"it broke off: {type(error).__name__}") from error


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


def _port_of(address: str) -> int | None:
    """The port that an address names, 0 for the usual one; None when it is no port."""
    try:
        return urlsplit(address).port or 0
    except ValueError:
        return None


def _is_private_by_name(host: str) -> bool:
    """Whether an address says itself that it is one of this machine or its network."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return not is_public(host)


def joined(url: str, link: str) -> str:
    """Where a link on a page leads; '' when nowhere."""
    try:
        return tidy(urljoin(url, link))
    except ValueError:
        return ""


def tidy(url: str) -> str:
    """One form of an address: no fragment, no credentials, no default port, a path; '' when it is none."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return ""
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    try:
        port = parts.port
    except ValueError:
        port = None
    default = {"http": 80, "https": 443}.get(parts.scheme.lower())
    place = host if port in (None, default) else f"{host}:{port}"
    return urlunsplit((parts.scheme.lower(), place, parts.path or "/", parts.query, ""))
