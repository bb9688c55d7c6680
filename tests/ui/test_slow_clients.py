"""Clients that send a byte now and then, over real sockets, while others are answered."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request

from tests.ui.served_api import serving
from ui.api.slow_clients import Deadlines, with_deadlines

PATIENCE_S = 60
SHORT = Deadlines(head_s=1.0, body_s=1.0, bytes_per_s=10_000.0)


def answering() -> FastAPI:
    app = FastAPI()

    @app.post("/length")
    async def length(request: Request) -> int:
        return len(await request.body())

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    return app


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(answering(), http=with_deadlines(SHORT)) as served:
        yield served


def connected(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((str(parts.hostname), parts.port or 80), timeout=PATIENCE_S)


def dripped(client: socket.socket, sent: bytes) -> bytes:
    """What is answered until the server closes, while `sent` goes out a byte at a time and has no end."""
    client.settimeout(0.05)
    heard, begun, number = b"", time.monotonic(), 0
    while time.monotonic() - begun < PATIENCE_S:
        with contextlib.suppress(OSError):  # it closed
            client.sendall(sent[number : number + 1] or b"x")
        number += 1
        try:
            block = client.recv(4096)
        except TimeoutError:
            continue
        except OSError:
            return heard
        if not block:
            return heard
        heard += block
    raise AssertionError("the connection was held for ever")


def test_a_head_that_does_not_end_is_given_up(address: str) -> None:
    with connected(address) as client:
        assert dripped(client, b"GET /hello HTTP/1.1\r\nhost: here\r\nx-long: ").startswith(b"HTTP/1.1 408 ")


def test_a_connection_on_which_nothing_is_said_is_given_up(address: str) -> None:
    with connected(address) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert client.recv(4096) == b""


def test_a_second_head_on_a_connection_that_was_answered_has_its_deadline_too(address: str) -> None:
    with connected(address) as client:
        client.sendall(b"GET /hello HTTP/1.1\r\nhost: here\r\n\r\n")
        assert b"200 OK" in client.recv(4096)
        assert b"HTTP/1.1 408 " in dripped(client, b"GET /hello HTTP/1.1\r\nx-long: ")


def test_a_body_that_does_not_end_is_given_up(address: str) -> None:
    with connected(address) as client:
        client.sendall(b"POST /length HTTP/1.1\r\nhost: here\r\ncontent-length: 1000000\r\n\r\n")
        assert dripped(client, b"").startswith(b"HTTP/1.1 408 ")


def test_an_upload_over_a_slow_line_is_taken_as_long_as_it_comes(address: str) -> None:
    size, parts = 400_000, 8
    with connected(address) as client:
        client.sendall(f"POST /length HTTP/1.1\r\nhost: here\r\ncontent-length: {size}\r\n\r\n".encode())
        for _ in range(parts):  # twice as long as the deadline of a body that does not come
            client.sendall(bytes(size // parts))
            time.sleep(2 * SHORT.body_s / parts)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_hundreds_of_them_keep_nobody_from_being_answered(address: str) -> None:
    slow = [connected(address) for _ in range(200)]
    try:
        for client in slow:
            client.sendall(b"GET /hello HTTP/1.1\r\nx-long: ")
        assert httpx.get(f"{address}/hello", timeout=PATIENCE_S).json() == "hello"
        for client in slow:
            assert client.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert httpx.get(f"{address}/hello", timeout=PATIENCE_S).json() == "hello"
    finally:
        for client in slow:
            client.close()
