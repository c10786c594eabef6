"""`helm test`: connect, write, read, kill a journal pod, write and read at once, and again when it is back.

SQL goes over HTTP, since the image brings no PostgreSQL driver; PostgreSQL's own port is tried as far as its TLS
handshake. Which cluster: the oldest that the API lists, with tokens of the first access key. A statement that is told
to try again (40001) is tried again, as any client would.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import socket
import ssl
import struct
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tausql.access.connect_tokens import connect_token
from tausql.access.sigv4 import Credentials, signed_headers

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
AUTHORITY = Path("/edge/ca.crt")  # there if the Secret of the edge holds one
CREDENTIALS = Path("/credentials/credentials.json")
USER = "admin"
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
TRIES, PAUSE_SECONDS = 20, 0.05
LOOK_SECONDS = 0.5  # between looks at whether a pod is back


def credentials() -> Credentials:
    key = json.loads(CREDENTIALS.read_text())
    return Credentials(key["access_key_id"], key["secret_access_key"])


@functools.cache
def endpoint() -> str:
    """The name of the oldest cluster. Ends the test where the API does not tell."""
    url, query, region = urlsplit(os.environ["API"]), "max-results=1", os.environ["REGION"]
    headers = {"host": url.netloc}
    headers |= signed_headers(
        credentials(), "GET", "/cluster", query, headers.items(), b"", "dsql", region, time.time()
    )
    request = urllib.request.Request(f"{os.environ['API']}/cluster?{query}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            clusters = json.load(answer)["clusters"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"the API: {error.code} {error.read().decode(errors='replace')}") from None
    if not clusters:
        raise SystemExit("the API lists no cluster")
    return f"{clusters[0]['identifier']}.dsql.{region}.on.aws"


def sql(text: str, *params: object) -> list[list[Any]]:
    """The rows of one statement. Ends the test where it fails for good."""
    token = connect_token(credentials(), endpoint(), os.environ["REGION"], "DbConnectAdmin", time.time())
    headers = {
        "host": endpoint(),
        "authorization": "Basic " + base64.b64encode(f"{USER}:{token}".encode()).decode(),
        "content-type": "application/json",
    }
    body = json.dumps({"sql": text, "params": params}).encode()
    url = f"http://{os.environ['FRONTEND']}:{os.environ['HTTP_PORT']}/v1/sql"
    for _ in range(TRIES):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
                rows: list[list[Any]] = json.load(answer)["rows"]
                return rows
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            if '"40001"' not in said:
                raise SystemExit(f"{text}: {error.code} {said}") from None
        time.sleep(PAUSE_SECONDS)
    raise SystemExit(f"{text}: refused {TRIES} times: {said}")


def kubernetes(method: str, path: str) -> dict[str, Any] | None:
    """The API's answer; None for what is not there."""
    host = f"{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    url = f"https://{host}/api/v1/namespaces/{os.environ['NAMESPACE']}/{path}"
    headers = {"authorization": "Bearer " + (ACCOUNT / "token").read_text().strip()}
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        request = urllib.request.Request(url, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def edge_version() -> str | None:
    """PostgreSQL's port offers TLS, with a certificate for the cluster's name where there is a CA to ask."""
    context = ssl.create_default_context()
    if AUTHORITY.exists():
        context.load_verify_locations(str(AUTHORITY))
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    name = os.environ["FRONTEND"]
    with socket.create_connection((name, int(os.environ["PORT"])), timeout=10) as plain:
        plain.sendall(SSL_REQUEST)
        said = plain.recv(1)
        if said != b"S":
            raise SystemExit(f"no TLS at {name}: it said {said!r}")
        with context.wrap_socket(plain, server_hostname=endpoint()) as encrypted:
            return encrypted.version()


def expect(table: str, rows: int) -> None:
    found = [row[0] for row in sql(f"select id from {table} order by id")]
    if found != list(range(1, rows + 1)):
        raise SystemExit(f"expected the ids 1 to {rows}, found {found}")
    print(f"read {rows} rows")


def is_back(victim: str, before: str) -> bool:
    """Another pod of that name is there and ready."""
    pod = kubernetes("GET", f"pods/{victim}")
    if pod is None or pod["metadata"]["uid"] == before:
        return False
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def lose_and_regain(table: str) -> None:
    victim = os.environ["VICTIM"]
    pod = kubernetes("GET", f"pods/{victim}")
    if pod is None:
        raise SystemExit(f"there is no pod {victim}")
    kubernetes("DELETE", f"pods/{victim}?gracePeriodSeconds=0")
    print("killed", victim)
    started = time.monotonic()
    sql(f"insert into {table} values (2, $1)", "while it is away")
    print(f"wrote {time.monotonic() - started:.3f} s after")
    expect(table, 2)
    while not is_back(victim, pod["metadata"]["uid"]):
        if time.monotonic() - started > float(os.environ["BACK_SECONDS"]):
            raise SystemExit(f"{victim} does not come back")
        time.sleep(LOOK_SECONDS)
    print(f"{victim} is back after {time.monotonic() - started:.1f} s")


def main() -> None:
    table = "helm_test_" + uuid.uuid4().hex[:12]
    print("the edge speaks", edge_version())
    sql(f"create table {table} (id int primary key, note text)")
    try:
        sql(f"insert into {table} values (1, $1)", "before")
        expect(table, 1)
        lose_and_regain(table)
        sql(f"insert into {table} values (3, $1)", "after")
        expect(table, 3)
    finally:
        sql(f"drop table {table}")
    print("ok")


if __name__ == "__main__":
    main()
