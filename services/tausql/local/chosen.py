"""Which fleet a command is about, and which of its clusters; and how a command says that it cannot."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tausql.local.api import Api, ApiError, api_of, oldest_cluster
from tausql.local.cluster import Cluster, load
from tausql.local.reached import Reached, from_here

Data = Annotated[Path, typer.Option("--data", envvar="TAUSQL_DATA", help="Folder of the fleet's data.")]
DEFAULT_DATA = Path(".tausql")
ASK_SECONDS = 2.0  # for what is known without asking, too, if maybe no longer true


def failed(text: str) -> typer.Exit:
    """Raise what this returns."""
    print(f"tausql: {text}", file=sys.stderr)
    return typer.Exit(1)


@contextlib.contextmanager
def refusals_said() -> Iterator[None]:
    """What the API refuses ends the command, with the API's words."""
    try:
        yield
    except ApiError as error:
        raise failed(str(error)) from error


def fleet_in(folder: Path) -> Cluster:
    """The fleet last started in this folder. Raises typer.Exit."""
    try:
        cluster = load(folder)
    except ValueError as error:
        raise failed(str(error)) from error
    if cluster is None:
        raise failed(f"no fleet in {folder}: start one with `tausql up --data {folder}`")
    return cluster


def identifier_of(given: str) -> str:
    """A cluster as people name it: its identifier, its ARN or its endpoint. Raises typer.BadParameter."""
    text = given.rpartition("/")[2].partition(".")[0]
    if given and re.fullmatch(r"[a-z0-9]{26}", text) is None:
        raise typer.BadParameter(f"{given!r} names no cluster: 26 letters and digits, or its ARN or endpoint")
    return text


ClusterName = Annotated[
    str,
    typer.Option(
        "--cluster", envvar="TAUSQL_CLUSTER", callback=identifier_of, help="Identifier of the cluster; else the oldest."
    ),
]
ClusterArgument = Annotated[str, typer.Argument(callback=identifier_of, help="Its identifier, ARN or endpoint.")]


def fleet_meant(folder: Path) -> Reached:
    """The fleet in this folder; where there is none, the one that the environment tells of. Raises typer.Exit."""
    try:
        found = from_here(folder)
    except (OSError, ValueError) as error:
        raise failed(str(error)) from error
    if found is None:
        raise failed(f"no fleet in {folder}: start one with `tausql up --data {folder}`")
    return found


def cluster_meant(fleet: Reached, given: str) -> str:
    """The identifier of the cluster named, or of the oldest; of the one that was the oldest, where control does not say
    which is now. Raises typer.Exit where there is none."""
    if given or fleet.meant:
        return given or fleet.identifier
    try:
        found = oldest_cluster(fleet, ASK_SECONDS)
    except ApiError as error:
        if not fleet.identifier:
            raise failed(str(error)) from error
        found = fleet.identifier
    if not found:
        raise failed("the fleet has no cluster: make one with `tausql cluster create`")
    return found


def api_in(folder: Path) -> Api:
    """The API of the fleet that is meant. Raises typer.Exit."""
    return api_of(fleet_meant(folder))
