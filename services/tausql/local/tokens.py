"""Connect tokens for a local fleet: what its clients give as their password.

None has to be fetched: whoever has an access key signs one in a tenth of a millisecond, with the fleet up or down.
"""

from __future__ import annotations

import time
from pathlib import Path

from tausql.access.connect_tokens import action_for, connect_token
from tausql.access.signatures import EXPIRES_SECONDS_MAX
from tausql.access.sigv4 import Credentials
from tausql.local.cluster import load
from tausql.local.credentials import read_credentials


def endpoint_name(identifier: str, region: str) -> str:
    """The host name of a cluster."""
    return f"{identifier}.dsql.{region}.on.aws"


def token_for(key: Credentials, endpoint: str, region: str, user: str, seconds: int = EXPIRES_SECONDS_MAX) -> str:
    """A token for this database user, good for so many seconds from now."""
    return connect_token(key, endpoint, region, action_for(user), time.time(), seconds)


def admin_of(folder: Path) -> tuple[str, str]:
    """The endpoint name of the oldest cluster of the fleet in `folder`, and a token for its admin. Raises OSError and
    ValueError before the first start."""
    cluster = load(folder)
    if cluster is None or not cluster.identifier:
        raise ValueError(f"no cluster is known in {folder}")
    endpoint = endpoint_name(cluster.identifier, cluster.region)
    return endpoint, token_for(read_credentials(folder), endpoint, cluster.region, "admin")
