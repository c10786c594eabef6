"""`tausql env`, `psql`, `token` and `hosts`: whatever a client needs to get in."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tausql.access.connect_tokens import ADMIN
from tausql.access.signatures import EXPIRES_SECONDS_MAX
from tausql.local import environment, hosts
from tausql.local.api import ApiError, api_of
from tausql.local.chosen import DEFAULT_DATA, ClusterName, Data, cluster_meant, failed, fleet_meant
from tausql.local.client_settings import client_settings
from tausql.local.reached import Reached
from tausql.local.tokens import endpoint_name, token_for

PSQL_SECONDS = 900  # as SDKs have it: psql connects at once

User = Annotated[str, typer.Option("--user", help="Role of the database: admin, or one mapped by AWS IAM GRANT.")]
Seconds = Annotated[
    int, typer.Option("--expires", min=1, max=EXPIRES_SECONDS_MAX, help="How long it lets anybody in, in seconds.")
]


def _settings(folder: Path, named: str, user: str, seconds: int) -> dict[str, str]:
    """Raises typer.Exit."""
    fleet = fleet_meant(folder)
    identifier = cluster_meant(fleet, named)
    try:
        return client_settings(fleet, identifier, user, seconds, os.environ.get("SSL_CERT_FILE", ""))
    except OSError as error:
        raise failed(str(error)) from error


def env(
    data: Data = DEFAULT_DATA, cluster: ClusterName = "", user: User = ADMIN, expires: Seconds = EXPIRES_SECONDS_MAX
) -> None:
    """Print what clients need, for `eval "$(tausql env)"`: endpoint, keys, a token, certificates, URLs."""
    print(environment.export_lines(_settings(data.resolve(), cluster, user, expires)))


def psql(context: typer.Context, data: Data = DEFAULT_DATA, cluster: ClusterName = "", user: User = ADMIN) -> None:
    """Run psql with a fresh token; what follows is passed on."""
    settings = _settings(data.resolve(), cluster, user, PSQL_SECONDS)
    program = environment.psql_program()
    if program is None:
        raise failed("no psql found: install a PostgreSQL client")
    os.environ.update({name: value for name, value in settings.items() if name.startswith("PG")})
    os.execv(program, [program, *context.args])


def token(
    data: Data = DEFAULT_DATA, cluster: ClusterName = "", user: User = ADMIN, expires: Seconds = PSQL_SECONDS
) -> None:
    """Print a connect token: the password of whoever connects within its life."""
    fleet = fleet_meant(data.resolve())
    endpoint = endpoint_name(cluster_meant(fleet, cluster), fleet.region)
    print(token_for(fleet.key, endpoint, fleet.region, user, expires))


def hosts_command(
    data: Data = DEFAULT_DATA,
    install: Annotated[bool, typer.Option("--install", help="Write the lines, where that is allowed.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the lines of this fleet away.")] = False,
    file: Annotated[Path, typer.Option(help="The file of host names.")] = hosts.HOSTS,
) -> None:
    """Print the lines by which this machine finds the fleet's clusters by name; write or remove them."""
    if install and remove:
        raise typer.BadParameter("either --install or --remove")
    folder = data.resolve()
    lines = [] if remove else _lines(folder, fleet_meant(folder))
    if not install and not remove:
        print("\n".join(lines))
        return
    try:
        before = file.read_text()
        after = hosts.without_ours(before, folder) if remove else hosts.with_ours(before, folder, lines)
        changed = hosts.rewrite(file, after)
    except PermissionError as error:
        again = f"sudo {sys.argv[0]} hosts --{'remove' if remove else 'install'} --data {folder}"
        raise failed(f"{file} is not ours to write: {again}") from error
    except OSError as error:
        raise failed(str(error)) from error
    print(f"{file} {'is changed' if changed else 'is as it should be'}", file=sys.stderr)


def _lines(folder: Path, fleet: Reached) -> list[str]:
    """For every cluster; for the one that is known where control does not answer. Raises typer.Exit."""
    try:
        found = [str(one["identifier"]) for one in api_of(fleet).listed()]
    except ApiError as error:
        if not fleet.identifier:
            raise failed(str(error)) from error
        print(f"tausql: only the oldest cluster, for control does not say which there are: {error}", file=sys.stderr)
        found = [fleet.identifier]
    return hosts.hosts_lines(folder, fleet.address, (endpoint_name(one, fleet.region) for one in found))
