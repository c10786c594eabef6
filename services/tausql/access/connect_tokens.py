"""Connect tokens: what a client of Aurora DSQL sends as its password.

A token is a presigned request to connect, without its `https://`:

    {host}/?Action=DbConnectAdmin&X-Amz-Algorithm=...&X-Amz-Credential=...&X-Amz-Signature=...

Nothing of it is looked up anywhere: the signature proves who made it, for which cluster, region and action, and until
when it is good. That is why the host in it has to be compared with the cluster the client really came to; it is signed,
but a token for another cluster is well signed, too. The database user is not in it: DbConnectAdmin is for `admin` and
DbConnect for everybody else, and which of those the key may be, its cluster's `AWS IAM GRANT`s say.
"""

from __future__ import annotations

import msgspec

from tausql.access.actions import CONNECT, CONNECT_ADMIN, PREFIX
from tausql.access.decisions import Policies
from tausql.access.policies import Request
from tausql.access.request_context import context_of
from tausql.access.signatures import KeyLookup, SignatureRefused, Signatures
from tausql.access.sigv4 import Credentials, Pairs, parameters_of, presigned_query
from tausql.protocol.clusters import ClusterRecord, KeyRecord
from tausql.protocol.errors import Code, SqlError

SERVICE = "dsql"
ADMIN = "admin"
EXPIRES_SECONDS = 900  # what SDKs take unless they are told
CHARACTERS_MAX = 8192  # a session token alone may have some thousand
PARAMETERS_MAX = 32

_ACTIONS = tuple(action.removeprefix(PREFIX) for action in (CONNECT, CONNECT_ADMIN))


class Admitted(msgspec.Struct, frozen=True):
    key: KeyRecord
    action: str  # DbConnect, DbConnectAdmin


class Refused(msgspec.Struct, frozen=True):
    """hint: why, in DSQL's words. The rest is for the audit log: `principal` only where the signature proved it."""

    hint: str
    action: str = ""
    access_key_id: str = ""
    principal: str = ""

    @property
    def error(self) -> SqlError:
        """What the client is told."""
        return access_denied(self.hint)


def access_denied(hint: str) -> SqlError:
    return SqlError(Code.connection_refused, "unable to accept connection, access denied", hint=hint, severity="FATAL")


def action_for(user: str) -> str:
    return "DbConnectAdmin" if user == ADMIN else "DbConnect"


def connect_token(
    credentials: Credentials,
    host: str,
    region: str,
    action: str,
    now: float,
    expires_seconds: int = EXPIRES_SECONDS,
) -> str:
    """action: DbConnect or DbConnectAdmin; see `action_for`."""
    host = host.lower()
    query = presigned_query(credentials, "GET", host, "/", [("Action", action)], SERVICE, region, now, expires_seconds)
    return f"{host}/?{query}"


def host_in(token: bytes) -> str | None:
    """The host a token is for, unproven; None where it looks like no token."""
    host, _, rest = token[:CHARACTERS_MAX].partition(b"?")
    if not rest:
        return None
    name = host.removesuffix(b"/")
    return name.decode().lower() if name.isascii() and 0 < len(name) <= 253 and b"/" not in name else None


class ConnectTokens:
    """Checks tokens for one region, with the keys that `lookup` knows."""

    __slots__ = ("_policies", "_region", "_scopes", "_signatures")

    def __init__(
        self,
        lookup: KeyLookup,
        region: str,
        policies: Policies | None = None,
        signatures: Signatures | None = None,
    ) -> None:
        self._region = region
        self._scopes = frozenset({(SERVICE, region)})
        self._policies = policies or Policies()
        self._signatures = signatures or Signatures(lookup)

    def check(
        self, token: bytes, cluster: ClusterRecord, user: str, client: str, now: float, secure: bool = True
    ) -> Admitted | Refused:
        """cluster: that the client came to. user: the database role it asks for. client: its address.

        Says nothing of whether that role is mapped to the key: the processor does."""
        read = _read(token)
        if isinstance(read, str):
            return Refused(read)
        host, parameters, action = read
        if host not in cluster.hosts:
            return Refused("The token was made for another host.", action)
        try:
            signed = self._signatures.of_query("GET", host, "/", parameters, self._scopes, now)
        except SignatureRefused as refusal:
            principal = refusal.key.principal if refusal.key is not None else ""
            return Refused(refusal.message.strip(), action, refusal.access_key_id, principal)
        return self.authorize(signed.key, cluster, user, action, client, now, secure)

    def authorize(
        self,
        key: KeyRecord,
        cluster: ClusterRecord,
        user: str,
        action: str,
        client: str,
        now: float,
        secure: bool = True,
    ) -> Admitted | Refused:
        """For one whose signature is good: whether `action` is the one for `user`, and whether he may do it here."""
        hint = ""
        if action != action_for(user):
            hint = f"Wrong user to action mapping. user: {user}, action: {action}"
        else:
            context = context_of(
                key,
                now=now,
                client=client,
                secure=secure,
                region=self._region,
                resource=cluster.arn,
                resource_tags=cluster.tags,
            )
            request = Request(PREFIX + action, cluster.arn, key.principal, key.mapped, context)
            decision = self._policies.decide(request, key.policies, key.boundary, cluster.policy)
            if decision.allowed:
                return Admitted(key, action)
            hint = decision.message(request)
        return Refused(hint, action, key.access_key_id, key.principal)


def _read(token: bytes) -> tuple[str, Pairs, str] | str:
    """Host, parameters and action; or why it is no token."""
    if len(token) > CHARACTERS_MAX:
        return f"The token is longer than {CHARACTERS_MAX} characters."
    host = host_in(token)
    if host is None or not token.isascii():
        return _NO_TOKEN
    parameters = parameters_of(token.decode().partition("?")[2])
    actions = [value for name, value in parameters if name == "Action"]
    if len(parameters) > PARAMETERS_MAX or len(actions) != 1 or actions[0] not in _ACTIONS:
        return _NO_TOKEN
    return host, parameters, actions[0]


_NO_TOKEN = (
    "The password must be an authentication token for this cluster, made with generate_db_connect_admin_auth_token or "
    "generate_db_connect_auth_token of an AWS SDK, or with `tausql token`."
)
