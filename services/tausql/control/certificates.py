"""`python -m tausql.control.certificates`: authorities and certificates in Secrets, made and kept fresh.

For clusters without cert-manager: a Job makes them at install, a CronJob renews them. Several may run at once, and any
may die at any point.

The fleet and the edge have an authority each. Between processes nothing but the authority is checked, so whoever holds
one of its certificates is a member of the fleet; the one that clients trust must not be able to make such.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Sequence

from tausql.control.asking import Gone, Trouble
from tausql.control.certificates_plan import Wanted, bundle_of, next_authority, next_leaf
from tausql.control.certificates_secrets import Data, KubernetesSecrets, Secret, Secrets
from tausql.runtime.tls import AUTHORITY

ATTEMPTS_MAX = 20  # to write what another run writes at the same time
PAUSE_SECONDS = 2.0  # while the API server cannot be asked
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Contended(Exception):
    """Somebody else keeps changing the same Secrets."""


def ensure_pair(
    secrets: Secrets,
    authority_name: str,
    leaf_name: str,
    wanted: Wanted,
    now: datetime.datetime,
    *,
    rotate: bool = False,
    trust: tuple[str, ...] = (),
) -> list[str]:
    """One run for one authority and its certificate; what was done, in words.

    trust: Secrets whose `ca.crt` is trusted as well. Raises Trouble, Contended, and ValueError for an authority that
    cannot be read.
    """
    for _ in range(ATTEMPTS_MAX):
        authority, leaf = secrets.read(authority_name), secrets.read(leaf_name)
        trusted = [pem for name in trust if (pem := secrets.read(name).data.get(AUTHORITY))]
        planned = next_authority(now, wanted, authority.data, leaf.data, rotate)
        bundle = bundle_of(planned, trusted)
        told = []
        for secret, data in (
            (authority, {**planned, AUTHORITY: bundle}),
            (leaf, next_leaf(now, wanted, planned, bundle, leaf.data)),
        ):
            if data == secret.data:
                told.append(f"{secret.name}: unchanged")
            elif secrets.write(secret, data):
                told.append(f"{secret.name}: {_difference(secret, data)}")
            else:
                break
        else:
            return told
    raise Contended(f"{authority_name} and {leaf_name} were changed by others {ATTEMPTS_MAX} times in a row")


def _difference(before: Secret, after: Data) -> str:
    if before.whole is None:
        return "made"
    changed = sorted(key for key in {*before.data, *after} if before.data.get(key) != after.get(key))
    return f"changed {', '.join(changed)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. Exits with status 1 where it could not be done."""
    given = _parser().parse_args(arguments)
    overlap = datetime.timedelta(hours=given.overlap_hours)
    edge = tuple(dict.fromkeys((*LOOPBACK, *given.edge_name)))
    member, server = Wanted("TauSQL fleet", (), True), Wanted("TauSQL edge", edge, False)
    pairs: tuple[tuple[str, str, Wanted, list[str]], ...] = (
        (given.ca_secret, given.secret, member, given.trust_secret),
        (given.edge_ca_secret, given.edge_secret, server, []),
    )
    try:
        if any(bool(authority) != bool(leaf) for authority, leaf, _, _ in pairs):
            raise ValueError("an authority's Secret and its certificate's are given together")
        secrets = KubernetesSecrets(given.url, given.namespace, dict(one.split("=", 1) for one in given.label))
        for authority, leaf, wanted, trust in pairs:
            if not authority:
                continue
            wanted = wanted._replace(days=given.days, overlap=overlap)
            rotate = given.command == "rotate-ca"
            for line in _patiently(secrets, authority, leaf, wanted, rotate, tuple(trust), given.patience):
                print(line, flush=True)
    except (Trouble, Gone, Contended, LookupError, ValueError) as error:
        print(f"certificates: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from error


def _patiently(
    secrets: Secrets,
    authority: str,
    leaf: str,
    wanted: Wanted,
    rotate: bool,
    trust: tuple[str, ...],
    seconds: float,
) -> list[str]:
    """As `ensure_pair`, again while the API server cannot be asked."""
    end = time.monotonic() + seconds
    while True:
        now = datetime.datetime.now(datetime.UTC)
        try:
            return ensure_pair(secrets, authority, leaf, wanted, now, rotate=rotate, trust=trust)
        except (Trouble, Gone) as error:
            if time.monotonic() > end or (isinstance(error, Trouble) and error.forbidden):
                raise
            print(f"certificates: trying again: {error}", file=sys.stderr, flush=True)
        time.sleep(PAUSE_SECONDS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tausql.control.certificates", description=__doc__)
    add = parser.add_argument
    add("command", choices=["ensure", "rotate-ca"], help="rotate-ca: as ensure, and begin to replace the authorities.")
    add("--namespace", default="", help="Of the Secrets; the pod's own by default.")
    add("--ca-secret", default="", help="The fleet's authority.")
    add("--secret", default="", help="What processes show each other.")
    add("--trust-secret", action="append", default=[], help="Its ca.crt is trusted as well: another region's fleet.")
    add("--edge-ca-secret", default="", help="The authority that clients trust.")
    add("--edge-secret", default="", help="What frontends show to clients.")
    add("--edge-name", action="append", default=[], help="What clients may call a frontend; loopback always is in.")
    add("--label", action="append", default=[], metavar="NAME=VALUE", help="Of Secrets that are made.")
    add("--days", type=int, default=90, help="Life of a certificate; renewed when a third is left.")
    add("--overlap-hours", type=float, default=24.0, help="Between two steps of an authority's replacement.")
    add("--patience", type=float, default=60.0, help="Seconds to try while the API server cannot be asked.")
    add("--url", default="", help="Of the API server; the pod's own by default.")
    return parser


if __name__ == "__main__":
    main()
