"""`tausql cluster ...`: the fleet's clusters, by the same API that AWS's SDKs call. Answers are JSON in its shape."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tausql.local.api import Api, ApiError
from tausql.local.chosen import DEFAULT_DATA, ClusterArgument, Data, api_in, refusals_said

WAIT_SECONDS = 120.0  # as long as AWS's own waiters
POLL_SECONDS = 0.05

clusters = typer.Typer(no_args_is_help=True, help="Create, look at, change and delete clusters.")
policies = typer.Typer(no_args_is_help=True, help="Who may use a cluster: its resource policy.")
clusters.add_typer(policies, name="policy")

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to come back only when it is so.")]
Protection = Annotated[
    bool | None, typer.Option("--deletion-protection/--no-deletion-protection", help="Whether a delete is refused.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="KEY=VALUE, as often as wanted.")]
Document = typer.Option("--policy", exists=True, dir_okay=False, help="File of a policy in IAM's JSON.")
Version = Annotated[str, typer.Option("--expected-version", help="Fail where the policy is of another version.")]


def _say(answer: object) -> None:
    print(json.dumps(answer, indent=2))


@clusters.command()
def create(
    data: Data = DEFAULT_DATA,
    deletion_protection: Protection = None,
    tag: Tags = None,
    policy: Annotated[Path | None, Document] = None,
    wait: Wait = True,
) -> None:
    """Make a cluster and print what it is called and where clients find it."""
    wanted: dict[str, object] = {"clientToken": str(uuid.uuid4())}
    if deletion_protection is not None:
        wanted["deletionProtectionEnabled"] = deletion_protection
    if tag:
        wanted["tags"] = dict(_pair(one) for one in tag)
    if policy is not None:
        wanted["policy"] = policy.read_text()
    api = api_in(data.resolve())
    with refusals_said():
        made = api.call("POST", "/cluster", body=wanted)
        if wait:
            made |= _until(api, str(made["identifier"]), lambda now: now["status"] != "CREATING")
        _say(made)


@clusters.command("list")
def listed(data: Data = DEFAULT_DATA) -> None:
    """Print all clusters, the oldest first."""
    api = api_in(data.resolve())
    with refusals_said():
        _say({"clusters": list(api.listed())})


@clusters.command()
def get(identifier: ClusterArgument, data: Data = DEFAULT_DATA) -> None:
    """Print one cluster: its state, its endpoint, its tags."""
    api = api_in(data.resolve())
    with refusals_said():
        _say(api.call("GET", f"/cluster/{identifier}"))


@clusters.command()
def update(identifier: ClusterArgument, data: Data = DEFAULT_DATA, deletion_protection: Protection = None) -> None:
    """Protect a cluster from being deleted, or stop protecting it."""
    if deletion_protection is None:
        raise typer.BadParameter("say what to change: --deletion-protection or --no-deletion-protection")
    wanted = {"clientToken": str(uuid.uuid4()), "deletionProtectionEnabled": deletion_protection}
    api = api_in(data.resolve())
    with refusals_said():
        _say(api.call("POST", f"/cluster/{identifier}", body=wanted))


@clusters.command()
def delete(identifier: ClusterArgument, data: Data = DEFAULT_DATA, wait: Wait = True) -> None:
    """Delete a cluster with all its data."""
    api = api_in(data.resolve())
    with refusals_said():
        gone = api.call("DELETE", f"/cluster/{identifier}", [("client-token", str(uuid.uuid4()))])
        if wait and not _until(api, identifier, lambda _: False):
            gone["status"] = "DELETED"
        _say(gone)


@clusters.command()
def tag(identifier: ClusterArgument, tags: list[str], data: Data = DEFAULT_DATA) -> None:
    """Add tags, each KEY=VALUE."""
    pairs = dict(_pair(one) for one in tags)
    api = api_in(data.resolve())
    with refusals_said():
        api.call("POST", f"/tags/{_arn(api, identifier)}", body={"tags": pairs})


@clusters.command()
def untag(identifier: ClusterArgument, keys: list[str], data: Data = DEFAULT_DATA) -> None:
    """Take tags away, by their keys."""
    api = api_in(data.resolve())
    with refusals_said():
        api.call("DELETE", f"/tags/{_arn(api, identifier)}", [("tagKeys", key) for key in keys])


@policies.command("get")
def policy_get(identifier: ClusterArgument, data: Data = DEFAULT_DATA) -> None:
    """Print a cluster's policy and its version."""
    api = api_in(data.resolve())
    with refusals_said():
        _say(api.call("GET", f"/cluster/{identifier}/policy"))


@policies.command("put")
def policy_put(
    identifier: ClusterArgument,
    policy: Annotated[Path, Document],
    data: Data = DEFAULT_DATA,
    expected_version: Version = "",
    bypass_lockout_check: Annotated[bool, typer.Option(help="Allow a policy that would lock its author out.")] = False,
) -> None:
    """Give a cluster a policy instead of the one it has."""
    wanted: dict[str, object] = {"policy": policy.read_text(), "clientToken": str(uuid.uuid4())}
    if expected_version:
        wanted["expectedPolicyVersion"] = expected_version
    if bypass_lockout_check:
        wanted["bypassPolicyLockoutSafetyCheck"] = True
    api = api_in(data.resolve())
    with refusals_said():
        _say(api.call("POST", f"/cluster/{identifier}/policy", body=wanted))


@policies.command("delete")
def policy_delete(identifier: ClusterArgument, data: Data = DEFAULT_DATA, expected_version: Version = "") -> None:
    """Take a cluster's policy away."""
    query = [("client-token", str(uuid.uuid4()))]
    if expected_version:
        query.append(("expected-policy-version", expected_version))
    api = api_in(data.resolve())
    with refusals_said():
        _say(api.call("DELETE", f"/cluster/{identifier}/policy", query))


def _arn(api: Api, identifier: str) -> str:
    return str(api.call("GET", f"/cluster/{identifier}")["arn"])


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise typer.BadParameter(f"{text!r} is no tag: KEY=VALUE")
    return key, value


def _until(api: Api, identifier: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The cluster once it is as wanted; nothing once it is gone. Raises ApiError when that takes too long."""
    end = time.monotonic() + WAIT_SECONDS
    now: dict[str, Any] = {}
    while time.monotonic() < end:
        try:
            now = api.call("GET", f"/cluster/{identifier}")
        except ApiError as error:
            if error.kind == "ResourceNotFoundException":
                return {}
            raise
        if done(now):
            return now
        time.sleep(POLL_SECONDS)
    raise ApiError(f"cluster {identifier} still is {now.get('status')} after {WAIT_SECONDS:g} s")
