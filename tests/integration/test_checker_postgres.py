"""The checker on a database that nobody here has written: it must hold where PostgreSQL promises snapshots, and fail
where it does not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import msgspec
import psycopg
import pytest
from loadtest.postgres import single_postgres

from tausql.chaos.driver import Dialler, Target
from tausql.chaos.lists import Ledger
from tausql.chaos.sessions import ClientError
from tausql.chaos.workloads import Lists, Registers
from tausql.checker.anomaly import Anomaly
from tausql.checker.check import check_history
from tausql.checker.history import Attempt

from .waiting import until

pytestmark = [pytest.mark.timeout(120)]

CLIENTS, TRANSACTIONS, ROUNDS_MAX = 6, 100, 10


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with single_postgres() as running:
        until(lambda: _answers(running), "PostgreSQL answers")
        yield running


def _answers(port: int) -> bool:
    try:
        psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@contextlib.contextmanager
def dialled(port: int, isolation: str) -> Iterator[Dialler]:
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(f"ALTER ROLE postgres SET default_transaction_isolation = '{isolation}'")
    dialler = Dialler(Target((f"127.0.0.1:{port}",), "postgres", "", "postgres", "disable"))
    try:
        yield dialler
    finally:
        dialler.close()


def one_round(dialler: Dialler, kind: type[Lists] | type[Registers], number: int) -> list[Attempt]:
    """What clients see that work on a few keys of a table of their own, and in the end what is there."""
    workload = kind(Ledger(f"{kind.name}_{number}", 4))
    setup = dialler.dial(0, True, 10.0)
    setup.execute(f"DROP TABLE IF EXISTS {workload.table}")
    for step in workload.prepare():
        step(setup)
    setup.close()

    def client(at: int) -> None:
        load = workload.client(at, 100 * number + at)
        session = dialler.dial(0, load.autocommit, 10.0)
        for _ in range(TRANSACTIONS):
            try:
                load.run_round(session)
            except ClientError:
                session.rollback()
        session.close()

    threads = [threading.Thread(target=client, args=(at,)) for at in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    final = dialler.dial(0, False, 10.0)
    workload.read_back(final, 0)
    final.close()
    return [_without_locks(attempt) for attempt in workload.ledger.attempts]


def _without_locks(attempt: Attempt) -> Attempt:
    """A row that another transaction had only locked can be written on an older snapshot here, once it has let go."""
    operations = [msgspec.structs.replace(operation, shared=False) for operation in attempt.operations]
    return msgspec.structs.replace(attempt, operations=operations)


@pytest.mark.parametrize("kind", [Lists, Registers])
def test_repeatable_read_holds(port: int, kind: type[Lists] | type[Registers]) -> None:
    with dialled(port, "repeatable read") as dialler:
        for number in range(3):
            attempts = one_round(dialler, kind, number)
            assert sum(attempt.status == "ok" for attempt in attempts) > TRANSACTIONS
            check_history(attempts, uncommitted_reads=True)


@pytest.mark.parametrize("kind", [Lists, Registers])
def test_read_committed_fails_within_a_few_rounds(port: int, kind: type[Lists] | type[Registers]) -> None:
    with dialled(port, "read committed") as dialler:
        for number in range(ROUNDS_MAX):
            try:
                check_history(one_round(dialler, kind, number))
            except Anomaly as anomaly:
                print(anomaly)
                return
    raise AssertionError(f"{ROUNDS_MAX} rounds at READ COMMITTED and nothing found")
