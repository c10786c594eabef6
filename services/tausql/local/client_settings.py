"""What a client of a fleet finds in its environment: every driver, SDK and tool has names of its own for the same few
things, and a newcomer should not have to look them up.

libpq goes to PGHOSTADDR whatever PGHOST resolves to, and PGHOST is what it checks the certificate against: so psql and
its kin connect with sslmode=verify-full and no line in /etc/hosts. Others need that line: `tausql hosts`.
"""

from __future__ import annotations

from pathlib import Path

from tausql.access.connect_tokens import ADMIN
from tausql.access.signatures import EXPIRES_SECONDS_MAX
from tausql.local.reached import Reached
from tausql.local.tokens import endpoint_name, token_for
from tausql.local.trust import bundle_of

DATABASE = "postgres"


def client_settings(
    fleet: Reached, identifier: str, user: str = ADMIN, seconds: int = EXPIRES_SECONDS_MAX, trusted: str = ""
) -> dict[str, str]:
    """For clients of the cluster `identifier`. `seconds`: how long the token in it is good; `trusted`: what
    SSL_CERT_FILE says now. Raises OSError where the authority's file is not there yet."""
    endpoint = endpoint_name(identifier, fleet.region)
    settings = {
        "CLUSTER_ENDPOINT": endpoint,
        "CLUSTER_USER": user,
        "REGION": fleet.region,
        "AWS_REGION": fleet.region,
        "AWS_DEFAULT_REGION": fleet.region,
        "AWS_ACCESS_KEY_ID": fleet.key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": fleet.key.secret,
        **({"AWS_SESSION_TOKEN": fleet.key.session_token} if fleet.key.session_token else {}),
        "AWS_EC2_METADATA_DISABLED": "true",  # SDKs would look for an EC2 instance's key for seconds
        **{f"AWS_ENDPOINT_URL_{service}": fleet.api for service in ("DSQL", "IAM", "STS", "CLOUDTRAIL")},
        "PGHOST": endpoint,
        "PGHOSTADDR": fleet.address,
        "PGPORT": str(fleet.pg_port),
        "PGUSER": user,
        "PGPASSWORD": token_for(fleet.key, endpoint, fleet.region, user, seconds),
        "PGDATABASE": DATABASE,
        "PGSSLMODE": "verify-full" if fleet.authority else "require",
    }
    if fleet.http:
        settings |= {"AWS_ENDPOINT_URL_RDS_DATA": fleet.http, "TAUSQL_HTTP": fleet.http}
    if fleet.authority:
        settings |= {
            "SSL_CERT_FILE": str(bundle_of(Path(fleet.authority), trusted)),
            "NODE_EXTRA_CA_CERTS": fleet.authority,
            "PGSSLROOTCERT": fleet.authority,
            "TAUSQL_CA": fleet.authority,
        }
    return settings
