"""Web sites: a real server over HTTP, crawled and mapped, polite, bounded, and never led elsewhere."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import DocumentError, ServiceError, UsageError
from ingest.sitemaps import NoSitemap, read_links, read_sitemap
from ingest.source_addresses import source_at
from ingest.sources import Entry, Gone, Listed, Unlisted
from ingest.web_site import Site, Validators, is_public, tidy
from ingest.web_source import Before, WebSource, name_of, pack

HTML = "text/html; charset=utf-8"


@dataclass
class Page:
    body: bytes | str = ""
    kind: str = HTML
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    trickles: bool = False  # one byte at a time, for ever
    length: bool = True


def linked(*links: str, title: str = "Page") -> str:
    anchors = "".join(f'<p><a href="{link}">more</a></p>' for link in links)
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1>{anchors}</body></html>"


class Website:
    """Serves pages by path, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, Page | list[Page]] = {}
        self.asked: list[tuple[str, int]] = []  # path and the status answered
        self.seen_headers: list[dict[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.seen_headers.append({name.lower(): value for name, value in self.headers.items()})
                found = site.pages.get(self.path, Page(status=404))
                if isinstance(found, list):
                    found = found.pop(0) if len(found) > 1 else found[0]
                body = found.body.encode() if isinstance(found.body, str) else found.body
                status = found.status
                etag, modified = found.headers.get("ETag"), found.headers.get("Last-Modified")
                if status == 200 and (
                    (etag and self.headers.get("If-None-Match") == etag)
                    or (not etag and modified and self.headers.get("If-Modified-Since") == modified)
                ):
                    status, body = 304, b""
                site.asked.append((self.path, status))
                self.send_response(status)
                self.send_header("Content-Type", found.kind)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                if found.length and not found.trickles and status != 304:
                    self.send_header("Content-Length", str(len(body)))
                else:
                    self.close_connection = True
                self.end_headers()
                if found.trickles:
                    try:
                        for _ in range(600):
                            self.wfile.write(b"x")
                            time.sleep(0.05)
                    except OSError:
                        return
                elif status != 304:
                    try:
                        self.wfile.write(body)
                    except OSError:
                        return

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, path: str, *links: str, title: str = "Page", **page: object) -> None:
        self.pages[path] = Page(linked(*links, title=title), **page)  # type: ignore[arg-type]

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked if path != "/robots.txt"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Website]:
    served = Website()
    yield served
    served.close()


@pytest.fixture
def opened() -> Iterator[Callable[..., WebSource]]:
    sources: list[WebSource] = []

    def make(address: str, **options: object) -> WebSource:
        options.setdefault("sleep", lambda seconds: None)
        sources.append(WebSource(address, **options))  # type: ignore[arg-type]
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def listing(source: WebSource, before: dict[str, str] | None = None) -> list[Listed]:
    return list(source.entries(lambda: iter((before or {}).items())))


def names(listed: list[Listed]) -> set[str]:
    return {one.source for one in listed if isinstance(one, Entry)}


def prints(listed: list[Listed]) -> dict[str, str]:
    return {one.source: one.fingerprint for one in listed if isinstance(one, Entry) and one.fingerprint}


def withheld(listed: list[Listed]) -> set[str]:
    return {one.prefix for one in listed if isinstance(one, Unlisted)}


# -- following links ---------------------------------------------------------------------------------------------------


def test_links_are_followed_beneath_the_start_and_nowhere_else(site: Website, opened: Callable) -> None:
    site.put("/guide/", "leave", "sub/pay?year=2#top", "../secret", "http://127.0.0.2/guide/x", "mailto:a@b", "leave#x")
    site.put("/guide/leave", "/guide/", "/guide/deep/more.html")
    site.put("/guide/deep/more.html")
    site.put("/guide/sub/pay?year=2")
    site.put("/secret")
    found = names(listing(opened(f"{site.address}/guide/")))
    assert {"guide/index.html", "guide/leave.html", "guide/deep/more.html"} <= found
    assert len(found) == 4  # and the page with a query, under a name that tells it from the one without
    assert "/secret" not in site.paths()
    assert sorted(site.paths()) == sorted(set(site.paths()))  # each is asked for once


def test_a_page_is_handed_over_as_it_was_listed(site: Website, opened: Callable, tmp_path: Path) -> None:
    site.put("/", title="Parental leave")
    source = opened(site.address)
    [entry] = listing(source)
    assert isinstance(entry, Entry)
    site.put("/", title="Changed meanwhile")
    assert b"Parental leave" in source.fetch(entry, tmp_path).read_bytes()


def test_a_file_of_another_type_is_fetched_when_it_is_wanted(site: Website, opened: Callable, tmp_path: Path) -> None:
    site.put("/", "plan.pdf", "logo.png", "style.css")
    site.pages["/plan.pdf"] = Page(b"%PDF-1.4 plan", "application/pdf", headers={"ETag": '"one"'})
    site.pages["/logo.png"] = Page(b"png", "image/png")
    source = opened(site.address)
    found = {one.source: one for one in listing(source) if isinstance(one, Entry)}
    assert set(found) == {"index.html", "plan.pdf"}
    assert source.fetch(found["plan.pdf"], tmp_path).read_bytes() == b"%PDF-1.4 plan"


def test_depth_and_count_bound_a_crawl_and_tell_that_it_is_incomplete(site: Website, opened: Callable) -> None:
    for number in range(6):
        site.put(f"/{number}", f"/{number + 1}")
    assert names(listing(opened(f"{site.address}/0", max_depth=2))) == {"0.html", "1.html", "2.html"}
    some = listing(opened(f"{site.address}/0", max_pages=4))
    assert len(names(some)) == 4
    assert "" in withheld(some)


def test_pages_that_differ_in_their_ending_alone_keep_two_names(site: Website, opened: Callable) -> None:
    site.put("/", "guide", "guide.html")
    site.put("/guide")
    site.put("/guide.html")
    assert len(names(listing(opened(site.address)))) == 3


def test_an_encoding_that_only_the_answer_tells_is_written_into_the_file(
    site: Website, opened: Callable, tmp_path: Path
) -> None:
    site.pages["/"] = Page("<html><body><p>Größe</p></body></html>".encode("latin-1"), "text/html; charset=iso-8859-1")
    source = opened(site.address)
    [entry] = listing(source)
    assert isinstance(entry, Entry)
    assert "Größe" in source.fetch(entry, tmp_path).read_text("utf-8-sig")


# -- what changed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "validator", [{"ETag": '"v1"'}, {"ETag": 'W/"v1"'}, {"Last-Modified": "Tue, 03 Nov 2026 10:00:00 GMT"}]
)
def test_what_did_not_change_costs_a_304_and_its_links_are_followed_all_the_same(
    site: Website, opened: Callable, validator: dict[str, str]
) -> None:
    site.put("/", "a", headers=validator)
    site.put("/a", "b", headers=validator)
    site.put("/b", headers=validator)
    first = listing(opened(site.address))
    site.asked.clear()
    second = listing(opened(site.address), prints(first))
    assert [status for path, status in site.asked if path != "/robots.txt"] == [304, 304, 304]
    assert prints(second) == prints(first)
    assert names(second) == {"index.html", "a.html", "b.html"}


def test_what_changed_has_another_fingerprint(site: Website, opened: Callable) -> None:
    site.put("/", "a", headers={"ETag": '"1"'})
    site.put("/a", title="Ten days")
    first = prints(listing(opened(site.address)))
    site.put("/a", title="Twelve days")
    second = prints(listing(opened(site.address), first))
    assert second["index.html"] == first["index.html"]
    assert second["a.html"] != first["a.html"]


@given(st.lists(st.text(alphabet="abc/?=&.-~", max_size=12), max_size=20, unique=True))
def test_a_fingerprint_gives_back_the_links_it_was_made_with(paths: list[str]) -> None:
    links = tuple(dict.fromkeys(tidy(f"https://host.example/{path}") for path in paths))
    before = Before.of("a.html", pack("https://host.example/a/b", Validators("", ""), "", links))
    assert before.links == links


def test_a_page_with_too_many_links_to_keep_is_read_in_full(site: Website, opened: Callable) -> None:
    import hashlib

    site.put(
        "/", *(hashlib.sha256(str(number).encode()).hexdigest() for number in range(2000)), headers={"ETag": '"1"'}
    )
    first = listing(opened(site.address, max_pages=1))
    site.asked.clear()
    listing(opened(site.address, max_pages=1), prints(first))
    assert site.asked[1] == ("/", 200)


# -- gone, failing, refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
def test_a_page_that_is_gone_is_said_to_be_gone(site: Website, opened: Callable, status: int) -> None:
    site.put("/", "a")
    site.put("/a")
    first = prints(listing(opened(site.address)))
    site.pages["/a"] = Page(status=status)
    second = listing(opened(site.address), first)
    assert Gone("a.html") in second
    assert not withheld(second)


@pytest.mark.parametrize("status", [500, 503, 408, 429, 401, 403])
def test_a_page_that_fails_or_is_refused_is_not_gone_nor_is_anything_else(
    site: Website, opened: Callable, status: int
) -> None:
    site.put("/", "a")
    site.put("/a", "b")
    site.put("/b")
    first = prints(listing(opened(site.address)))
    site.pages["/a"] = Page(status=status)
    second = listing(opened(site.address), first)
    assert not [one for one in second if isinstance(one, Gone)]
    assert withheld(second) == {"a.html", ""}
    [told] = [one.error for one in second if isinstance(one, Unlisted) and one.error is not None]
    assert str(status) in told.detail


def test_a_page_that_was_never_ours_and_is_refused_is_nothing_to_complain_of(site: Website, opened: Callable) -> None:
    site.put("/", "admin")
    site.pages["/admin"] = Page(status=403)
    assert len(listing(opened(site.address))) == 1


def test_after_an_incomplete_crawl_what_was_there_before_is_asked_for(site: Website, opened: Callable) -> None:
    site.put("/", "a", "b")
    for path in ("/a", "/b"):
        site.put(path)
    first = prints(listing(opened(site.address)))
    site.put("/", "broken")  # neither is linked any more, but what the broken page links to is not known
    site.pages["/broken"] = Page(status=500)
    del site.pages["/b"]
    second = listing(opened(site.address), first)
    assert Gone("b.html") in second
    assert "a.html" in names(second)


def test_a_site_that_asks_for_patience_gets_it(site: Website, opened: Callable) -> None:
    slept: list[float] = []
    site.pages["/"] = [Page(status=503, headers={"Retry-After": "7"}), Page(linked())]
    assert names(listing(opened(site.address, sleep=slept.append))) == {"index.html"}
    assert slept == [7.0]


def test_a_start_that_is_not_there_or_does_not_answer_is_an_error_with_a_way_out(
    site: Website, opened: Callable
) -> None:
    with pytest.raises(UsageError, match=r"nothing at .*Check the address"):
        listing(opened(f"{site.address}/nowhere"))
    site.pages["/down"] = Page(status=500)
    with pytest.raises(ServiceError, match=r"status 500.*again later"):
        listing(opened(f"{site.address}/down"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(ServiceError, match="again later"):
            listing(opened(f"http://127.0.0.1:{closed.getsockname()[1]}/"))


# -- politeness --------------------------------------------------------------------------------------------------------


def test_robots_txt_is_obeyed_and_its_pace_kept(site: Website, opened: Callable) -> None:
    site.pages["/robots.txt"] = Page(
        "User-agent: *\nDisallow: /\n\nUser-agent: Quoth\nDisallow: /private\nCrawl-delay: 3\n", "text/plain"
    )
    site.put("/", "private/a", "open")
    site.put("/open")
    site.put("/private/a")
    slept: list[float] = []
    assert names(listing(opened(site.address, sleep=slept.append))) == {"index.html", "open.html"}
    assert "/private/a" not in site.paths()
    assert len(slept) == 2  # before each page; the first after robots.txt itself
    assert all(2 < seconds <= 3 for seconds in slept)
    assert all(headers["user-agent"].startswith("Quoth/") for headers in site.seen_headers)


def test_a_pace_of_hours_is_refused_in_words(site: Website, opened: Callable) -> None:
    site.pages["/robots.txt"] = Page("User-agent: *\nCrawl-delay: 7200\n", "text/plain")
    with pytest.raises(UsageError, match="7200 s between two pages"):
        listing(opened(site.address))


def test_a_robots_txt_that_fails_means_that_nothing_is_read(site: Website, opened: Callable) -> None:
    site.pages["/robots.txt"] = Page(status=500)
    site.put("/")
    with pytest.raises(ServiceError, match=r"robots\.txt"):
        listing(opened(site.address))
    assert site.paths() == []


def test_a_page_that_robots_txt_withdraws_is_listed_no_more(site: Website, opened: Callable) -> None:
    site.put("/", "a")
    site.put("/a")
    first = prints(listing(opened(site.address)))
    site.pages["/robots.txt"] = Page("User-agent: *\nDisallow: /a\n", "text/plain")
    second = listing(opened(site.address), first)
    assert names(second) == {"index.html"}
    assert not withheld(second)


def test_pages_that_ask_not_to_be_kept_are_followed_but_not_listed(site: Website, opened: Callable) -> None:
    site.pages["/"] = Page('<meta name="robots" content="noindex"><a href="a">a</a><a href="c">c</a>')
    site.put("/a", headers={"X-Robots-Tag": "noindex"})
    site.pages["/c"] = Page('<meta name="robots" content="nofollow"><a href="d">d</a>')
    site.put("/d")
    assert names(listing(opened(site.address))) == {"c.html"}


# -- redirects and other networks --------------------------------------------------------------------------------------


def test_redirects_on_the_site_are_followed_and_a_page_is_taken_once(site: Website, opened: Callable) -> None:
    site.put("/", "old", "new")
    site.pages["/old"] = Page(status=301, headers={"Location": "/new"})
    site.put("/new")
    assert names(listing(opened(site.address))) == {"index.html", "new.html"}


def test_a_redirect_into_another_host_is_never_followed(site: Website, opened: Callable) -> None:
    inner = Website()
    try:
        inner.put("/", title="Inner secret")
        site.put("/", "out", "out2", "loop")
        site.pages["/out"] = Page(status=302, headers={"Location": f"{inner.address}/"})
        site.pages["/out2"] = Page(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/"})
        site.pages["/loop"] = Page(status=302, headers={"Location": "/loop"})
        assert names(listing(opened(site.address))) == {"index.html"}
        assert inner.asked == []
        with pytest.raises(UsageError, match=f"leads elsewhere, to '{inner.address}/'"):
            listing(opened(f"{site.address}/out"))
    finally:
        inner.close()


def test_a_redirect_to_a_page_that_robots_txt_forbids_is_not_followed(site: Website, opened: Callable) -> None:
    site.pages["/robots.txt"] = Page("User-agent: *\nDisallow: /private\n", "text/plain")
    site.put("/", "way")
    site.pages["/way"] = Page(status=302, headers={"Location": "/private"})
    site.put("/private")
    assert names(listing(opened(site.address))) == {"index.html"}
    assert "/private" not in site.paths()


def test_a_name_that_leads_into_a_private_network_needs_permission(site: Website, opened: Callable) -> None:
    name = next((one for one in (socket.gethostname(), "ip6-localhost") if resolves_privately(one)), None)
    if name is None:
        pytest.skip("no name of this machine resolves to a private address")
    site.put("/")
    with pytest.raises(UsageError, match="--intranet"):
        listing(opened(f"http://{name}:{site.port}/"))
    assert site.asked == []
    try:
        listing(opened(f"http://{name}:{site.port}/", intranet=True))
    except ServiceError as error:  # the name may be of an interface that this server does not listen on
        assert "private" not in str(error)


def resolves_privately(name: str) -> bool:
    try:
        found = socket.getaddrinfo(name, 80)
    except OSError:
        return False
    return not any(is_public(str(one[4][0])) for one in found)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("127.0.0.1", False),
        ("10.1.2.3", False), ("169.254.169.254", False), ("::1", False), ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False), ("100.64.0.1", False), ("0.0.0.0", False), ("nonsense", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_only_the_same_host_is_the_same_site() -> None:
    secure, plain = Site("https://host.example/a"), Site("http://host.example/a")
    assert secure.is_of("https://host.example/b")
    assert not secure.is_of("http://host.example/b")
    assert not secure.is_of("https://host.example:8443/b")
    assert not secure.is_of("https://host.example.evil.example/b")
    assert plain.is_of("https://host.example/b")
    assert not plain.is_of("https://user@other.example/b")
    assert not plain.is_of("ftp://host.example/b")
    for site in (secure, plain):
        site.close()


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_a_page_that_trickles_is_cut_off_and_nothing_is_retired_for_it(site: Website, opened: Callable) -> None:
    site.put("/", "slow", "next")
    site.pages["/slow"] = Page(trickles=True)
    site.put("/next")
    found = listing(opened(site.address, page_s=0.4))
    assert names(found) == {"index.html", "next.html"}
    assert withheld(found) == {"slow.html", ""}


def test_a_file_that_trickles_is_cut_off_with_the_reason(site: Website, opened: Callable, tmp_path: Path) -> None:
    site.put("/", "slow.pdf")
    site.pages["/slow.pdf"] = Page(kind="application/pdf", trickles=True)
    source = opened(site.address, fetch_s=0.4)
    [entry] = [one for one in listing(source) if isinstance(one, Entry) and one.source == "slow.pdf"]
    with pytest.raises(DocumentError) as failed:
        source.fetch(entry, tmp_path)
    assert failed.value.reason == "timeout"
    assert list(tmp_path.iterdir()) == []


def test_an_answer_without_end_of_headers_is_given_up(opened: Callable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                    while True:
                        connection.sendall(b"x")
                        time.sleep(0.05)
                except OSError:
                    return

        threading.Thread(target=trickle, daemon=True).start()
        site = Site(f"http://127.0.0.1:{server.getsockname()[1]}/")
        with pytest.raises(Exception, match="no answer within"), site.get(site.start, robots=False, within_s=0.4):
            pass
        site.close()


def test_what_is_too_large_is_named_and_not_kept(site: Website, opened: Callable, tmp_path: Path) -> None:
    site.put("/", "big.pdf", "bomb")
    site.pages["/big.pdf"] = Page(b"x" * 3000, "application/pdf", length=False)
    site.pages["/bomb"] = Page(gzip.compress(b" " * 20_000_000), headers={"Content-Encoding": "gzip"})
    source = opened(site.address, max_bytes=1000)
    found = listing(source)
    assert "bomb.html" in withheld(found)
    [entry] = [one for one in found if isinstance(one, Entry) and one.source == "big.pdf"]
    with pytest.raises(DocumentError) as failed:
        source.fetch(entry, tmp_path)
    assert failed.value.reason == "too_large"
    assert list(tmp_path.iterdir()) == []


# -- sitemaps ----------------------------------------------------------------------------------------------------------


def urlset(*urls: str) -> str:
    inside = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{inside}</urlset>'


def index(*urls: str) -> str:
    inside = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{inside}</sitemapindex>'


def test_an_index_of_sitemaps_leads_to_their_pages_packed_or_not(site: Website, opened: Callable) -> None:
    at = site.address
    site.pages["/sitemap.xml"] = Page(index(f"{at}/one.xml", f"{at}/two.xml.gz"), "application/xml")
    site.pages["/one.xml"] = Page(urlset(f"{at}/a", f"{at}/b", "http://127.0.0.2/x"), "application/xml")
    site.pages["/two.xml.gz"] = Page(gzip.compress(urlset(f"{at}/deep/c", f"{at}/a").encode()), "application/gzip")
    for path in ("/a", "/b", "/deep/c"):
        site.put(path, "unlisted")
    site.put("/unlisted")
    found = listing(opened(f"{at}/sitemap.xml"))
    assert names(found) == {"a.html", "b.html", "deep/c.html"}  # what they link to is not followed
    assert not withheld(found)


def test_a_page_taken_out_of_a_sitemap_is_listed_no_more_and_an_unchanged_one_costs_a_304(
    site: Website, opened: Callable
) -> None:
    at = site.address
    site.pages["/sitemap.xml"] = Page(urlset(f"{at}/a", f"{at}/b"), "application/xml")
    for path in ("/a", "/b"):
        site.put(path, headers={"ETag": '"1"'})
    first = prints(listing(opened(f"{at}/sitemap.xml")))
    site.pages["/sitemap.xml"] = Page(urlset(f"{at}/a"), "application/xml")
    site.asked.clear()
    second = listing(opened(f"{at}/sitemap.xml"), first)
    assert prints(second) == {"a.html": first["a.html"]}
    assert not withheld(second)
    assert ("/a", 304) in site.asked


def test_a_sitemap_that_cannot_be_read_withholds_everything(site: Website, opened: Callable) -> None:
    at = site.address
    site.pages["/sitemap.xml"] = Page(index(f"{at}/one.xml", f"{at}/two.xml"), "application/xml")
    site.pages["/one.xml"] = Page(urlset(f"{at}/a"), "application/xml")
    site.pages["/two.xml"] = Page(status=500)
    site.put("/a")
    found = listing(opened(f"{at}/sitemap.xml"))
    assert names(found) == {"a.html"}
    assert "" in withheld(found)


@pytest.mark.parametrize(
    "content",
    [
        b"<html></html>", b"no xml", b"\x1f\x8bdamaged", gzip.compress(urlset("http://a/").encode())[:-9],
        b'<!DOCTYPE urlset [<!ENTITY a "b">]><urlset><url><loc>&a;</loc></url></urlset>',
        gzip.compress(b" " * 61_000_000),
    ],
)  # fmt: skip
def test_what_is_no_sitemap_or_not_to_be_trusted_is_refused(content: bytes) -> None:
    with pytest.raises(NoSitemap):
        read_sitemap(content)


# -- addresses and names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kind", "name"),
    [
        ("https://h/", "text/html", "index.html"),
        ("https://h/a/b/", "text/html", "a/b/index.html"),
        ("https://h/a.htm", "text/html", "a.htm"),
        ("https://h/v1.2", "text/html", "v1.2.html"),
        ("https://h/../../etc/passwd", "text/plain", "etc/passwd.txt"),
        ("https://h/%2e%2e/%C3%BCbung", "text/html", "übung.html"),
        ("https://h/plan.PDF", "application/pdf", "plan.PDF"),
        ("https://h/get.php", "application/pdf", "get.php.pdf"),
    ],
)
def test_names_of_pages(url: str, kind: str, name: str) -> None:
    assert name_of(url, kind) == name


@given(st.text(max_size=40), st.text(max_size=20))
def test_a_name_never_leaves_its_folder(path: str, query: str) -> None:
    try:
        name = name_of(f"https://host.example/{path}?{query}", "text/html")
    except ValueError:  # no address at all
        return
    assert not name.startswith("/")
    assert not {"", ".", ".."} & set(name.split("/"))
    assert "\0" not in name


def test_credentials_are_sent_to_the_site_and_appear_nowhere(site: Website, opened: Callable) -> None:
    site.put("/")
    source = opened(f"http://ada:lovelace@127.0.0.1:{site.port}/")
    listed = listing(source)
    assert names(listed) == {"index.html"}
    assert site.seen_headers[-1]["authorization"].startswith("Basic ")
    assert "lovelace" not in source.origin + str(listed)


@pytest.mark.parametrize("address", ["http://", "https:///a", "http://[::1", "http://host:port/"])
def test_an_address_of_no_site_is_refused(address: str) -> None:
    with pytest.raises(UsageError):
        source_at(address)


def test_links_follow_the_base_and_the_wishes_of_the_page() -> None:
    html = (
        '<base href="/docs/"><a href="a">a</a><a rel="nofollow" href="b">b</a><area href="c"><a href="http://[">x</a>'
    )
    assert read_links(html, "https://h/x/y").urls == ("https://h/docs/a", "https://h/docs/c")
