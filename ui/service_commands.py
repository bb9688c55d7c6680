"""Commands about the doors for programs: the API alone, the MCP server, keys."""

from __future__ import annotations

import argparse
import os
from datetime import datetime

from assistant.api_keys import DAYS, Key
from assistant.callers import ROLES
from assistant.sign_in import sign_in_from
from ingest.access import LOCAL, group_names
from ingest.errors import UsageError
from ui.command_line import asking_options, command, json_option, open_store, print_json, reader_of, say
from ui.running_commands import free_port, is_loopback, refuse_other_hosts

DEFAULT_API_PORT = 8600


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    api = command(
        commands,
        "api",
        help="serve the HTTP API and the MCP server alone, without the app",
        example="""
            quoth api
            curl -s localhost:8600/api/answers -H 'content-type: application/json' \\
                 -d '{"question": "How long is parental leave?"}'""",
        more="""
            `quoth up` serves the same paths beside the app: /api (its description is /api/openapi.json), /v1 in the
            form of OpenAI's API, and /mcp. Without sign-in (QUOTH_OIDC_ISSUER) only this machine may ask.""",
    )
    api.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    api.add_argument("--port", type=int, help=f"port to listen on ({DEFAULT_API_PORT}, or the next free one)")
    api.set_defaults(run=run_api)

    mcp = command(
        commands,
        "mcp",
        help="be an MCP server on standard input and output, for an agent on this machine",
        example="quoth mcp\nquoth mcp --as ada",
        more="Agents elsewhere use /mcp of `quoth up` or `quoth api`, with a key.",
    )
    asking_options(mcp)
    mcp.set_defaults(run=run_mcp)

    keys = command(
        commands,
        "keys",
        help="make, list and revoke keys of the API",
        example="quoth keys create ada --roles owner --days 30\nquoth keys list\nquoth keys revoke 4f0c2a91d3b7",
    )
    acts = keys.add_subparsers(title="what to do", metavar="ACT", dest="act", required=True)
    create = command(
        acts, "create", help="make a key that acts as a user; it is shown this once", example="quoth keys create ada"
    )
    create.add_argument("user", metavar="USER")
    create.add_argument("--roles", default="reader", metavar="ROLE[,ROLE]", help=f"of {', '.join(ROLES)} (reader)")
    create.add_argument("--groups", metavar="GROUP[,GROUP]", help="beside those of `quoth groups`")
    create.add_argument("--days", type=int, default=DAYS, help=f"how long it holds ({DAYS})")
    create.add_argument("--label", default="", help="what it is for")
    create.set_defaults(run=run_create)
    listing = command(acts, "list", help="list keys; none of them is shown", example="quoth keys list")
    listing.set_defaults(run=run_list)
    revoke = command(acts, "revoke", help="take a key back; holds at once", example="quoth keys revoke 4f0c2a91d3b7")
    revoke.add_argument("key", metavar="KEY", help="its id, as `quoth keys list` shows it")
    revoke.set_defaults(run=run_revoke)
    for act in acts.choices.values():
        json_option(act)


def run_api(arguments: argparse.Namespace) -> int:
    import uvicorn

    from ui.api.serving import served_api
    from ui.api.slow_clients import Deadlines, with_deadlines

    if sign_in_from(os.environ) is None:
        refuse_other_hosts(arguments.host)
    port = free_port(arguments.host, arguments.port, DEFAULT_API_PORT)
    with open_store() as quoth:
        quoth.serve_metrics()
        app = served_api(quoth, local=is_loopback(arguments.host))
        shown = "localhost" if is_loopback(arguments.host) else arguments.host
        say(f"Listening on http://{shown}:{port}; described at /api/openapi.json. Ctrl-C stops it.")
        server = uvicorn.Server(
            uvicorn.Config(
                app, host=arguments.host, port=port, log_level="warning", log_config=None, server_header=False,
                lifespan="on", timeout_graceful_shutdown=10, http=with_deadlines(Deadlines()),
            )
        )  # fmt: skip
        server.run()
    return 0


def run_mcp(arguments: argparse.Namespace) -> int:
    from ui.mcp_server import mcp_server

    if arguments.collection:
        raise UsageError("--collection is an argument of the tools here.")
    with open_store() as quoth:
        reader = reader_of(quoth, arguments)
        mcp_server(lambda: quoth, lambda ctx: reader).run("stdio")
    return 0


def run_create(arguments: argparse.Namespace) -> int:
    roles = [one.strip() for one in arguments.roles.split(",") if one.strip()]
    groups = group_names(arguments.groups) if arguments.groups else ()
    with open_store() as quoth:
        key, token = quoth.api_keys.create(
            arguments.user, roles=roles, groups=groups, days=arguments.days, label=arguments.label, by=LOCAL
        )
        now = quoth.database.now()
    if arguments.json:
        print_json({**key_json(key, now), "token": token})
    else:
        say(f"This key acts as {key.principal} until {key.expires_at:%Y-%m-%d}. It is not shown again:")
        print(token)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        found, now = quoth.api_keys.listed(), quoth.database.now()
    for key in found:
        if arguments.json:
            print_json(key_json(key, now))
        else:
            used = f"used {key.used_at:%Y-%m-%d %H:%M}" if key.used_at else "never used"
            print(
                f"{key.id}  {key.principal}  {','.join(key.roles)}  {key.state(now)} until "
                f"{key.expires_at:%Y-%m-%d}  {used}  {key.label}".rstrip()
            )
    if not found and not arguments.json:
        say("There are no keys. `quoth keys create USER` makes one.")
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        key, now = quoth.api_keys.revoke(arguments.key), quoth.database.now()
    if arguments.json:
        print_json(key_json(key, now))
    else:
        print(f"Key {key.id} of {key.principal} is revoked.")
    return 0


def key_json(key: Key, now: datetime) -> dict[str, object]:
    def moment(at: datetime | None) -> str | None:
        return None if at is None else at.isoformat()

    return {
        "key": key.id, "label": key.label, "user": key.principal, "groups": list(key.groups),
        "roles": list(key.roles), "state": key.state(now), "created_at": moment(key.created_at),
        "created_by": key.created_by, "expires_at": moment(key.expires_at), "used_at": moment(key.used_at),
        "revoked_at": moment(key.revoked_at),
    }  # fmt: skip
