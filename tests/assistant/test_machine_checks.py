"""What doctor finds on a machine that is set up wrongly: each fault is made for real."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from assistant import machine_checks
from assistant.settings import Settings
from assistant.sign_in import SignIn, sign_in_from


def settings(home: Path, **more: str) -> Settings:
    return Settings.from_env({"QUOTH_HOME": str(home), **more})


@pytest.fixture
def provider() -> Iterator[tuple[str, dict[str, str]]]:
    """The address of an identity provider, and what it says of itself."""
    said: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(said if "well-known" in self.path else {"keys": []}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    said |= {"issuer": address, "jwks_uri": f"{address}/keys"}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield address, said
    server.shutdown()
    server.server_close()


def signing_in(address: str) -> SignIn | None:
    return sign_in_from({"QUOTH_OIDC_ISSUER": address, "QUOTH_OIDC_CLIENT_ID": "quoth"})


def test_a_home_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    assert machine_checks.home_writable(tmp_path).ok
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    found = machine_checks.home_writable(tmp_path / "file")
    assert not found.ok and "QUOTH_HOME" in found.cure


def test_the_disk_is_looked_at_where_the_home_will_be(tmp_path: Path) -> None:
    assert str(tmp_path) in machine_checks.disk(settings(tmp_path / "not" / "yet")).detail


def test_a_key_that_others_may_read_is_told(tmp_path: Path) -> None:
    for name, mode in (("audit.key", 0o600), ("keys.pepper", 0o640)):
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(mode)
    assert {one.name: one.ok for one in machine_checks.private_files(tmp_path)} == {
        "mode of audit.key": True,
        "mode of keys.pepper": False,
    }


def test_a_taken_port_is_told_and_one_that_shows_our_metrics_is_not(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        def answer() -> None:
            for body in (b"something else", b"quoth_answers_total 1"):
                peer, _ = taken.accept()
                with peer:
                    peer.recv(1000)
                    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
                    peer.sendall(head.encode() + body)

        threading.Thread(target=answer, daemon=True).start()
        ours = settings(tmp_path, QUOTH_METRICS_PORT=str(port))
        found = machine_checks.metrics_port(ours)
        assert found and not found.ok and found.kind == "fault"
        found = machine_checks.metrics_port(ours)
        assert found and found.ok
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = machine_checks.metrics_port(settings(tmp_path, QUOTH_METRICS_PORT=f"0.0.0.0:{port}"))
    assert found and not found.ok and found.kind == "advice"
    assert machine_checks.metrics_port(settings(tmp_path)) is None


@pytest.mark.parametrize(
    ("limits", "models", "told"),
    [
        ("user 0 requests/day", "m", "allows nothing"),
        ("user 100 tokens/day", "m", "less than one answer"),
        ("user 5 USD/month", "", "no model"),
        ("user 20 requests/minute, user 50000 tokens/day", "m", None),
    ],
)
def test_limits_that_nobody_can_meet(tmp_path: Path, limits: str, models: str, told: str | None) -> None:
    found = list(machine_checks.limits(settings(tmp_path, QUOTH_LIMITS=limits, QUOTH_MODELS=models)))
    assert (told in found[0].detail) if told else not found


def test_an_issuer_that_is_away_or_calls_itself_otherwise(provider: tuple[str, dict[str, str]]) -> None:
    address, said = provider
    found = machine_checks.issuer(signing_in(address))
    assert found and found.ok
    said["issuer"] = f"{address}/"
    found = machine_checks.issuer(signing_in(address))
    assert found and not found.ok and f"{address}/ exactly" in found.cure
    found = machine_checks.issuer(signing_in("http://127.0.0.1:1"))
    assert found and not found.ok and "check QUOTH_OIDC_ISSUER" in found.cure
    assert machine_checks.issuer(None) is None


@pytest.mark.parametrize(
    ("address", "signed_in", "ok"),
    [
        ("http://quoth.example.org", True, False),
        ("https://quoth.example.org/app", True, False),
        ("https://quoth.example.org", False, False),
        ("https://quoth.example.org", True, True),
        ("http://localhost:8501", False, True),
        ("", True, False),
    ],
)
def test_the_address_that_people_reach_it_by(tmp_path: Path, address: str, signed_in: bool, ok: bool) -> None:
    provider = signing_in("https://id.example.org") if signed_in else None
    found = machine_checks.public_address(settings(tmp_path, QUOTH_PUBLIC_URL=address), provider)
    assert found is not None and found.ok is ok


def test_a_mail_server_that_is_away_or_not_named() -> None:
    found = machine_checks.mail_server({"QUOTH_SMTP_URL": "smtp://127.0.0.1:1", "QUOTH_SMTP_FROM": "q@example.org"})
    assert found and not found.ok and "firewall" in found.cure
    found = machine_checks.mail_server({"QUOTH_HANDOFF_MAIL": "desk@example.org"})
    assert found and not found.ok and "QUOTH_SMTP_URL" in found.cure
    assert machine_checks.mail_server({}) is None
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def answer() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.sendall(b"220 mail.example.org\r\n")
                while said := peer.recv(1000):
                    peer.sendall(b"221 bye\r\n" if said.lower().startswith(b"quit") else b"250 ok\r\n")

        threading.Thread(target=answer, daemon=True).start()
        found = machine_checks.mail_server({"QUOTH_SMTP_URL": f"smtp://127.0.0.1:{listening.getsockname()[1]}"})
        assert found and found.ok
