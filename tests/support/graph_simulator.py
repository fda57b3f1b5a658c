#!/usr/bin/env python3
"""Serves a stand-in for Microsoft Graph: a seeded tenant over HTTPS, faults on demand.

    graph_simulator.py --port 9443 --certificate server.crt --key server.key --ready-file ready.json

Behaves as Graph's documentation says for what Holdfast guards, and as an unkind Graph elsewhere: a
request that no correct proxy sends is refused and noted in the request log. Keeps every request
byte for byte. What can be asked of it while it runs: graphsim/control.py. Standard library only.
"""
import argparse
import asyncio
import json
import os
import pathlib
import signal
import socket
import ssl
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from graphsim.control import mailbox_ids  # noqa: E402
from graphsim.server import BACKLOG, Server  # noqa: E402
from graphsim.tenant import BOT_APP_ID, TENANT_ID, USER_APP_ID, Tenant  # noqa: E402
from graphsim.tokens import TokenIssuer  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=9443, help="port; 0 takes a free one")
    parser.add_argument("--certificate", help="PEM file with the server's certificate chain")
    parser.add_argument("--key", help="PEM file with its private key")
    parser.add_argument("--plain", action="store_true", help="http instead of https")
    parser.add_argument("--authority", action="append", default=[],
                        help="a further host[:port] that requests may name as Host")
    parser.add_argument("--seed", type=int, default=1, help="what ids and tokens follow from")
    parser.add_argument("--requests-kept", type=int, default=200_000,
                        help="how many requests the log keeps")
    parser.add_argument("--ready-file", help="JSON file written once the port is open")
    options = parser.parse_args()
    if not options.plain and not (options.certificate and options.key):
        parser.error("give --certificate and --key, or --plain")
    return options


def tls_context(options):
    if options.plain:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.certificate, options.key)
    return context


def authorities(options, port):
    hosts = ["localhost", "127.0.0.1", "[::1]"]
    names = {f"{host}:{port}" for host in hosts} | {name.lower() for name in options.authority}
    if port == (80 if options.plain else 443):
        names |= set(hosts)
    return names


def write_ready_file(path, origin, port, tenant, tokens):
    users = {user.upn: tokens.for_user(user, USER_APP_ID) for user in tenant.users}
    ready = {"origin": origin, "port": port, "pid": os.getpid(), "tenant_id": TENANT_ID,
             "user_app_id": USER_APP_ID, "app_id": BOT_APP_ID,
             "tokens": {"requester": users["alex@contoso.com"],
                        "app": tokens.for_app(BOT_APP_ID), "users": users},
             "mailboxes": {user.upn: mailbox_ids(user) for user in tenant.users}}
    unfinished = path + ".new"
    with open(unfinished, "w", encoding="utf-8",
              opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(ready, file)
    os.replace(unfinished, path)


async def main():
    options = arguments()
    family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((options.address, options.port))
    except OSError as problem:
        sys.exit(f"graph_simulator: {options.address}:{options.port}: {problem.strerror}")
    listening.listen(BACKLOG)
    listening.setblocking(False)
    port = listening.getsockname()[1]
    tenant = Tenant(options.seed)
    tokens = TokenIssuer(TENANT_ID, options.seed)
    scheme = "http" if options.plain else "https"
    server = Server(tenant, tokens, authorities(options, port), scheme, options.requests_kept)
    accepting = asyncio.create_task(server.serve(listening, tls_context(options)))
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, accepting.cancel)
    if options.ready_file:
        write_ready_file(options.ready_file, f"{scheme}://localhost:{port}", port, tenant, tokens)
    print(f"ready {scheme}://localhost:{port}", flush=True)
    try:
        await accepting
    except asyncio.CancelledError:
        pass


if __name__ == "__main__":
    asyncio.run(main())
