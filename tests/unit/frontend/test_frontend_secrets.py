"""The files a frontend makes at first start: the certificates."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography import x509

from tausql.frontend.tls import Files, ensure_certificates, host_names, server_context

NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
NAMES = host_names("local-1", ())


def test_certificates_are_made_once_by_whoever_is_first(tmp_path: Path) -> None:
    def make(_: int) -> bytes:
        ensure_certificates(tmp_path, NAMES, NOW)
        return (tmp_path / "server.pem").read_bytes() + (tmp_path / "ca.pem").read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(make, range(8)))) == 1
    for key in ("ca.key", "server.key"):
        assert (tmp_path / key).stat().st_mode & 0o777 == 0o600
    server_context(Files.own(tmp_path))


def test_server_certificate_is_renewed_under_the_same_authority(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NAMES, NOW)
    authority = (tmp_path / "ca.pem").read_bytes()
    first = (tmp_path / "server.pem").read_bytes()
    ensure_certificates(tmp_path, NAMES, NOW + datetime.timedelta(days=300))
    assert (tmp_path / "server.pem").read_bytes() == first
    ensure_certificates(tmp_path, NAMES, NOW + datetime.timedelta(days=370))
    renewed = (tmp_path / "server.pem").read_bytes()
    assert renewed != first
    ensure_certificates(tmp_path, host_names("local-1", ["db.example", "10.0.0.1"]), NOW)
    named = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    alternatives = named.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "db.example" in alternatives.get_values_for_type(x509.DNSName)
    assert "10.0.0.1" in map(str, alternatives.get_values_for_type(x509.IPAddress))
    assert (tmp_path / "ca.pem").read_bytes() == authority
    server_context(Files.own(tmp_path))


def test_a_key_without_its_certificate_is_made_anew(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NAMES, NOW)
    other = tmp_path / "other"
    ensure_certificates(other, NAMES, NOW)
    (tmp_path / "server.key").write_bytes((other / "server.key").read_bytes())
    ensure_certificates(tmp_path, NAMES, NOW)
    server_context(Files.own(tmp_path))
