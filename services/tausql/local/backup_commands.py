"""`tausql backup ...`: keep a copy of a cluster, and make a new cluster of one. Answers are JSON, as the API's."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from tausql.local.api import Api, ApiError
from tausql.local.chosen import (
    DEFAULT_DATA,
    ClusterName,
    Data,
    api_in,
    cluster_meant,
    failed,
    fleet_meant,
    refusals_said,
)

POLL_SECONDS = 0.2
PAGES_MAX = 100

backups = typer.Typer(no_args_is_help=True, help="Back clusters up, and restore them.")

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to come back only when it is done.")]
Place = "a folder (below <data>/backups, or as the fleet says) or s3://bucket/prefix"
To = Annotated[str, typer.Option("--to", help=f"Where it is kept: {Place}.")]
From = Annotated[str, typer.Option("--from", help=f"Where the backup is: {Place}.")]


def _say(answer: object) -> None:
    print(json.dumps(answer, indent=2))


@backups.command()
def create(
    to: To,
    cluster: ClusterName = "",
    follow: Annotated[int, typer.Option(min=0, help="Seconds for which later commits are taken along, too.")] = 0,
    data: Data = DEFAULT_DATA,
    wait: Wait = True,
) -> None:
    """Back a cluster up, as it is now."""
    identifier, api = _cluster(data, cluster)
    wanted = {"location": to, "followSeconds": follow, "clientToken": str(uuid.uuid4())}
    with refusals_said():
        made = api.call("POST", f"/backup/{identifier}", body=wanted)
        _say(_ended(api, f"/backup/{identifier}/{made['jobIdentifier']}", made) if wait else made)


@backups.command("list")
def listed(cluster: ClusterName = "", data: Data = DEFAULT_DATA) -> None:
    """Print the backups of a cluster, the oldest first."""
    identifier, api = _cluster(data, cluster)
    with refusals_said():
        _say({"jobs": _pages(api, f"/backup/{identifier}")})


@backups.command()
def get(job: str, cluster: ClusterName = "", data: Data = DEFAULT_DATA) -> None:
    """Print how a backup does, and from when to when a cluster can be restored from it."""
    identifier, api = _cluster(data, cluster)
    with refusals_said():
        _say(api.call("GET", f"/backup/{identifier}/{job}"))


@backups.command()
def restore(
    source: From,
    at: Annotated[str, typer.Option("--time", help="As it was then (ISO 8601); else as late as the backup goes.")] = "",
    tag: Annotated[list[str] | None, typer.Option("--tag", help="KEY=VALUE, of the new cluster.")] = None,
    deletion_protection: Annotated[
        bool, typer.Option("--deletion-protection/--no-deletion-protection", help="Whether a delete is refused.")
    ] = True,
    data: Data = DEFAULT_DATA,
    wait: Wait = True,
) -> None:
    """Make a new cluster of a backup."""
    wanted: dict[str, object] = {
        "location": source,
        "deletionProtectionEnabled": deletion_protection,
        "clientToken": str(uuid.uuid4()),
    }
    if at:
        wanted["restoreTime"] = _seconds(at)
    if tag:
        wanted["tags"] = dict(_pair(one) for one in tag)
    api = api_in(data.resolve())
    with refusals_said():
        made = api.call("POST", "/restore", body=wanted)
        _say(_ended(api, f"/restore/{made['jobIdentifier']}", made) if wait else made)


@backups.command("restored")
def restored(job: str, data: Data = DEFAULT_DATA) -> None:
    """Print how a restore does."""
    api = api_in(data.resolve())
    with refusals_said():
        _say(api.call("GET", f"/restore/{job}"))


def _cluster(data: Any, given: str) -> tuple[str, Api]:
    folder = data.resolve()
    return cluster_meant(fleet_meant(folder), given), api_in(folder)


def _ended(api: Api, path: str, made: dict[str, Any]) -> dict[str, Any]:
    """The job when it is over: there is no limit to how long that may take. Raises ApiError, typer.Exit."""
    now = made
    while now["status"] == "RUNNING":
        time.sleep(POLL_SECONDS)
        now = made | api.call("GET", path)
    if now["status"] == "FAILED":
        raise failed(str(now.get("statusMessage", "it has failed")))
    return now


def _pages(api: Api, path: str) -> Sequence[Any]:
    found: list[Any] = []
    query: list[tuple[str, str]] = []
    for _ in range(PAGES_MAX):
        page = api.call("GET", path, query)
        found += page["jobs"]
        if not page.get("nextToken"):
            return found
        query = [("next-token", page["nextToken"])]
    raise ApiError(f"more than {PAGES_MAX} pages")


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no moment: 2026-01-31T12:00:00Z") from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise typer.BadParameter(f"{text!r} is no tag: KEY=VALUE")
    return key, value
