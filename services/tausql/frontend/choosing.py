"""Which cluster a client wants: by the name it connected to, by the one it says, or by its token's.

    SNI         the host name of the TLS handshake: what every client of Aurora DSQL sends
    options     `-c amzn-cluster-id=...`, for those who connect through a name that is no cluster's own
    token       the host it was signed for, for those who connect to an address (which sends no SNI), where allowed

A client that names two different clusters gets neither: one of the two names was put there by somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping

from tausql.frontend import refusals
from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.pgwire.startup_options import CLUSTER, startup_options
from tausql.protocol.clusters import ClusterRecord
from tausql.protocol.errors import SqlError

_ENDPOINTS = ".on.aws"  # a name under it is an endpoint's, and means that endpoint or nothing


def named_cluster(parameters: Mapping[str, str]) -> str:
    """The identifier that a startup packet names, empty where it names none. Raises SqlError, also where it names more
    than one."""
    named: set[str] = set()
    for name, value in parameters.items():
        if name.lower() == CLUSTER:
            named.add(value)
        elif name == "options":
            named.update(text for option, text in startup_options(value) if option.lower() == CLUSTER)
    if len(named) > 1:
        raise refusals.access_denied()
    return named.pop() if named else ""


def choose(
    directory: ClusterDirectory, host: str, named: str, token_host: str, *, sni_required: bool
) -> ClusterRecord | SqlError:
    """`host`: what the client connected to, empty: it did not say. `named`: an identifier, or empty. `token_host`: whom
    the token was signed for, empty: it does not tell."""
    by_host = directory.by_host(host) if host else None
    if named:
        by_name = directory.by_identifier(named)
        if by_name is None or (by_host is not None and by_host is not by_name):
            return refusals.access_denied()
        return by_name
    if by_host is not None:
        return by_host
    if sni_required or host.lower().rstrip(".").endswith(_ENDPOINTS):
        return refusals.access_denied() if host else refusals.no_sni()
    return directory.by_host(token_host) or refusals.access_denied()
