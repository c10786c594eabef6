"""What an authority's Secret and its certificate's Secret should hold, given what they hold now.

A certificate is simply made anew in good time. An authority cannot be: whoever knows only the old one would refuse
certificates of the new one. So it goes in steps, one a run, each only once the one before it has had time to reach
every process:

    next made, and trusted beside the present one
    next is the present one and signs; the one before it is still trusted
    the one before it is trusted no more

Nothing but the Secrets says which step it is: a run that died half way is finished by the next one.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography import x509

from tausql.runtime.issuing import Issued, covers, issue, issue_authority, pem_of, read_issued, signed_by
from tausql.runtime.tls import AUTHORITY, CERTIFICATE, KEY

NEXT_CERTIFICATE = "next.crt"
NEXT_KEY = "next.key"
OLD_CERTIFICATE = "old.crt"
AUTHORITY_DAYS = 3650

Data = Mapping[str, bytes]


class Wanted(NamedTuple):
    """One certificate and how it is renewed."""

    subject: str
    names: tuple[str, ...]
    client: bool  # also for the side that connects
    days: int = 90
    overlap: datetime.timedelta = datetime.timedelta(hours=24)  # between two steps of an authority's replacement
    authority_renewal_days: int = 365  # an authority with less left is replaced


def next_authority(now: datetime.datetime, wanted: Wanted, authority: Data, leaf: Data, rotate: bool) -> Data:
    """The authority's Secret after this run, without `ca.crt`. Empty `authority`: there is none yet; `leaf`: the
    certificate's Secret as it is. rotate: begin a replacement, unless one is under way.

    Raises ValueError where there is an authority that cannot be read: it is not ours to throw away.
    """
    if not authority.get(CERTIFICATE) and not authority.get(KEY):
        return _entries(_authority_of(wanted, now), CERTIFICATE, KEY)
    present = read_issued(authority.get(CERTIFICATE, b""), authority.get(KEY, b""))
    kept = {name: content for name, content in authority.items() if name != AUTHORITY}
    if NEXT_CERTIFICATE in kept:
        coming = read_issued(kept[NEXT_CERTIFICATE], kept.get(NEXT_KEY, b""))
        if now - coming.made >= wanted.overlap and _trusts(leaf, coming.certificate):
            del kept[NEXT_CERTIFICATE], kept[NEXT_KEY]
            kept |= {OLD_CERTIFICATE: present.pem(), **_entries(coming, CERTIFICATE, KEY)}
    elif OLD_CERTIFICATE in kept:
        shown = _read(leaf)
        if (
            shown is not None
            and signed_by(shown.certificate, present.certificate)
            and now - shown.made >= wanted.overlap
        ):
            del kept[OLD_CERTIFICATE]
    elif rotate or present.days_left(now) < wanted.authority_renewal_days:
        kept |= _entries(_authority_of(wanted, now), NEXT_CERTIFICATE, NEXT_KEY)
    return kept


def bundle_of(authority: Data, trusted: Sequence[bytes]) -> bytes:
    """`ca.crt`: every authority to be trusted now; the present one first."""
    kept = [authority[name] for name in (CERTIFICATE, NEXT_CERTIFICATE, OLD_CERTIFICATE) if name in authority]
    seen: list[bytes] = []
    for pem in (*kept, *trusted):
        for certificate in x509.load_pem_x509_certificates(pem):
            text = pem_of(certificate)
            if text not in seen:
                seen.append(text)
    return b"".join(seen)


def next_leaf(now: datetime.datetime, wanted: Wanted, authority: Data, bundle: bytes, leaf: Data) -> Data:
    """The certificate's Secret after this run: as it is where that will do."""
    present = read_issued(authority[CERTIFICATE], authority[KEY])
    shown = _read(leaf)
    if (
        shown is None
        or not signed_by(shown.certificate, present.certificate)
        or shown.days_left(now) <= shown.days_of_life / 3
        or not covers(shown.certificate, wanted.names)
    ):
        shown = issue(present, wanted.subject, wanted.names, now, wanted.days, client=wanted.client)
    return {AUTHORITY: bundle, **_entries(shown, CERTIFICATE, KEY)}


def _authority_of(wanted: Wanted, now: datetime.datetime) -> Issued:
    return issue_authority(f"{wanted.subject} authority", now, AUTHORITY_DAYS)


def _entries(issued: Issued, certificate: str, key: str) -> dict[str, bytes]:
    return {certificate: issued.pem(), key: issued.key_pem()}


def _read(leaf: Data) -> Issued | None:
    """None: there is nothing that could be used, so a new one harms nobody."""
    try:
        return read_issued(leaf.get(CERTIFICATE, b""), leaf.get(KEY, b""))
    except ValueError:
        return None


def _trusts(leaf: Data, authority: x509.Certificate) -> bool:
    try:
        return authority in x509.load_pem_x509_certificates(leaf.get(AUTHORITY, b""))
    except ValueError:
        return False
