"""Registers, a bank, and an index beside its table: what they note, and that they find what is wrong."""

from __future__ import annotations

import threading

import pytest
from chaos_memory import CONFLICT, LOST, MemoryDatabase, MemorySession

from tausql.chaos.bank import ACCOUNTS, BALANCE
from tausql.chaos.faults import Plan
from tausql.chaos.judgement import history_violations
from tausql.chaos.report import as_text
from tausql.chaos.run import Run, Unprepared, Work
from tausql.chaos.sessions import ClientError
from tausql.chaos.workloads import NAMES, Bank, Indexed, Lists, Registers, Workload, choose_workloads

UNKNOWN = ClientError("40003", "unknown", usable=True)


def prepared(name: str, database: MemoryDatabase) -> Workload:
    (workload,) = choose_workloads(name, "t", 4, lambda: 0.0)
    for step in workload.prepare():
        step(MemorySession(database, True))
    return workload


def rounds(workload: Workload, database: MemoryDatabase, count: int, seed: int = 1) -> None:
    load = workload.client(0, seed)
    session = MemorySession(database, load.autocommit)
    for _ in range(count):
        try:
            load.run_round(session)
        except ClientError:
            session.rollback()


def last_word(workload: Workload, database: MemoryDatabase) -> list[str]:
    return workload.read_back(MemorySession(database, False), 0) + workload.seen()


@pytest.mark.parametrize("name", NAMES)
def test_on_a_sound_database_nothing_is_wrong_and_all_is_counted(name: str) -> None:
    database = MemoryDatabase()
    workload = prepared(name, database)
    rounds(workload, database, 200)
    assert last_word(workload, database) == []
    assert workload.counts().acknowledged >= 200
    assert workload.counts()[1:] == (0, 0)


@pytest.mark.parametrize("name", ["registers", "bank", "index"])
@pytest.mark.parametrize(("error", "counted"), [(CONFLICT, 1), (LOST, 2), (UNKNOWN, 2)])
def test_an_error_at_commit_is_counted_as_what_it_says(name: str, error: ClientError, counted: int) -> None:
    database = MemoryDatabase()
    workload = prepared(name, database)
    rounds(workload, database, 50)
    database.at_commit = lambda: (error, True)
    rounds(workload, database, 50, seed=2)
    assert workload.counts()[counted] > 5
    assert workload.counts()[3 - counted] == 0


def test_registers_and_lists_are_one_history() -> None:
    lists, registers = choose_workloads("lists,registers", "t", 4, lambda: 0.0)
    assert isinstance(lists, Lists)
    assert isinstance(registers, Registers)
    assert lists.ledger.attempts is registers.ledger.attempts
    database = MemoryDatabase()
    for workload in (lists, registers):
        for step in workload.prepare():
            step(MemorySession(database, True))
        rounds(workload, database, 30)
    assert len(lists.ledger.attempts) == 60
    assert [len(lists.ledger.mine), len(registers.ledger.mine)] == [30, 30]
    assert history_violations(lists.ledger.attempts) == []


def test_a_register_that_forgets_is_found_out() -> None:
    database = MemoryDatabase()
    workload = prepared("registers", database)
    assert isinstance(workload, Registers)
    workload.ledger.clock = iter(range(10_000)).__next__
    rounds(workload, database, 20)
    database.forgets = lambda: True
    rounds(workload, database, 20)
    last_word(workload, database)
    (violation,) = history_violations(workload.ledger.attempts)
    assert violation.startswith(("lost update", "stale read"))


def test_money_out_of_nothing_is_found_out() -> None:
    database = MemoryDatabase()
    workload = prepared("bank", database)
    assert isinstance(workload, Bank)
    assert len(database.tables[workload.table]) == ACCOUNTS
    database.tables[workload.table][3] = (BALANCE + 1,)
    rounds(workload, database, 20)
    (first, *_) = last_word(workload, database)
    assert first.startswith("bank: wrong total")


def test_an_overdrawn_account_is_found_out() -> None:
    database = MemoryDatabase()
    workload = prepared("bank", database)
    database.tables[workload.table][3] = (-5,)
    database.tables[workload.table][4] = (2 * BALANCE + 5,)
    (violation,) = workload.read_back(MemorySession(database, False), 0)
    assert "lost update" in violation


def test_an_index_that_lacks_a_row_is_found_out() -> None:
    database = MemoryDatabase()
    workload = prepared("index", database)
    assert isinstance(workload, Indexed)
    rounds(workload, database, 100)
    assert last_word(workload, database) == []
    database.index_shows = 1
    assert "index and table differ" in last_word(workload, database)[0]


def test_an_index_that_is_not_built_yet_is_awaited() -> None:
    database = MemoryDatabase()
    (workload,) = choose_workloads("index", "t", 4, lambda: 0.0)
    create, _, built = workload.prepare()
    session = MemorySession(database, True)
    create(session)
    with pytest.raises(ClientError, match="not built yet"):
        built(session)


@pytest.mark.parametrize(("text", "said"), [("list", "there is no workload 'list'"), ("", "choose a workload")])
def test_unknown_workloads_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        choose_workloads(text, "t", 4, lambda: 0.0)
    work = Work(workloads=text)
    with pytest.raises(Unprepared, match=said):
        Run(MemoryDatabase().dial, 1, None, work, threading.Event(), lambda _: None)


def test_all_workloads_run_beside_each_other() -> None:
    database = MemoryDatabase()
    work = Work(8, 800.0, 6, 1, 100.0, 5.0, 1, ",".join(NAMES))
    run = Run(database.dial, 1, None, work, threading.Event(), lambda _: None)
    report = run.execute([], Plan(), 0.5)
    assert report.passed, as_text(report)
    assert [load.load for load in report.loads] == [*NAMES, "inserts", "reads"]
    assert all(load.acknowledged for load in report.loads)
    assert database.tables == {}
