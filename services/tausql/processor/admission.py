"""Whether who connects may be the role that the session runs as.

`admin` always may: that was settled before the session came here. For any other role the frontend says which AWS
identity it has let in, and that one must be linked with the role (AWS IAM GRANT). A link may be cut while the session
lasts, so it is looked at again whenever a transaction begins on another schema than the one before.
"""

from __future__ import annotations

from tausql.processor.catalogue import Catalogue
from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Snapshot

ADMIN = "admin"


class Admission:
    """Of one session. `arn`: the identity that must be linked with the role `user`; empty: nobody asks."""

    __slots__ = ("_arn", "_catalogue", "_oid", "_seen", "_user")

    def __init__(self, catalogue: Catalogue, user: str, arn: str) -> None:
        self._catalogue = catalogue
        self._user = user
        self._arn = arn
        self._oid = 0  # the role's, once it is known: its name may change
        self._seen: Snapshot | None = None  # looked at already

    def admit(self, snapshot: Snapshot) -> None:
        """The session begins. Raises SqlError FATAL."""
        role = snapshot.objects.roles.get(self._user)
        if self._arn:
            if role is not None:
                self._oid = role.oid
            self._check_link(snapshot)
        elif role is None:
            raise _refused(f'role "{self._user}" does not exist')
        elif not role.login:
            raise _refused(f'role "{self._user}" is not permitted to log in')

    def check(self) -> None:
        """A transaction begins. Raises SqlError FATAL."""
        snapshot = self._catalogue.shared
        if snapshot is not self._seen and snapshot is not None:
            if not self._oid:  # the session was elsewhere before
                role = snapshot.objects.roles.get(self._user)
                self._oid = role.oid if role is not None else 0
            self._check_link(snapshot)

    def _check_link(self, snapshot: Snapshot) -> None:
        role = snapshot.objects.roles_by_oid.get(self._oid)
        if role is None or not role.login or not any(arn == self._arn for arn, _, _ in role.iam):
            raise SqlError(
                Code.connection_refused,
                "unable to accept connection, access denied",
                hint=f"User: {self._arn} is not authorized to access this resource",
                severity="FATAL",
            )
        self._seen = snapshot


def _refused(message: str) -> SqlError:
    return SqlError(Code.invalid_authorization_specification, message, severity="FATAL")
