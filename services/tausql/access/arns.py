"""Amazon Resource Names: `arn:partition:service:region:account:resource`, and patterns of them."""

from __future__ import annotations

import re

from tausql.access.patterns import matches

PARTITION = "aws"
CHARACTERS_MAX = 2048

_IAM_PRINCIPAL = re.compile(
    r"arn:aws(-[a-z]+)*:(iam::\d{12}:(user|role|root|federated-user)|sts::\d{12}:(assumed-role|federated-user))(/.+)?"
)


def parts_of(arn: str) -> tuple[str, ...]:
    """Its six parts; six empty ones where the text is no ARN."""
    parts = tuple(arn.split(":", 5))
    return parts if len(parts) == 6 and parts[0] == "arn" else ("",) * 6


def account_of(arn: str) -> str:
    return parts_of(arn)[4]


def arn_matches(pattern: str, text: str) -> bool:
    """Part by part: no `*` reaches over a colon but in the last. pattern: with `patterns.wild` applied."""
    if pattern == text:
        return True
    wanted, given = pattern.split(":", 5), text.split(":", 5)
    return len(wanted) == len(given) == 6 and all(map(matches, wanted, given))


def is_arn_pattern(text: str) -> bool:
    parts = text.split(":", 5)
    return len(parts) == 6 and parts[0] == "arn" and len(text) <= CHARACTERS_MAX


def is_principal(text: str) -> bool:
    """Whether it looks like a user, a role, a session of one, or an account's root."""
    return len(text) <= CHARACTERS_MAX and _IAM_PRINCIPAL.fullmatch(text) is not None


def cluster_arn(region: str, account: str, identifier: str) -> str:
    return f"arn:{PARTITION}:dsql:{region}:{account}:cluster/{identifier}"


def stream_arn(region: str, account: str, cluster: str, stream: str) -> str:
    return f"{cluster_arn(region, account, cluster)}/stream/{stream}"


def user_arn(account: str, name: str, path: str = "/") -> str:
    return f"arn:{PARTITION}:iam::{account}:user{path}{name}"


def role_arn(account: str, name: str, path: str = "/") -> str:
    return f"arn:{PARTITION}:iam::{account}:role{path}{name}"


def session_arn(account: str, role: str, session: str) -> str:
    """Who acts with the temporary credentials of a role: what policies and error texts name. The role's path is left
    out, as AWS does."""
    return f"arn:{PARTITION}:sts::{account}:assumed-role/{role}/{session}"


def root_arn(account: str) -> str:
    return f"arn:{PARTITION}:iam::{account}:root"


def principal_name(arn: str) -> str:
    """A user's or role's name without its path; for a session, the role's."""
    resource = parts_of(arn)[5]
    kind, _, rest = resource.partition("/")
    if kind == "assumed-role":
        return rest.partition("/")[0]
    return resource.rpartition("/")[2]
