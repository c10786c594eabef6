"""Decisions about users, their keys and their policies."""

from __future__ import annotations

import base64
import re
import secrets
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from tausql.access.arns import user_arn
from tausql.access.policies import PolicyRefused, parse
from tausql.control.identities import faults
from tausql.control.identities.keyring import ALLOW_ALL, FIRST_USER, Keyring
from tausql.control.identities.records import Key, Role, Session, User
from tausql.control.system.state import Decision, Image

USERS_MAX = 5_000
KEYS_MAX = 2  # of a user
POLICIES_CHARACTERS_MAX = 10_240  # of one user or role, all together
_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_PATH = re.compile(r"/|/[!-~]{1,510}/")
Answer = dict[str, Any]


def find(image: Image, name: str) -> User:
    """Raises NoSuchEntity."""
    user = image.of(User).get(name)
    if user is None:
        raise faults.no_entity("user", name)
    return user


def first(image: Image, now: float) -> Decision[None]:
    """The user that the first key belongs to, so that it can have others."""
    if FIRST_USER in image.of(User):
        return Decision(None)
    return Decision(None, (User(FIRST_USER, new_id("AIDA"), "/", now, {"AllowAll": ALLOW_ALL}),))


def create(image: Image, name: str, path: str, tags: dict[str, str], account: str, now: float) -> Decision[Answer]:
    check_name(name, "userName")
    check_path(path)
    if any(known.lower() == name.lower() for known in image.of(User)):
        raise faults.exists("User", name)
    if len(image.of(User)) >= USERS_MAX:
        raise faults.over_limit("UsersPerAccount", USERS_MAX)
    user = User(name, new_id("AIDA"), path, now, tags=tags)
    return Decision({"User": told(user, account)}, (user,))


def delete(image: Image, name: str) -> Decision[Answer]:
    user = find(image, name)
    if name == FIRST_USER:
        raise faults.in_use("The first user of a fleet cannot be deleted.")
    if any(key.user == name for key in image.of(Key).values()):
        raise faults.in_use("Cannot delete entity, must delete access keys first.")
    if user.policies:
        raise faults.in_use("Cannot delete entity, must delete policies first.")
    sessions = [one for one in image.of(Session).values() if one.user == name]
    return Decision({}, (), (user, *sessions))


def told(user: User, account: str) -> Answer:
    return {
        "Path": user.path,
        "UserName": user.user,
        "UserId": user.user_id,
        "Arn": user_arn(account, user.user, user.path),
        "CreateDate": iso(user.created_at),
    }


# keys


def create_key(image: Image, keyring: Keyring, name: str, now: float) -> Decision[Answer]:
    find(image, name)
    if len(keys_of(image, name)) >= KEYS_MAX:
        raise faults.over_limit("AccessKeysPerUser", KEYS_MAX)
    made, sealed = keyring.new_key()
    key = Key(made.access_key_id, name, sealed, now)
    answer = {"AccessKey": {**told_key(key), "SecretAccessKey": made.secret}}
    return Decision(answer, (key,))


def keys_of(image: Image, name: str) -> list[Key]:
    return sorted((key for key in image.of(Key).values() if key.user == name), key=lambda key: key.created_at)


def find_key(image: Image, name: str, access_key_id: str) -> Key:
    """Raises NoSuchEntity."""
    find(image, name)
    key = image.of(Key).get(access_key_id)
    if key is None or key.user != name:
        raise faults.no_entity_of(f"The Access Key with id {access_key_id[:128]} cannot be found.")
    return key


def update_key(image: Image, name: str, access_key_id: str, status: str) -> Decision[Answer]:
    if status not in ("Active", "Inactive"):
        raise faults.wrong_input("Status must be Active or Inactive")
    return Decision({}, (replace(find_key(image, name, access_key_id), active=status == "Active"),))


def delete_key(image: Image, name: str, access_key_id: str) -> Decision[Answer]:
    return Decision({}, (), (find_key(image, name, access_key_id),))


def told_key(key: Key) -> Answer:
    return {
        "UserName": key.user,
        "AccessKeyId": key.access_key_id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": iso(key.created_at),
    }


# inline policies, of users and roles alike


def put_policy(who: User | Role, name: str, document: str) -> Decision[Answer]:
    check_name(name, "policyName", 128)
    check_policy(document)
    policies = {**who.policies, name: document}
    if sum(map(len, policies.values())) > POLICIES_CHARACTERS_MAX:
        raise faults.over_limit("PolicySize", POLICIES_CHARACTERS_MAX)
    return Decision({}, (replace(who, policies=policies),))


def find_policy(who: User | Role, name: str) -> str:
    """Raises NoSuchEntity."""
    if name not in who.policies:
        raise faults.no_entity_of(f"The {who.kind} policy with name {name[:128]} cannot be found.")
    return who.policies[name]


def delete_policy(who: User | Role, name: str) -> Decision[Answer]:
    find_policy(who, name)
    left = {known: document for known, document in who.policies.items() if known != name}
    return Decision({}, (replace(who, policies=left),))


def check_policy(document: str) -> None:
    """Raises MalformedPolicyDocument."""
    try:
        parse(document, resource_based=False)
    except PolicyRefused as refused:
        raise faults.malformed_policy(str(refused)) from refused


# parts


def check_name(name: str, what: str, characters_max: int = 64) -> None:
    if len(name) > characters_max or (_NAME.fullmatch(name[:64]) is None or _NAME.fullmatch(name[-64:]) is None):
        raise faults.wrong_input(
            f"The specified value for {what} is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-"
        )


def check_path(path: str) -> None:
    if _PATH.fullmatch(path) is None:
        raise faults.wrong_input("The specified value for path is invalid. It must begin and end with /.")


def new_id(prefix: str) -> str:
    return prefix + base64.b32encode(secrets.token_bytes(10)).decode()


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
