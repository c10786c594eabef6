"""AWS IAM GRANT and REVOKE: which AWS identities may connect as a role.

A link is part of the role's own row. So it comes and goes with a transaction as any schema change does, plans that rely
on the role's version notice it, and DROP ROLE finds it.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.objects import ADMIN_OID, Role
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.roles import role_name
from tausql.sql.lexer import QUOTED
from tausql.sql.privileges import has_role

LINKS_MAX: Final = 1_000  # of one role
ARN_BYTES_MAX: Final = 2_048
# Roles and users of an account. What an assumed role's session is called names nobody who could be trusted lastingly.
_ARN: Final = re.compile(r"arn:aws(-[a-z0-9-]+)?:iam::[0-9]{12}:(role|user)(/[\w+=,.@-]+)+", re.ASCII)
_PSEUDO_ROLES: Final = frozenset(("public", "none"))


async def aws_iam_grant(change: SchemaChange) -> DdlResult:
    """AWS IAM GRANT role TO 'arn'"""
    role, arn = _read(change, "GRANT", "TO")
    if not role.login:
        raise SqlError(
            Code.invalid_grant_operation,
            f"role {role.name} must have the LOGIN attribute",
        )
    if any(known == arn for known, _, _ in role.iam):
        change.notice(f'role "{role.name}" is already linked with "{arn}"')
        return change.result("AWS IAM GRANT")
    if len(role.iam) >= LINKS_MAX:
        raise SqlError(
            Code.program_limit_exceeded, f"linking more than {LINKS_MAX} IAM identities with a role not allowed"
        )
    oid = await change.writer.take_oids(1)
    change.writer.replace_object(msgspec.structs.replace(role, iam=(*role.iam, (arn, change.user.oid, oid))))
    return change.result("AWS IAM GRANT")


async def aws_iam_revoke(change: SchemaChange) -> DdlResult:
    """AWS IAM REVOKE role FROM 'arn'"""
    role, arn = _read(change, "REVOKE", "FROM")
    left = tuple(link for link in role.iam if link[0] != arn)
    if len(left) == len(role.iam):
        raise SqlError(Code.undefined_object, f"IAM role {arn} does not exist")
    change.writer.replace_object(msgspec.structs.replace(role, iam=left))
    return change.result("AWS IAM REVOKE")


def _read(change: SchemaChange, verb: str, preposition: str) -> tuple[Role, str]:
    """The role and the ARN. Raises 42601, 42704, 42501, 0A000, 22023."""
    words = change.words()
    words.expect("AWS", "IAM", verb)
    name = role_name(change, words)
    words.expect(preposition)
    arn = _text(words)
    words.expect_end()
    if name in _PSEUDO_ROLES or name.startswith("pg_"):
        raise not_supported(f"Role {name} not supported")
    role = change.snapshot.objects.roles.get(name)
    if role is None:
        raise SqlError(Code.undefined_object, f"Role {name} does not exist")
    _check_may(change, role)
    if role.superuser or role.oid == ADMIN_OID:
        raise SqlError(Code.invalid_grant_operation, f"Cannot establish trust with role {role.name}")
    if len(arn) > ARN_BYTES_MAX or _ARN.fullmatch(arn) is None:
        raise SqlError(Code.invalid_parameter_value, "IAM role must look like an IAM ARN")
    return role, arn


def _text(words: Words) -> str:
    """A string; in double quotes too, as examples have it. An ARN is longer than a name may be."""
    if not words.ended and words.tokens[words.at].kind == QUOTED:
        token = words.tokens[words.at]
        words.at += 1
        return token.text[1:-1]
    return words.string()


def _check_may(change: SchemaChange, role: Role) -> None:
    user = change.user
    if not (user.superuser or has_role(change.snapshot.objects, user, ADMIN_OID)):
        raise SqlError(
            Code.insufficient_privilege,
            f"permission denied to grant IAM trust with role {role.name}",
        )


HANDLERS = {"aws_iam_grant": aws_iam_grant, "aws_iam_revoke": aws_iam_revoke}
