"""`tausql key ...`: access keys, by IAM's own calls. A user is made with its first key."""

from __future__ import annotations

import json
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Annotated

import typer

from tausql.local.api import Api, ApiError
from tausql.local.chosen import DEFAULT_DATA, Data, api_in, refusals_said

VERSION = "2010-05-08"  # of IAM's API
POLICY_NAME = "tausql"  # of the one policy that `create --policy` gives a user

keys = typer.Typer(no_args_is_help=True, help="Make, list and delete access keys.")

User = Annotated[str, typer.Option("--user", help="Whose: a user of the fleet's account, not of a database.")]


def _say(answer: object) -> None:
    print(json.dumps(answer, indent=2))


@keys.command()
def create(
    data: Data = DEFAULT_DATA,
    user: User = "admin",
    policy: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File of a policy in IAM's JSON, for the user.")
    ] = None,
) -> None:
    """Make an access key and print it; its secret is told this once. A new user may do what --policy allows."""
    api = api_in(data.resolve())
    with refusals_said():
        _ensure_user(api, user)
        if policy is not None:
            document = {"PolicyName": POLICY_NAME, "PolicyDocument": policy.read_text()}
            _call(api, "PutUserPolicy", UserName=user, **document)
        made = _call(api, "CreateAccessKey", UserName=user)
        _say({name: _text(made, name) for name in ("UserName", "AccessKeyId", "SecretAccessKey", "Status")})


@keys.command("list")
def listed(data: Data = DEFAULT_DATA, user: User = "admin") -> None:
    """Print a user's keys, without their secrets."""
    api = api_in(data.resolve())
    with refusals_said():
        answer = _call(api, "ListAccessKeys", UserName=user)
        found = [
            {name: _text(member, name) for name in ("UserName", "AccessKeyId", "Status", "CreateDate")}
            for member in answer.iter("member")
        ]
        _say({"AccessKeyMetadata": found})


@keys.command()
def delete(access_key_id: str, data: Data = DEFAULT_DATA, user: User = "admin") -> None:
    """Delete a key: what it has signed is worth nothing from now on."""
    api = api_in(data.resolve())
    with refusals_said():
        _call(api, "DeleteAccessKey", UserName=user, AccessKeyId=access_key_id)


def _ensure_user(api: Api, user: str) -> None:
    if user == "admin":
        return
    try:
        _call(api, "CreateUser", UserName=user)
    except ApiError as error:
        if "EntityAlreadyExists" not in error.kind:
            raise


def _call(api: Api, action: str, **fields: str) -> xml.Element:
    """The answer, without XML's namespaces. Raises ApiError."""
    raw = api.form("iam", {"Action": action, "Version": VERSION, **fields})
    try:
        answer = xml.fromstring(raw)
    except xml.ParseError as error:
        raise ApiError(f"the answer is no XML: {error}") from error
    for element in answer.iter():
        element.tag = element.tag.rpartition("}")[2]
    return answer


def _text(answer: xml.Element, name: str) -> str:
    found = answer.find(f".//{name}")
    return "" if found is None or found.text is None else found.text
