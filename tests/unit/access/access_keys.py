"""Keys and clusters for these tests, and the time it is in them."""

from __future__ import annotations

from tausql.access.sigv4 import Credentials
from tausql.protocol.clusters import ClusterRecord, KeyRecord

REGION = "us-east-1"
ACCOUNT = "000000000000"
NOW = 1_795_471_200.0  # 2026-11-23T22:00:00Z
IDENTIFIER = "abcdefghijklmnopqrstuvwxyz"
HOST = f"{IDENTIFIER}.dsql.{REGION}.on.aws"
ARN = f"arn:aws:dsql:{REGION}:{ACCOUNT}:cluster/{IDENTIFIER}"
EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
ADMIN = f"arn:aws:iam::{ACCOUNT}:user/admin"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/app"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/pod-1"

CLUSTER = ClusterRecord(IDENTIFIER, 1, "ACTIVE", ARN, (HOST,))
PERMANENT = KeyRecord("AKIAABCDEFGHIJKLMNOP", "s3cr3t/" + "x" * 33, ADMIN, ADMIN, (EVERYTHING,))
TEMPORARY = KeyRecord(
    "ASIAABCDEFGHIJKLMNOP",
    "t3mp/" + "y" * 35,
    SESSION,
    ROLE,
    (EVERYTHING,),
    session_token="session/token+with=signs",
    expires_at=int(NOW) + 3600,
)
KEYS = {key.access_key_id: key for key in (PERMANENT, TEMPORARY)}


def credentials(key: KeyRecord) -> Credentials:
    return Credentials(key.access_key_id, key.secret, key.session_token)
