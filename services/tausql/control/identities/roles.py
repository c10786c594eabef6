"""Decisions about roles, and the temporary credentials of those who act for them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import quote

from msgspec.structs import replace

from tausql.access.arns import role_arn, session_arn
from tausql.control.identities import faults, people, trust
from tausql.control.identities.keyring import Keyring
from tausql.control.identities.records import Role, Session, User
from tausql.control.system.state import Decision, Image

ROLES_MAX = 1_000
SESSIONS_MAX = 20_000
SECONDS_MIN = 900
ROLE_SECONDS_MAX = 43_200
USER_SECONDS, USER_SECONDS_MAX = 43_200, 129_600
BOUNDARY_CHARACTERS_MAX = 2_048
_SESSION = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:[!-~]+/)?([\w+=,.@-]{1,64})", re.ASCII)
Answer = dict[str, Any]


class Wanted(NamedTuple):
    """Temporary credentials, as asked for."""

    seconds: int
    session: str = ""  # its name; empty: a user's own
    boundary: str = ""


def find(image: Image, name: str) -> Role:
    """Raises NoSuchEntity."""
    role = image.of(Role).get(name)
    if role is None:
        raise faults.no_entity("role", name)
    return role


def by_arn(image: Image, account: str, arn: str) -> Role | None:
    found = _ROLE_ARN.fullmatch(arn)
    role = image.of(Role).get(found.group(2)) if found is not None else None
    return role if role is not None and role_arn(account, role.role, role.path) == arn else None


class NewRole(NamedTuple):
    name: str
    path: str
    trust: str
    description: str
    seconds_max: int
    tags: dict[str, str]


def create(image: Image, new: NewRole, account: str, now: float) -> Decision[Answer]:
    people.check_name(new.name, "roleName")
    people.check_path(new.path)
    trust.check(new.trust)
    check_seconds(new.seconds_max, 3_600, ROLE_SECONDS_MAX, "MaxSessionDuration")
    if any(known.lower() == new.name.lower() for known in image.of(Role)):
        raise faults.exists("Role", new.name)
    if len(image.of(Role)) >= ROLES_MAX:
        raise faults.over_limit("RolesPerAccount", ROLES_MAX)
    role = Role(
        role=new.name,
        role_id=people.new_id("AROA"),
        path=new.path,
        created_at=now,
        trust=new.trust,
        description=new.description,
        session_seconds_max=new.seconds_max,
        tags=new.tags,
    )
    return Decision({"Role": told(role, account)}, (role,))


def retrust(role: Role, document: str) -> Decision[Answer]:
    trust.check(document)
    return Decision({}, (replace(role, trust=document),))


def delete(image: Image, name: str) -> Decision[Answer]:
    """Credentials of those who act for it are worth nothing from then on."""
    role = find(image, name)
    if role.policies:
        raise faults.in_use("Cannot delete entity, must delete policies first.")
    sessions = [one for one in image.of(Session).values() if one.role == name]
    return Decision({}, (), (role, *sessions))


def told(role: Role, account: str) -> Answer:
    return {
        "Path": role.path,
        "RoleName": role.role,
        "RoleId": role.role_id,
        "Arn": role_arn(account, role.role, role.path),
        "CreateDate": people.iso(role.created_at),
        "AssumeRolePolicyDocument": quote(role.trust, safe=""),
        "Description": role.description,
        "MaxSessionDuration": role.session_seconds_max,
    }


# temporary credentials


def assume(image: Image, keyring: Keyring, role: Role, wanted: Wanted, account: str, now: float) -> Decision[Answer]:
    check_seconds(wanted.seconds, SECONDS_MIN, role.session_seconds_max, "DurationSeconds")
    if _SESSION.fullmatch(wanted.session) is None:
        raise faults.wrong_input("roleSessionName must have 2 to 64 letters, digits or _+=,.@-")
    principal = session_arn(account, role.role, wanted.session)
    decision = _session(image, keyring, principal, "", role.role, wanted, now)
    user = {"AssumedRoleId": f"{role.role_id}:{wanted.session}", "Arn": principal}
    return Decision({**decision.answer, "AssumedRoleUser": user}, decision.puts)


def of_user(image: Image, keyring: Keyring, user: User, principal: str, seconds: int, now: float) -> Decision[Answer]:
    check_seconds(seconds, SECONDS_MIN, USER_SECONDS_MAX, "DurationSeconds")
    return _session(image, keyring, principal, user.user, "", Wanted(seconds), now)


def _session(
    image: Image, keyring: Keyring, principal: str, user: str, role: str, wanted: Wanted, now: float
) -> Decision[Answer]:
    if len(wanted.boundary) > BOUNDARY_CHARACTERS_MAX:
        raise faults.over_limit("PackedPolicySize", BOUNDARY_CHARACTERS_MAX)
    if wanted.boundary:
        people.check_policy(wanted.boundary)
    if len(image.of(Session)) >= SESSIONS_MAX:
        raise faults.over_limit("Sessions", SESSIONS_MAX)
    made, sealed = keyring.new_session()
    ends = int(now) + wanted.seconds
    session = Session(made.access_key_id, sealed, principal, user, role, float(ends), wanted.boundary)
    credentials = {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret,
        "SessionToken": made.session_token,
        "Expiration": people.iso(ends),
    }
    return Decision({"Credentials": credentials}, (session,))


def check_seconds(seconds: int, least: int, most: int, name: str) -> None:
    if not least <= seconds <= most:
        raise faults.wrong_input(f"{name} must be between {least} and {most} seconds")
