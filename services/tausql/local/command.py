"""`tausql`: start a fleet on this machine, look at it, connect to it, stop it."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Annotated

import typer

from tausql.chaos.command import chaos
from tausql.local import connect_commands, environment
from tausql.local.backup_commands import backups
from tausql.local.chosen import DEFAULT_DATA, Data, failed, fleet_in
from tausql.local.cluster import alive
from tausql.local.cluster_commands import clusters
from tausql.local.key_commands import keys
from tausql.local.shapes import Shape
from tausql.local.up import SHARD_BYTES, StartError, Wishes, up_fleet

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)

DOWN_SECONDS = 30.0


def _region(given: str) -> str:
    if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", given) is None or len(given) > 32:
        raise typer.BadParameter("letters and digits with hyphens between, as in us-east-1")
    return given


@app.command()
def up(
    data: Data = DEFAULT_DATA,
    shape: Annotated[Shape, typer.Option(help="How services share processes.")] = Shape.packed,
    zones: Annotated[int, typer.Option(min=1, max=5, help="Zones: a journal and a storage replica in each.")] = 3,
    pg_port: Annotated[int, typer.Option(min=1, max=65535, help="Port for PostgreSQL clients.")] = 5432,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Port for HTTP SQL and status.")] = 8080,
    api_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the API: clusters, keys.")] = 8081,
    websocket_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port for PostgreSQL over WebSocket; 0: none. Else 443 where allowed."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    region: Annotated[str, typer.Option(callback=_region, help="Region in endpoint names and ARNs.")] = "us-east-1",
    streams: Annotated[int, typer.Option(min=1, max=16, help="Journal streams wanted at least.")] = 2,
    storages: Annotated[int, typer.Option(min=1, max=8, help="Storage processes in each zone.")] = 1,
    shard_bytes: Annotated[
        int, typer.Option(min=1024, help="Bytes above which a shard of rows is cut in two.")
    ] = SHARD_BYTES,
    links: Annotated[
        bool, typer.Option("--links", help="Let `tausql chaos` cut and slow links between processes.")
    ] = False,
    clock: Annotated[
        environment.Clock, typer.Option(help="The machine's clock, or estimates from the timekeepers as on a cluster.")
    ] = environment.Clock.host,
    extensions: Annotated[
        bool,
        typer.Option("--extensions", help="SQL that PostgreSQL has and DSQL has not: SAVEPOINT, TRUNCATE..."),
    ] = False,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Accept harmless settings that tools make: pg_dump, pgAdmin, Flyway...")
    ] = False,
    testing: Annotated[
        bool, typer.Option("--testing", help="Let clients have commits fail and jobs held, to test their retries.")
    ] = False,
) -> None:
    """Start the fleet and stay in the foreground until Ctrl-C or `tausql down`."""
    chosen = {"extensions": extensions, "lenient": lenient, "testing": testing}
    wishes = Wishes(
        shape=shape,
        zones=zones,
        pg_port=pg_port,
        http_port=http_port,
        api_port=api_port,
        websocket_port=websocket_port,
        host=host,
        region=region,
        streams=streams,
        clock=clock,
        storages=storages,
        shard_bytes=shard_bytes,
        links=links,
        switches=tuple(name for name, on in chosen.items() if on),
    )
    try:
        up_fleet(data.resolve(), wishes)
    except StartError as error:
        raise failed(str(error)) from error


@app.command()
def down(data: Data = DEFAULT_DATA) -> None:
    """Stop the fleet that runs in this folder; its data stays."""
    cluster = fleet_in(data.resolve())
    if not alive(cluster.supervisor):
        raise failed("the fleet is not running")
    os.kill(cluster.supervisor, signal.SIGTERM)
    end = time.monotonic() + DOWN_SECONDS
    while alive(cluster.supervisor):
        if time.monotonic() > end:
            raise failed(f"the fleet did not stop within {DOWN_SECONDS:g} s")
        time.sleep(0.05)


@app.command()
def status(data: Data = DEFAULT_DATA) -> None:
    """Show every process of the fleet, streams and shards. Exit code 1 unless all are ready."""
    from tausql.local.watching import table_of  # rich and HTTP are not needed by any other command

    cluster = fleet_in(data.resolve())
    text, healthy = table_of(cluster)
    print(text)
    if not healthy:
        raise typer.Exit(1)


app.command()(connect_commands.env)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(connect_commands.psql)
app.command()(connect_commands.token)
app.command("hosts")(connect_commands.hosts_command)
app.add_typer(clusters, name="cluster")
app.add_typer(keys, name="key")
app.add_typer(backups, name="backup")
app.command()(chaos)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
