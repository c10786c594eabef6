"""How a command reaches a fleet: the one in a folder of this machine, the one that the environment tells of, or the one
that this process is a part of.

    a folder           `tausql up` has started it; its cluster.json and credentials.json say everything
    the environment    as `tausql env` has set it, or any shell with AWS's own variables and AWS_ENDPOINT_URL_DSQL
    a control's pod    `kubectl exec deployment/tausql-control -- ...`: its settings name the key's file and the port

So the same commands serve a laptop and Kubernetes, where nobody has a folder of the fleet.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tausql.access.sigv4 import Credentials
from tausql.local.cluster import Cluster, load, reachable
from tausql.local.credentials import read_credentials, read_credentials_file

LOOPBACK = "127.0.0.1"
PG_PORT = 5432


class Reached(msgspec.Struct, frozen=True):
    """What there is to know of a fleet before it is asked anything."""

    region: str
    key: Credentials
    api: str  # URL
    http: str  # URL of SQL over HTTP; empty: unknown
    address: str  # IP address of the frontends
    pg_port: int
    authority: str = ""  # file of the authority that signs for the frontends; empty: unknown
    identifier: str = ""  # of its oldest cluster, as far as is known, or of the one that is meant
    meant: bool = False


def certificate_folder(folder: Path) -> Path:
    return folder / "tls"


def reached(folder: Path, surroundings: Mapping[str, str]) -> Reached | None:
    """None where neither the folder nor the environment tells of a fleet. Raises OSError, and ValueError for files that
    are not what they should be."""
    cluster = load(folder)
    if cluster is not None:
        return reached_in(folder, cluster)
    if surroundings.get("TAUSQL_CONTROL_CREDENTIALS_FILE"):
        return _in_pod(surroundings)
    return _told(surroundings)


def reached_in(folder: Path, cluster: Cluster) -> Reached:
    """A fleet of this machine. Raises OSError, ValueError."""
    host = reachable(cluster.host)
    return Reached(
        region=cluster.region,
        key=read_credentials(folder),
        api=f"http://{host}:{cluster.api_port}",
        http=f"http://{host}:{cluster.http_port}",
        address=_address(host),
        pg_port=cluster.pg_port,
        authority=str(certificate_folder(folder) / "ca.pem"),
        identifier=cluster.identifier,
    )


def _in_pod(surroundings: Mapping[str, str]) -> Reached:
    """The caller sees its ports on its own loopback, by `kubectl port-forward`."""
    port = surroundings.get("TAUSQL_CONTROL_API_LISTEN", "").rpartition(":")[2]
    if not port:
        raise ValueError("this control serves no API: TAUSQL_CONTROL_API_LISTEN is empty")
    return Reached(
        region=surroundings.get("TAUSQL_CONTROL_REGION", ""),
        key=read_credentials_file(Path(surroundings["TAUSQL_CONTROL_CREDENTIALS_FILE"])),
        api=f"http://{LOOPBACK}:{port}",
        http="",
        address=LOOPBACK,
        pg_port=PG_PORT,
    )


def _told(surroundings: Mapping[str, str]) -> Reached | None:
    names = ("AWS_ENDPOINT_URL_DSQL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    api, key_id, secret = (surroundings.get(name, "") for name in names)
    region = surroundings.get("AWS_REGION") or surroundings.get("AWS_DEFAULT_REGION", "")
    if not (api and key_id and secret and region):
        return None
    return Reached(
        region=region,
        key=Credentials(key_id, secret, surroundings.get("AWS_SESSION_TOKEN", "")),
        api=api.rstrip("/"),
        http=surroundings.get("TAUSQL_HTTP", ""),
        address=surroundings.get("PGHOSTADDR") or _address(urlsplit(api).hostname or LOOPBACK),
        pg_port=int(surroundings.get("PGPORT", PG_PORT)),
        authority=surroundings.get("TAUSQL_CA", ""),
        identifier=surroundings.get("CLUSTER_ENDPOINT", "").partition(".")[0],
        meant=bool(surroundings.get("CLUSTER_ENDPOINT")),
    )


def _address(host: str) -> str:
    """Raises OSError for a host name that does not resolve."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])


def from_here(folder: Path) -> Reached | None:
    """As the process's own environment has it. Raises OSError, ValueError."""
    return reached(folder, os.environ)
