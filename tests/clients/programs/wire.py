"""The wire by hand: tokens and packets that no library would make."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import ssl
import struct
import time
from urllib.parse import quote

ADDRESS, PORT = os.environ["PGHOSTADDR"], int(os.environ["PGPORT"])
AUTHORITY, REGION = os.environ["PGSSLROOTCERT"], os.environ["REGION"]
HOST = os.environ["CLUSTER_ENDPOINT"]
KEY = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
SECONDS = 20.0


def token(
    host: str = HOST,
    key: tuple[str, ...] = KEY,
    action: str = "DbConnectAdmin",
    *,
    region: str = REGION,
    service: str = "dsql",
    age: float = 0,
    expires: int = 900,
    **more: str,
) -> str:
    """key: its id, secret and, of a temporary one, session token."""
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - age))
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    asked = {
        "Action": action,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{key[0]}/{scope}",
        "X-Amz-Date": date,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": "host",
        **({"X-Amz-Security-Token": key[2]} if key[2:] else {}),
        **more,
    }
    query = "&".join(f"{quote(name, safe='')}={quote(asked[name], safe='')}" for name in sorted(asked))
    canonical = f"GET\n/\n{query}\nhost:{host}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    signing = f"AWS4{key[1]}".encode()
    for part in (date[:8], region, service, "aws4_request"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}"
    return f"{host}/?{query}&X-Amz-Signature={hmac.digest(signing, text.encode(), 'sha256').hex()}"


def startup(user: str = "admin", database: str = "postgres", **parameters: str) -> bytes:
    fields = {"user": user, "database": database, **parameters}
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in fields.items()) + b"\0"
    return struct.pack(">II", len(body) + 8, 3 << 16) + body


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


class Wire:
    """One connection. sni: empty for none; secure: under TLS."""

    def __init__(self, sni: str = HOST, *, secure: bool = True, checked: bool = True) -> None:
        self.socket = socket.create_connection((ADDRESS, PORT), SECONDS)
        if secure:
            self.socket.sendall(struct.pack(">II", 8, 1234 << 16 | 5679))
            assert self.socket.recv(1) == b"S"
            context = ssl.create_default_context(cafile=AUTHORITY)
            if not (sni and checked):
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname=sni or None)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> tuple[str, bytes]:
        """The next message; an empty kind: it was closed."""
        head = self._exactly(5)
        if len(head) < 5:
            return "", head
        return chr(head[0]), self._exactly(struct.unpack(">I", head[1:])[0] - 4)

    def answered(self, password: str, **given: str) -> dict[str, str]:
        """What is said to this password: an error's fields, empty where it is let in."""
        self.send(startup(**given))
        kind, body = self.read()
        if kind == "R":
            self.send(message(b"p", password.encode() + b"\0"))
            kind, body = self.read()
        if kind == "R":
            while kind not in ("Z", "E", ""):  # what the session says before it is ready
                kind, body = self.read()
        return {} if kind == "Z" else fields_of(body) if kind == "E" else {"M": "closed without a word"}

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except ConnectionError:
                return data
            if not more:
                return data
            data += more
        return data


def fields_of(body: bytes) -> dict[str, str]:
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def refusal(password: str, sni: str = HOST, **given: str) -> dict[str, str]:
    with Wire(sni) as wire:
        return wire.answered(password, **given)
