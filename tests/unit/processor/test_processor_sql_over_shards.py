"""SQL over several streams and shards: tables, indexes built under way, and rows far from their entries."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows
from processor_fleet import TestFleet

from tausql.protocol.keys import relation_prefix
from tausql.protocol.placing import FIRST_CLUSTER, FIRST_RELATION, default_placement


def spread(seed: int = 1) -> TestFleet:
    """The catalogue at the first replica, the first table at the second, its index and the rest at the third; in other
    zones otherwise. Streams as in a fleet that nobody has tuned."""
    fleet = TestFleet(seed, streams=3, storages="aaabb")
    for placed in default_placement(3):
        fleet.adjudicators[placed.stream].own((placed.low, placed.high))
    cuts = [relation_prefix(FIRST_CLUSTER, FIRST_RELATION + number) for number in (0, 1)]
    fleet.storages[0].serve((b"", cuts[0]))
    fleet.storages[1].serve((cuts[0], cuts[1]))
    fleet.storages[2].serve((cuts[1], b""))
    fleet.storages[3].serve((b"", cuts[1]))
    fleet.storages[4].serve((cuts[1], b""))
    fleet.run(0.1)
    return fleet


def done(client: Client, sql: str) -> None:
    """Run it, again where it met a batch of the index build."""
    for _ in range(20):
        answer = client.query(sql)
        if [code for code, _ in errors(answer)] != ["40001"]:
            break
    assert not errors(answer), errors(answer)


@pytest.mark.parametrize("unique", ["", "UNIQUE "])
@pytest.mark.parametrize("seed", range(3))
def test_an_index_is_built_over_streams_and_shards(seed: int, unique: str) -> None:
    fleet = spread(seed)
    client = Client(fleet)
    done(client, "CREATE TABLE things (id int PRIMARY KEY, grp int, note text)")
    values = ", ".join(f"({number}, {(number * 7) % 300}, 'note {number}')" for number in range(300))
    done(client, f"INSERT INTO things VALUES {values}")
    answer = client.query(f"CREATE {unique}INDEX ASYNC things_grp ON things (grp)")
    ((job,),) = rows(answer)
    done(client, "UPDATE things SET grp = grp + 1000 WHERE id % 50 = 3")
    done(client, "DELETE FROM things WHERE id = 77")
    answer = client.query(f"CALL sys.wait_for_job('{job}')")
    assert not errors(answer), errors(answer)
    assert rows(client.query("SELECT id, note FROM things WHERE grp = 14")) == [("2", "note 2")]
    expected = sorted(
        (number * 7 % 300 + (1000 if number % 50 == 3 else 0), number) for number in range(300) if number != 77
    )
    found = rows(client.query("SELECT grp, id, note FROM things WHERE grp >= 0 ORDER BY grp LIMIT 299"))
    assert [(int(grp or 0), int(key or 0)) for grp, key, _ in found] == expected
    found = rows(client.query("SELECT id FROM things WHERE grp > 100 AND note LIKE '%1' ORDER BY grp DESC LIMIT 5"))
    wanted = [str(key) for grp, key in reversed(expected) if grp > 100 and str(key).endswith("1")]
    assert [key for (key,) in found] == wanted[:5]
    metrics = fleet.processor.metrics
    assert metrics.rows_elsewhere > 0
    assert metrics.commit_streams["2"] + metrics.commit_streams["3"] > 0
    assert metrics.not_here == 0
    assert {part.stream for request in fleet.adjudicators[0].requests for part in request.parts} == {1, 2}


def test_schema_changes_are_voted_by_all_and_data_by_its_owners() -> None:
    fleet = spread()
    client = Client(fleet)
    done(client, "CREATE TABLE one (id int PRIMARY KEY)")
    done(client, "CREATE TABLE two (id int PRIMARY KEY)")
    before = [len(adjudicator.requests) for adjudicator in fleet.adjudicators]
    done(client, "INSERT INTO two VALUES (1)")
    done(client, "BEGIN")
    done(client, "INSERT INTO one VALUES (1)")
    done(client, "INSERT INTO two VALUES (2)")
    done(client, "COMMIT")
    after = [len(adjudicator.requests) for adjudicator in fleet.adjudicators]
    assert sum(after) - sum(before) == 2
    assert rows(client.query("SELECT one.id, two.id FROM one, two ORDER BY 2")) == [("1", "1"), ("1", "2")]
    done(client, "CREATE TABLE three (id int PRIMARY KEY)")
    assert [part.stream for part in fleet.adjudicators[0].requests[-1].parts] == [1, 2]
