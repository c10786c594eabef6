"""`tausql chaos`: the command line, and, as `python -m tausql.chaos`, what a Job on Kubernetes runs.

Every option can come from the environment (`TAUSQL_CHAOS_...`), as a pod is told. Exit status: 0 passed, 1 failed,
2 the run could not begin.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tausql.chaos.driver import Target
    from tausql.chaos.faults import Backend, Plan
    from tausql.chaos.report import Report
    from tausql.chaos.run import Work
    from tausql.checker.history import Attempt

POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
NOT_BEGUN = 2


def _env(name: str) -> str:
    return f"TAUSQL_CHAOS_{name}"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _refuse(text: str) -> typer.Exit:
    _tell(f"tausql chaos: {text}")
    return typer.Exit(NOT_BEGUN)


def chaos(
    data: Annotated[Path, typer.Option(envvar="TAUSQL_DATA", help="Folder of a local fleet.")] = Path(".tausql"),
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", envvar=_env("KUBERNETES"), help="Break a release on Kubernetes instead.")
    ] = False,
    namespace: Annotated[
        str, typer.Option(envvar=_env("NAMESPACE"), help="Of the release; in a pod its own, else `default`.")
    ] = "",
    release: Annotated[str, typer.Option(envvar=_env("RELEASE"), help="Name of the release.")] = "tausql",
    context: Annotated[str, typer.Option(envvar=_env("CONTEXT"), help="Of the kubeconfig.")] = "",
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            envvar=_env("ENDPOINT"), help="`host:port` to connect to; may be given more than once. Local: its own."
        ),
    ] = None,
    user: Annotated[str, typer.Option(envvar=_env("USER"), help="PostgreSQL user.")] = "admin",
    database: Annotated[str, typer.Option(envvar=_env("DATABASE"), help="PostgreSQL database.")] = "postgres",
    token_file: Annotated[
        Path | None,
        typer.Option(envvar=_env("TOKEN_FILE"), help="A connect token; else PGPASSWORD. Local: one of its own."),
    ] = None,
    sslmode: Annotated[str, typer.Option(envvar=_env("SSLMODE"), help="As in libpq.")] = "require",
    sslrootcert: Annotated[str, typer.Option(envvar=_env("SSLROOTCERT"), help="As in libpq.")] = "",
    faults: Annotated[
        str,
        typer.Option(
            envvar=_env("FAULTS"), help="`kill,stop:adjudicator,cut:zone-a`: kinds, of everything or of one; all; none."
        ),
    ] = "kill",
    seconds: Annotated[float, typer.Option(min=1, envvar=_env("SECONDS"), help="Longest time of the run.")] = 120.0,
    each_seconds: Annotated[
        float,
        typer.Option("--every", "--each-seconds", min=0.1, envvar=_env("EVERY"), help="Seconds between two faults."),
    ] = 10.0,
    hold_seconds: Annotated[
        float, typer.Option(min=0.1, envvar=_env("HOLD_SECONDS"), help="How long stop, cut, slow, cordon, node last.")
    ] = 5.0,
    rounds: Annotated[int, typer.Option(min=0, envvar=_env("ROUNDS"), help="Of all faults; 0: until time is up.")] = 0,
    shuffle: Annotated[bool, typer.Option("--shuffle", envvar=_env("SHUFFLE"), help="Seeded random order.")] = False,
    overlap: Annotated[
        bool, typer.Option("--overlap", envvar=_env("OVERLAP"), help="Do not wait until the fleet is whole again.")
    ] = False,
    workloads: Annotated[
        str, typer.Option(envvar=_env("WORKLOADS"), help="Which clients share, of: lists, registers, bank, index.")
    ] = "lists,registers,bank,index",
    clients: Annotated[int, typer.Option(min=1, max=1000, envvar=_env("CLIENTS"), help="Besides the probes.")] = 8,
    rate: Annotated[
        float, typer.Option(min=0.1, envvar=_env("RATE"), help="Their transactions a second, together.")
    ] = 100.0,
    keys: Annotated[
        int, typer.Option(min=1, max=10_000, envvar=_env("KEYS"), help="Lists and registers; fewer conflict more.")
    ] = 16,
    probes: Annotated[int, typer.Option(min=1, max=100, envvar=_env("PROBES"), help="Readers, and writers.")] = 2,
    probe_rate: Annotated[float, typer.Option(min=0.1, envvar=_env("PROBE_RATE"), help="Of each, a second.")] = 20.0,
    deadline_seconds: Annotated[
        float, typer.Option(min=1, envvar=_env("DEADLINE_SECONDS"), help="For every answer; then: an error.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(min=0, envvar=_env("SEED"), help="Of the workload and the order.")] = 1,
    tolerate: Annotated[
        str, typer.Option(envvar=_env("TOLERATE"), help="Codes that are no failure: `57P01,lost,connect,deadline`.")
    ] = "",
    node_kill_command: Annotated[
        str, typer.Option(envvar=_env("NODE_KILL_COMMAND"), help="Ends a node: {node}, {zone} are filled in.")
    ] = "",
    node_start_command: Annotated[str, typer.Option(envvar=_env("NODE_START_COMMAND"), help="And starts it.")] = "",
    report: Annotated[
        list[Path] | None, typer.Option(envvar=_env("REPORT"), help="Also write it here: .json, .md, or text.")
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            envvar=_env("HISTORY"), help="Write every transaction of lists and registers here, a JSON a line."
        ),
    ] = None,
) -> None:
    """Break a running fleet under a checked workload; say whether anything was lost, torn, or away for long."""
    try:
        from tausql.chaos.driver import Target
    except ImportError as error:
        raise _refuse(f"{error}: install the extra `chaos`, as in: pip install 'tausql[chaos]'") from error
    from tausql.chaos.faults import Plan
    from tausql.chaos.report import as_text, write_report
    from tausql.chaos.run import TRANSACTIONS_MAX, Work

    if rate * seconds > TRANSACTIONS_MAX:
        raise _refuse(f"--rate times --seconds is above {TRANSACTIONS_MAX:,} transactions: too many to check")
    if kubernetes:
        backend, endpoints = _kubernetes(namespace, release, context, node_kill_command, node_start_command), endpoint
    else:
        backend, endpoints = _local(data.resolve(), endpoint)
    if not endpoints:
        raise _refuse("--endpoint host:port says where to connect")
    token = _token(token_file, None if kubernetes else data.resolve(), user)
    target = Target(tuple(endpoints), user, token, database, sslmode, sslrootcert)
    work = Work(clients, rate, keys, probes, probe_rate, deadline_seconds, seed, workloads)
    plan = Plan(each_seconds, hold_seconds, rounds, shuffle, overlap, seed)
    tolerated = frozenset(filter(None, (code.strip() for code in tolerate.split(","))))
    found, attempts = _execute(
        target, backend, faults, work, plan, seconds, tolerated, None if kubernetes else data.resolve()
    )
    if history is not None:
        write_history(attempts, history)
    for path in report or ():
        write_report(found, path)
    print(as_text(found), end="", flush=True)
    if not found.passed:
        raise typer.Exit(1)


def _kubernetes(namespace: str, release: str, context: str, kill: str, start: str) -> Backend:
    from tausql.chaos.faults import BackendError
    from tausql.chaos.kubernetes_api import connect
    from tausql.chaos.kubernetes_backend import KubernetesBackend

    if not namespace:
        namespace = POD_NAMESPACE.read_text().strip() if POD_NAMESPACE.exists() else "default"
    try:
        api = connect(namespace, context or None)
    except BackendError as error:
        raise _refuse(str(error)) from error
    return KubernetesBackend(api, release, _tell, kill, start)


def _local(folder: Path, endpoint: list[str] | None) -> tuple[Backend, list[str]]:
    from tausql.chaos.faults import BackendError
    from tausql.chaos.process_backend import ProcessBackend

    backend = ProcessBackend(folder)
    try:
        cluster = backend.cluster()
    except BackendError as error:
        raise _refuse(str(error)) from error
    return backend, endpoint or [f"{cluster.host}:{cluster.pg_port}"]


def _token(path: Path | None, folder: Path | None, user: str) -> str:
    """What was given, else one of the local fleet in `folder`, good for as long as any token: a run outlasts the
    minutes that tokens mostly have. Raises typer.Exit."""
    from tausql.local.reached import reached
    from tausql.local.tokens import endpoint_name, token_for

    try:
        if path is not None:
            return path.read_text().strip()
        fleet = None if folder is None else reached(folder, {})
    except (OSError, ValueError) as error:
        raise _refuse(f"no token: {error}") from error
    if fleet is None or not fleet.identifier:
        return os.environ.get("PGPASSWORD", "")
    return token_for(fleet.key, endpoint_name(fleet.identifier, fleet.region), fleet.region, user)


def _execute(
    target: Target,
    backend: Backend,
    faults: str,
    work: Work,
    plan: Plan,
    seconds: float,
    tolerated: frozenset[str],
    disk: Path | None,
) -> tuple[Report, list[Attempt]]:
    from tausql.chaos.driver import Dialler
    from tausql.chaos.faults import parse_faults
    from tausql.chaos.run import Run, Unprepared, choose_faults

    dialler = Dialler(target)
    try:
        with _stopped_by_signals() as stop:
            run = Run(dialler.dial, len(target.endpoints), backend, work, stop, _tell, disk=disk)
            chosen = choose_faults(backend, faults, parse_faults)
            return run.execute(chosen, plan, seconds, tolerated), run.attempts
    except Unprepared as error:
        raise _refuse(str(error)) from error
    finally:
        dialler.close()


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """The first Ctrl-C or SIGTERM ends the run early, with a report; what was stopped is woken up first."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_history(attempts: list[Attempt], path: Path) -> None:
    """One `checker.history.Attempt` a line."""
    import msgspec

    with path.open("wb") as file:
        for attempt in attempts:
            file.write(msgspec.json.encode(attempt) + b"\n")


def main() -> None:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(chaos)
    app()
