"""Clusters, keys and tokens for the frontend's tests, as control would tell of them."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from tausql.access.connect_tokens import connect_token
from tausql.access.sigv4 import Credentials
from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.protocol.clusters import ClusterRecord, Clusters, KeyRecord, Keys

REGION = "local-1"  # of an empty map
ACCOUNT = "000000000000"
ALLOW_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
TOKENS = {"sni": "required"}


def cluster(letter: str, number: int = 1, **changes: Any) -> ClusterRecord:
    identifier = letter * 26
    return ClusterRecord(
        identifier,
        number,
        changes.pop("status", "ACTIVE"),
        f"arn:aws:dsql:{REGION}:{ACCOUNT}:cluster/{identifier}",
        (f"{identifier}.dsql.{REGION}.on.aws",),
        **changes,
    )


def key(name: str = "AKIAADMIN", policies: tuple[str, ...] = (ALLOW_ALL,), **changes: Any) -> KeyRecord:
    user = f"arn:aws:iam::{ACCOUNT}:user/{name.lower()}"
    return KeyRecord(name, f"secret of {name}", user, user, policies, **changes)


FIRST, SECOND, KEY = cluster("a", 1), cluster("b", 7, switches=("extensions",)), key()


def known_clusters(
    clusters: tuple[ClusterRecord, ...] = (FIRST, SECOND), keys: tuple[KeyRecord, ...] = (KEY,)
) -> ClusterDirectory:
    made = ClusterDirectory()
    made.take_clusters(Clusters(True, clusters))
    made.take_keys(Keys(True, keys))
    return made


def token(
    record: ClusterRecord = FIRST,
    by: KeyRecord = KEY,
    *,
    host: str = "",
    action: str = "DbConnectAdmin",
    region: str = REGION,
    seconds_ago: float = 0,
    expires: int = 900,
) -> str:
    credentials = Credentials(by.access_key_id, by.secret, by.session_token)
    return connect_token(credentials, host or record.hosts[0], region, action, time.time() - seconds_ago, expires)


def changed(record: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(record, **changes)
