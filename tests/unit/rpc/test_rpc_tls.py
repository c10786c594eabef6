from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rpc_pair import MESSAGES, Echo, Say, ask_of

from tausql.rpc.interface import Cause
from tausql.rpc.node import Node
from tausql.runtime.loop import AsyncHost, run_on_host


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "test.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_calls_travel_over_mutual_tls_and_strangers_are_kept_out(tmp_path):
    path = certificate(tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(path))
    server_side.load_cert_chain(path)
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side = ssl.create_default_context(cafile=str(path))
    client_side.load_cert_chain(path)

    async def body(host: AsyncHost) -> None:
        server = Node(host, "127.0.0.1:0", MESSAGES, tls_server=server_side)
        server.serve("echo", Echo().routes())
        await server.start()
        friend = Node(host, "127.0.0.1:0", MESSAGES, tls_client=client_side)
        stranger = Node(host, "127.0.0.1:0", MESSAGES)
        await friend.start()
        await stranger.start()
        answer = await ask_of(friend.connect(server.address, "echo"), Say("secret", b"x" * 100_000))
        assert answer == Say("secret", b"x" * 100_000)
        refused = await ask_of(stranger.connect(server.address, "echo"), Say("let me in"))
        assert refused.cause is Cause.unavailable
        for node in (friend, stranger, server):
            await node.close()

    run_on_host(body)
