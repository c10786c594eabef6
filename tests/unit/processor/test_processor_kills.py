"""A processor dies at every message of what it says, and its client is never told a lie."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from processor_client import Client, add_table, errors, items, rows, status, tags
from processor_fleet import TestFleet
from processor_relayed import Relayed, in_loop

from tausql.pgwire import client
from tausql.pgwire.client import ReadyForQuery
from tausql.pgwire.notes import NOTE


class Script(NamedTuple):
    """What a client does once connected: `before` runs undisturbed, `asked` is cut. `readies`: that `asked` is due."""

    before: tuple[str, ...]
    asked: tuple[bytes, ...]
    readies: int = 1


def execute(sql: str, name: str = "") -> bytes:
    return client.parse(sql, name) + client.bind([], statement=name) + client.describe_portal() + client.execute()


INSERT = "INSERT INTO items VALUES (7, 1, 'seven')"
RETURNING = INSERT + " RETURNING id, note"
_DATA = client.copy_data(b"8\t1\t" + b"x" * 100_000 + b"\n7\t1\tseven\n") + client.COPY_DONE
_PIECES = (_DATA[:40_000], _DATA[40_000:80_000], _DATA[80_000:])
_LARGE = client.query(f"{INSERT}, (8, 1, '{'x' * 100_000}')")
SCRIPTS = {
    "simple": Script((), (client.query(INSERT),)),
    "simple returning": Script((), (client.query(RETURNING),)),
    "several statements": Script((), (client.query(f"SELECT 1; {INSERT}; SELECT 2"),)),
    "commit within a string": Script((), (client.query(f"BEGIN; {INSERT}; COMMIT; SELECT count(*) FROM items"),)),
    "extended": Script((), (execute(RETURNING) + client.SYNC,)),
    "extended and named": Script((), (execute(RETURNING, "mine") + client.SYNC,)),
    "extended in pieces": Script((), (execute(RETURNING) + client.FLUSH, client.SYNC)),
    "pipelined": Script(
        (), (execute("SELECT 1") + client.SYNC + execute(RETURNING) + client.SYNC, execute("SELECT 2") + client.SYNC), 3
    ),
    "block": Script(("BEGIN", INSERT), (client.query("COMMIT"),)),
    "block, extended": Script(("BEGIN", INSERT), (execute("COMMIT") + client.SYNC,)),
    "statement within a block": Script(("BEGIN",), (client.query(INSERT),)),
    "commit in a pipeline": Script(("BEGIN", INSERT), (execute("COMMIT") + execute("SELECT 5") + client.SYNC,)),
    "copy": Script((), (client.query("COPY items FROM STDIN"), client.copy_data(b"7\t1\tseven\n"), client.COPY_DONE)),
    "large copy": Script((), (client.query("COPY items FROM STDIN"), *_PIECES)),
    "large statement": Script((), (_LARGE[:40_000], _LARGE[40_000:80_000], _LARGE[80_000:])),
    "settings": Script((), (client.query(f"BEGIN; SET TimeZone = 'Asia/Tokyo'; {INSERT}; COMMIT"),)),
    "read": Script((), (client.query("SELECT id, note FROM items"),)),
}


def fresh() -> TestFleet:
    fleet = TestFleet(processors=2)
    add_table(fleet, items())
    fleet.adjudicators[0].decides = True
    return fleet


def play(relayed: Relayed, script: Script, killed_after: int = -1) -> list[Any]:
    for at, data in enumerate(script.asked):
        relayed.send(data)
        if at == killed_after:
            relayed.run(0.01)
            relayed.wire.dead = True
            relayed.wire.end()
        elif at == 0 and b"COPY" in data:
            relayed.run(0.01)  # a client waits for CopyInResponse
    return relayed.answered(script.readies)


def said_of(script: Script) -> tuple[int, bytes]:
    """What the processor says to `script` undisturbed: (bytes before it, the bytes)."""
    relayed = begun(script)
    start = len(relayed.wire.said)
    play(relayed, script)
    return start, relayed.wire.said[start:]


def begun(script: Script, proven: bool = False) -> Relayed:
    relayed = Relayed(fresh(), proven)
    for sql in ("SET application_name = 'script'", *script.before):
        relayed.send(client.query(sql))
        relayed.answered()
    relayed.send(client.parse("SELECT $1::int + 1", "kept"), client.SYNC)
    relayed.answered()
    return relayed


def cuts(said: bytes) -> list[tuple[int, bool]]:
    """Every message's and note's end, and places within each: (place, whether the processor dies right there, or only
    when it would say more)."""
    places = [(0, True), (0, False)]
    at = 0
    while at < len(said):
        length = int.from_bytes(said[at + 1 : at + 5], "big")
        end = at + 1 + length
        if said[at] == NOTE:
            end = at + 9 + int.from_bytes(said[at + 5 : at + 9], "big")
        places += [(at + 1, True), (end - 1, True), (end, True), (end, False)]
        at = end
    return sorted(set(places))


def check(relayed: Relayed, script: Script, messages: list[Any], clean: bool) -> None:
    """What the client was told is what is there, and its session goes on."""
    fleet = relayed.fleet
    relayed.run(0.1)  # what the dead one still had under way comes to nothing
    told = errors(messages)
    there = rows(Client(fleet, 1).query("SELECT note FROM items WHERE id = 7")) == [("seven",)]
    readies = sum(isinstance(one, ReadyForQuery) for one in messages)
    codes = {code for code, _ in told}
    assert codes <= {"40001", "40003"}
    if clean:
        assert "40003" not in codes
    if relayed.out.closed:  # in the middle of a message: nothing was claimed
        assert readies < script.readies
        return
    assert readies == script.readies
    assert len(told) <= (1 if clean else script.readies)
    wanted = "INSERT" in repr(script)
    commits = {"COMMIT", "INSERT 0 1", "COPY 1"} & set(tags(messages))
    in_block = bool(script.before) and b"COMMIT" not in script.asked[0]
    if not told and (wanted or "COPY" in repr(script)) and not in_block:
        assert there
    if "COPY" in repr(script) and not clean and told and told[0][0] == "40003":
        assert b"".join(script.asked).endswith(client.COPY_DONE)
    if told and told[0][0] == "40001" and not commits:
        assert not there
    if in_block:
        assert not there
    if status(messages) != "I":
        relayed.send(client.query("ROLLBACK"))
        assert tags(relayed.answered()) == ["ROLLBACK"]
    relayed.send(client.bind([b"41"], statement="kept"), client.execute(), client.SYNC)
    assert rows(relayed.answered()) == [("42",)]
    relayed.send(client.query("SHOW application_name"))
    assert rows(relayed.answered()) == [("script",)]
    relayed.send(client.query("SHOW TimeZone"))
    zone = rows(relayed.answered())
    assert zone == [("Asia/Tokyo" if "TimeZone" in repr(script) and there else "UTC",)]


ENDS = [(name, end) for name in SCRIPTS for end in ("killed", "broken")]
PROVEN = [(name, "broken but proven") for name in ("simple", "block", "commit within a string")]


@pytest.mark.parametrize(("name", "end"), ENDS + PROVEN)
def test_killed_at_every_message(name: str, end: str) -> None:
    script = SCRIPTS[name]

    def body() -> None:
        start, said = said_of(script)
        moved = 0
        for place, at_once in cuts(said):
            relayed = begun(script, proven=end == "broken but proven")
            wire = relayed.wire
            wire.dies_at, wire.at_once, wire.clean = start + place, at_once, end == "killed"
            if place == 0 and at_once:
                wire.dead = True
                wire.end()  # before it was asked
            messages = play(relayed, script)
            check(relayed, script, messages, clean=end != "broken")
            moved += len(relayed.moves)
        assert moved

    in_loop(body)


@pytest.mark.parametrize("name", [name for name, script in SCRIPTS.items() if len(script.asked) > 1])
@pytest.mark.parametrize("end", ["killed", "broken"])
def test_killed_between_the_pieces_of_a_request(name: str, end: str) -> None:
    script = SCRIPTS[name]

    def body() -> None:
        for piece in range(len(script.asked)):
            relayed = begun(script)
            relayed.wire.clean = end == "killed"
            messages = play(relayed, script, killed_after=piece)
            check(relayed, script, messages, clean=end == "killed")
            assert len(relayed.moves) == 1

    in_loop(body)


WRITES = tuple(f"INSERT INTO items VALUES ({number}, 1, 'seven')" for number in (7, 8, 9))


@pytest.mark.parametrize("proven", [False, True])
def test_a_pipeline_whose_answers_a_reset_has_thrown_away(proven: bool) -> None:
    """Its processor went on with it: what is told of each request is what has become of it."""
    script = Script((), (b"".join(client.query(sql) for sql in WRITES),), 3)

    def body() -> None:
        start, said = said_of(script)
        for place, _ in cuts(said):
            relayed = begun(script)
            wire = relayed.wire
            wire.dies_at, wire.deaf, wire.clean = start + place, True, False
            relayed.send(script.asked[0])
            relayed.run(1.0)
            relayed.proven = proven and relayed.session.told.commits == len(WRITES)  # a witness has heard of all
            wire.dead = True
            wire.end()
            messages = relayed.answered(3) if not relayed.out.closed else relayed.take()
            there = rows(Client(relayed.fleet, 1).query("SELECT id FROM items WHERE id > 6 ORDER BY id"))
            assert there == [("7",), ("8",), ("9",)]
            codes = {code for code, _ in errors(messages)}
            assert codes <= {"40003"}, "none is told that nothing happened, or run again into its own row"

    in_loop(body)
