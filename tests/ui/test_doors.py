"""Every route of the API and every tool for agents, asked by nobody, by who is somebody no more, and by an outsider.

The routes are those of the API's own description: one that is added without a line here fails the test. What is asked
for is there once and once not, and both are answered alike: a refusal does not tell whether a thing exists.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx
import httpx2
import mcp
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from mcp.client.streamable_http import streamable_http_client

from assistant.bootstrap import Quoth
from assistant.callers import ROLES
from assistant.sign_in import BearerTokens, sign_in_from
from evals.case_record import to_json
from evals.run_store import Runs
from tests.assistant.test_sign_in import Provider
from tests.evals.made_runs import RIGHT, facts, made_run
from tests.ui.served_api import serving
from ui.api.app import api_app

pytestmark = pytest.mark.integration

SECRET: Final = "# Board minutes\n\nThe board sells the ferry Halcyon for nine million crowns in May.\n"
WORDS: Final = ("halcyon", "minutes", "nine million", "crowns")
QUESTION: Final = "For how many crowns does the board sell the ferry in May?"
PUBLIC: Final = {("get", "/api/health"), ("get", "/api/ready")}
# what is sent to the routes that take a body
BODIES: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("post", "/api/search"): {"question": "ferry"},
    ("post", "/api/answers"): {"question": "What is sold in May?"},
    ("put", "/api/answers/{answer}/feedback"): {"helpful": True},
    ("patch", "/api/conversations/{conversation}"): {"title": "mine"},
    ("put", "/api/documents/{document}/readers"): {"readers": ["everyone"]},
    ("post", "/api/evaluations"): {"file": "conversations"},
    ("post", "/api/evaluations/{run}/gate"): {"bars": {"citation_precision": {"min": 0.5}}},
    ("patch", "/api/groups/{group}"): {"add": ["user:ada"], "remove": ["user:ada"]},
    ("post", "/v1/responses"): {"input": "What is sold in May?"},
    ("post", "/v1/chat/completions"): {"messages": [{"role": "user", "content": "What is sold in May?"}]},
}
# routes that take no body and name nothing of anybody's
PLAIN: Final = {
    ("get", "/api/me"), ("get", "/api/conversations"), ("get", "/api/documents"), ("get", "/v1/models"),
    ("post", "/api/documents"), ("get", "/api/evaluations"), ("get", "/api/groups"), ("get", "/api/usage"),
    ("get", "/api/usage/mine"), ("get", "/api/evaluations/jobs"), ("post", "/api/transcriptions"),
}  # fmt: skip
OF_ROLES: Final = (
    "/api/evaluations/",
    "/api/groups/",
)  # what is there for whoever has the role, without readers' words


@dataclass(frozen=True, slots=True)
class Door:
    address: str
    client: httpx.Client
    routes: tuple[tuple[str, str], ...]
    there: dict[str, str]  # what belongs to the board, by the name that it has in a path
    false: dict[str, dict[str, str]]  # headers that make nobody anybody
    board: dict[str, str]
    outsider: dict[str, str]  # every role, and not the group
    reader: dict[str, str]  # no role, and not the group

    def ask(self, route: tuple[str, str], things: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        act, path = route
        for name, value in things.items():
            path = path.replace(f"{{{name}}}", value)
        path += "?before=" + things["run"] if path.endswith("/comparison") else ""
        assert "{" not in path, f"nothing of {path} is there to be asked for"
        files = {"files": ("quay.md", b"# Quay\n\nIt is open.\n")} if route == ("post", "/api/documents") else None
        return self.client.request(act, path, json=BODIES.get(route), files=files, headers=headers)


def unknown(things: dict[str, str]) -> dict[str, str]:
    return {name: value if name in ("page", "member") else str(uuid.uuid4()) for name, value in things.items()}


def said(response: httpx.Response, things: dict[str, str]) -> tuple[object, ...]:
    """All of an answer that could tell something, without what was sent and what differs each time."""
    text = re.sub(r'"request_id":\s*"[0-9a-f]*"', "", response.text)
    for name, value in things.items():
        text = text.replace(value, name) if name not in ("page", "member") else text
    headers = {name for name in response.headers if name != "x-request-id"}
    return response.status_code, text, frozenset(headers), response.headers.get("www-authenticate")


def tells(text: str) -> list[str]:
    return [word for word in WORDS if word in text.lower()]


@pytest.fixture(scope="module")
def door(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "minutes.md").write_text(SECRET)
    (folder / "berths.md").write_text("# Berths\n\nThe ferry lies at the third berth in May.\n")
    assert [one.status for one in quoth.pipeline.add([folder / "berths.md"])] == ["added"]
    assert [one.status for one in quoth.pipeline.add([folder / "minutes.md"], readers=["board"])] == ["added"]
    provider = Provider()
    sign_in = sign_in_from(
        {"QUOTH_OIDC_ISSUER": provider.issuer, "QUOTH_OIDC_CLIENT_ID": "quoth", "QUOTH_ROLES": "admin=quoth-admins"}
    )
    assert sign_in is not None
    app = api_app(
        lambda: quoth, lambda: quoth.api_keys, tokens=BearerTokens(sign_in), local=False, hosts=None,
        requests_per_minute=1e6,
    )  # fmt: skip
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        board = bearer(quoth.api_keys.create("bo", roles=ROLES, groups=["board"])[1])
        asked = client.post("/api/answers", json={"question": QUESTION}, headers=board).json()
        assert tells(asked["text"]), asked
        sold = client.post("/api/answers", json={"question": "What is sold in May?"}, headers=board).json()
        files = {"files": ("crowns.md", b"# Crowns\n\nNine million crowns.\n")}
        sent = client.post("/api/documents", files=files, data={"readers": "board"}, headers=board)
        described = client.get("/api/openapi.json").json()
        yield Door(
            address,
            client,
            tuple((act, path) for path, acts in described["paths"].items() for act in acts),
            {
                "document": asked["citations"][0]["document"], "answer": asked["answer"], "page": "1",
                "conversation": asked["conversation"], "job": "00000000", "batch": sent.json()["batch"],
                "run": kept_run(quoth, sold["answer"]), "group": "harbour", "member": "user:bo",
            },
            false_identities(quoth, provider),
            board,
            bearer(provider.token(groups=["quoth-admins", "everyone", "user:bo"])),
            bearer(quoth.api_keys.create("carl")[1]),
        )  # fmt: skip
    provider.server.shutdown()
    provider.server.server_close()


def kept_run(quoth: Quoth, answer: str) -> str:
    """A run with one case, which the board's answer answers; its question holds no word of the document's alone."""
    runs = Runs(quoth.database)
    kept = runs.begin(facts(cases=1))
    record = made_run([RIGHT]).records[0]
    runs.keep(kept.id, 0, record.case_id, to_json(replace(record, answer=uuid.UUID(answer), principal="bo")))
    runs.finish(kept.id)
    return kept.id


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def false_identities(quoth: Quoth, provider: Provider) -> dict[str, dict[str, str]]:
    def made(days: int = 1) -> tuple[str, str]:
        key, token = quoth.api_keys.create("bo", roles=ROLES, groups=["board"], days=days)
        return key.id, token

    revoked, expired, other = made(), made(), made()
    quoth.api_keys.revoke(revoked[0])
    with quoth.database.working() as connection:
        connection.exec_driver_sql("update api_key set expires_at = now() where id = %s", (expired[0],))
    past = int(time.time()) - 3600
    stranger = RSAKey.generate_key(2048, parameters={"kid": "first"})
    return {
        "nothing": {},
        "a name and a password": {"authorization": "Basic Ym86Ym8="},
        "an empty token": {"authorization": "Bearer"},
        "a key that was never made": bearer("quoth_0123456789ab_" + "x" * 43),
        "another key's secret": bearer(f"quoth_{revoked[0]}_{other[1].split('_', 2)[2]}"),
        "a revoked key": bearer(revoked[1]),
        "an expired key": bearer(expired[1]),
        "an expired token": bearer(provider.token(groups=["board"], exp=past)),
        "a token for another": bearer(provider.token(groups=["board"], aud="another")),
        "a token of another": bearer(jwt.encode({"alg": "RS256", "kid": "first"}, provider.claims(), stranger)),
        "a cookie and headers that proxies set": {
            "cookie": "_streamlit_user=bo", "x-forwarded-user": "bo", "x-forwarded-email": "bo", "remote-user": "bo",
        },
    }  # fmt: skip


def test_every_route_is_asked(door: Door) -> None:
    named = {route for route in door.routes if "{" in route[1]}
    known = PUBLIC | set(BODIES) | PLAIN | named
    assert set(door.routes) == known, "say above what is sent to a new route"


def test_nobody_is_told_anything(door: Door) -> None:
    for route in door.routes:
        if route in PUBLIC:
            continue
        answers = set()
        for what, headers in door.false.items():
            for things in (door.there, unknown(door.there)):
                refused = door.ask(route, things, headers)
                assert refused.status_code == 401 and not tells(refused.text), (route, what, refused.text)
                assert refused.headers["content-type"] == "application/problem+json"
                assert refused.headers["cache-control"] == "no-store"
                answers.add((what, said(refused, things)))
        assert len(answers) == len(door.false), f"{route}: a refusal tells whether the thing is there"
    for what, headers in door.false.items():
        assert door.client.post("/mcp", json={}, headers=headers).status_code == 401, what


def test_what_the_board_reads_is_there(door: Door) -> None:
    for route in door.routes:
        if route[0] == "get" and "pages" not in route[1] and "{job}" not in route[1]:
            assert door.ask(route, door.there, door.board).status_code == 200, route


@pytest.mark.parametrize("who", ["outsider", "reader"])
def test_an_outsider_cannot_tell_what_is_there_from_what_is_not(door: Door, who: str) -> None:
    headers: dict[str, str] = getattr(door, who)
    for route in door.routes:
        if "{" not in route[1]:
            continue
        nothing = unknown(door.there)
        if route[1].startswith(OF_ROLES) and who == "outsider":
            assert not tells(door.ask(route, door.there, headers).text), route
            continue
        there, gone = door.ask(route, door.there, headers), door.ask(route, nothing, headers)
        assert there.status_code in (403, 404), (route, there.text)
        assert said(there, door.there) == said(gone, nothing), route
        assert not tells(there.text), route
    assert door.client.get(f"/api/answers/{door.there['answer']}", headers=door.board).status_code == 200


@pytest.mark.parametrize("who", ["outsider", "reader"])
def test_no_list_search_answer_or_count_tells_an_outsider_anything(door: Door, who: str) -> None:
    headers: dict[str, str] = getattr(door, who)
    for route in door.routes:
        if "{" in route[1]:
            continue
        found = door.ask(route, {}, headers)
        assert found.status_code < 500 and not tells(found.text), (route, found.text[:2000])
        assert door.there["document"] not in found.text and door.there["conversation"] not in found.text, route
    listed = door.client.get("/api/documents", params={"words": "berths"}, headers=headers).json()
    assert (listed["total"], len(listed["documents"])) == (1, 1)
    for narrow in ({"words": "minutes"}, {"words": "board"}, {"collection": "default", "words": "crown"}):
        listed = door.client.get("/api/documents", params=narrow, headers=headers).json()
        assert listed == {"documents": [], "total": 0, "next_offset": None}
    on = {"input": QUESTION, "previous_response_id": f"resp_{door.there['answer']}"}
    nothing = {"input": QUESTION, "previous_response_id": f"resp_{uuid.uuid4()}"}
    two = [door.client.post("/v1/responses", json=one, headers=headers) for one in (on, nothing)]
    assert [one.status_code for one in two] == [404, 404]
    asked = {"question": QUESTION, "conversation": door.there["conversation"]}
    nowhere = {"question": QUESTION, "conversation": str(uuid.uuid4())}
    two = [door.client.post("/api/answers", json=one, headers=headers) for one in (asked, nowhere)]
    assert two[0].status_code == two[1].status_code and not tells(two[0].json().get("text", ""))


Call = Callable[[mcp.Client, str, str], Any]
TOOLS: Final[dict[str, Call]] = {
    "search": lambda client, document, talk: client.call_tool("search", {"question": "ferry in May"}),
    "ask": lambda client, document, talk: client.call_tool("ask", {"question": "In May?", "conversation": talk}),
    "open_document": lambda client, document, talk: client.call_tool("open_document", {"document": document}),
}


def test_no_tool_tells_an_agent_of_an_outsider_anything(door: Door) -> None:
    async def through(headers: dict[str, str]) -> tuple[set[str], dict[str, list[str]]]:
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            mcp.Client(streamable_http_client(f"{door.address}/mcp", http_client=http)) as client,
        ):
            names = {one.name for one in (await client.list_tools()).tools}
            found: dict[str, list[str]] = {}
            for name, call in TOOLS.items():
                for document, talk in (
                    (door.there["document"], door.there["conversation"]),
                    ("minutes.md", door.there["conversation"]),
                    ("nothing.md", str(uuid.uuid4())),
                ):
                    told = await call(client, document, talk)
                    text = json.dumps([told.structured_content, [str(one) for one in told.content]])
                    for one in (document, talk):
                        text = text.replace(one, "ASKED")
                    found.setdefault(name, []).append(text)
            return names, found

    for headers in (door.outsider, door.reader):
        names, found = asyncio.run(through(headers))
        assert names == set(TOOLS), "say above how a new tool is called"
        for name, texts in found.items():
            assert not any(tells(text) for text in texts), name
        assert len(set(found["open_document"])) == 1, "a refusal tells whether the document is there"
    _, found = asyncio.run(through(door.board))
    assert tells(found["open_document"][0])
