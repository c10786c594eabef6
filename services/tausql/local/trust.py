"""Whom the shell trusts: what it trusted before, and the authority of the fleet beside it.

`SSL_CERT_FILE` replaces a program's authorities instead of adding to them. Pointed at our authority alone, every other
connection of that shell would fail (pip, curl, the AWS CLI), so it gets a bundle: the system's and ours.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

BUNDLE = "bundle.pem"


def bundle_of(authority: Path, before: str) -> Path:
    """The bundle beside the file `authority`, written anew. `before`: what SSL_CERT_FILE says now, empty for nothing.
    Raises OSError, e.g. before the fleet has an authority."""
    own = authority.read_bytes()
    path = authority.with_name(BUNDLE)
    if before and Path(before).resolve() == path.resolve() and path.exists():
        others = path.read_bytes().replace(own, b"")  # a second `eval` in the same shell
    else:
        others = _system(before)
    content = others.rstrip() + b"\n" + own
    if not path.exists() or path.read_bytes() != content:
        aside = path.with_name(f".{BUNDLE}.{os.getpid()}")
        aside.write_bytes(content)
        aside.replace(path)
    return path


def _system(before: str) -> bytes:
    """The authorities of this shell, else of this machine, else Mozilla's as Python brings them."""
    for candidate in (before, ssl.get_default_verify_paths().openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if candidate and Path(candidate).is_file():
            return Path(candidate).read_bytes()
    import certifi

    return Path(certifi.where()).read_bytes()
