"""Authorities and certificates, made in memory.

Keys are on the P-256 curve: a handshake costs a tenth of an RSA one, and connections come in bursts.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SLOW_CLOCKS = datetime.timedelta(hours=1)  # a certificate begins so long before it is made


class Issued(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def made(self) -> datetime.datetime:
        return self.certificate.not_valid_before_utc + SLOW_CLOCKS

    @property
    def days_of_life(self) -> float:
        return (self.certificate.not_valid_after_utc - self.made) / datetime.timedelta(days=1)

    def days_left(self, now: datetime.datetime) -> float:
        return (self.certificate.not_valid_after_utc - now) / datetime.timedelta(days=1)

    def pem(self) -> bytes:
        return pem_of(self.certificate)

    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def read_issued(pem: bytes, key_pem: bytes) -> Issued:
    """The first certificate in `pem`, and its key. Raises ValueError where they are not, or not of one another."""
    key = serialization.load_pem_private_key(key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not an elliptic-curve key")
    certificate = x509.load_pem_x509_certificate(pem)
    if certificate.public_key() != key.public_key():
        raise ValueError("the key is not the certificate's")
    return Issued(certificate, key)


def issue_authority(name: str, now: datetime.datetime, days: int) -> Issued:
    """A new authority, which signs certificates but no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(subject, subject, key, now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Issued(certificate, key)


def issue(
    authority: Issued, name: str, names: Sequence[str], now: datetime.datetime, days: int, *, client: bool = False
) -> Issued:
    """A certificate of `authority` for servers called `names` (host names, wildcards, addresses); `client`: and for
    the other side."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH][: 1 + client]
    signer = authority.key.public_key()
    builder = _builder(subject, authority.certificate.subject, key, now, days)
    if names:  # without a name there must be no list of names
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives(names)), critical=False)
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Issued(certificate, key)


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether this very authority signed it; one that was made anew has the same name and another key."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, InvalidSignature):
        return False
    return True


def covers(certificate: x509.Certificate, names: Sequence[str]) -> bool:
    """Whether it is made out to all of `names`."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return not names
    return set(alternatives(names)) <= set(extension.value)


def alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    """As a certificate holds them."""
    made: list[x509.GeneralName] = []
    for name in names:
        try:
            made.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            made.append(x509.DNSName(name))
    return made


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLOW_CLOCKS)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
