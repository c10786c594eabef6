"""`tausql`: start a fleet on this machine, look at it, connect to it, stop it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from tausql.chaos.command import chaos
from tausql.local import environment
from tausql.local.cluster import Cluster, alive, load
from tausql.local.shapes import Shape
from tausql.local.up import SHARD_BYTES, StartError, up_fleet

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option("--data", envvar="TAUSQL_DATA", help="Folder of the fleet's data.")]
DEFAULT_DATA = Path(".tausql")
DOWN_SECONDS = 30.0

app.command()(chaos)


def _fail(text: str) -> typer.Exit:
    print(f"tausql: {text}", file=sys.stderr)
    return typer.Exit(1)


def _running(folder: Path) -> Cluster:
    try:
        cluster = load(folder)
    except ValueError as error:
        raise _fail(str(error)) from error
    if cluster is None:
        raise _fail(f"no fleet in {folder}: start one with `tausql up --data {folder}`")
    return cluster


@app.command()
def up(
    data: Data = DEFAULT_DATA,
    shape: Annotated[Shape, typer.Option(help="How services share processes.")] = Shape.packed,
    zones: Annotated[int, typer.Option(min=1, max=5, help="Zones: a journal and a storage replica in each.")] = 3,
    pg_port: Annotated[int, typer.Option(min=1, max=65535, help="Port for PostgreSQL clients.")] = 5432,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Port for HTTP SQL and status.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
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
    switches = [name for name, on in chosen.items() if on]
    folder = data.resolve()
    try:
        up_fleet(folder, shape, zones, pg_port, http_port, host, streams, clock, storages, shard_bytes, links, switches)
    except StartError as error:
        raise _fail(str(error)) from error


@app.command()
def down(data: Data = DEFAULT_DATA) -> None:
    """Stop the fleet that runs in this folder; its data stays."""
    cluster = _running(data.resolve())
    if not alive(cluster.supervisor):
        raise _fail("the fleet is not running")
    os.kill(cluster.supervisor, signal.SIGTERM)
    end = time.monotonic() + DOWN_SECONDS
    while alive(cluster.supervisor):
        if time.monotonic() > end:
            raise _fail(f"the fleet did not stop within {DOWN_SECONDS:g} s")
        time.sleep(0.05)


@app.command()
def env(data: Data = DEFAULT_DATA) -> None:
    """Print what clients need, for `eval "$(tausql env)"`."""
    folder = data.resolve()
    cluster = _running(folder)
    print(environment.export_lines(environment.for_client(folder, cluster)))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, data: Data = DEFAULT_DATA) -> None:
    """Run psql against the fleet; what follows is passed on."""
    folder = data.resolve()
    cluster = _running(folder)
    program = environment.psql_program()
    if program is None:
        raise _fail("no psql found: install a PostgreSQL client")
    os.environ.update(environment.for_client(folder, cluster))
    os.execv(program, [program, *context.args])


@app.command()
def status(data: Data = DEFAULT_DATA) -> None:
    """Show every process of the fleet, streams and shards. Exit code 1 unless all are ready."""
    from tausql.local.watching import table_of  # rich and HTTP are not needed by any other command

    cluster = _running(data.resolve())
    text, healthy = table_of(cluster)
    print(text)
    if not healthy:
        raise typer.Exit(1)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
