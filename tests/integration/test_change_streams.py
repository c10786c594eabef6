"""A change stream of a real fleet: made over the API, delivered to a file, at least once whatever dies meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from loadtest.tausql_fleet import Fleet, running_fleet

from tausql.local.api import Api

from .sessions import session
from .under_load import kill
from .waiting import until

pytestmark = pytest.mark.fleet

TARGET = {
    "kinesis": {
        "streamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/changes",
        "roleArn": "arn:aws:iam::000000000000:role/changes",
    }
}


class ChangeStream:
    """One of the first cluster's. `records` are all that have arrived."""

    def __init__(self, fleet: Fleet) -> None:
        found = fleet.reached
        self._api = Api(found.api, found.key, found.region)
        wanted = {"targetDefinition": TARGET, "ordering": "UNORDERED", "format": "JSON"}
        made = self._api.call("POST", f"/stream/{found.identifier}", body=wanted)
        self._path = f"/stream/{found.identifier}/{made['streamIdentifier']}"
        self._file = fleet.folder / "streams" / f"{made['streamIdentifier']}.ndjson"
        until(lambda: self.status == "ACTIVE", "an active stream")

    @property
    def status(self) -> str:
        return str(self._api.call("GET", self._path)["status"])

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []

    def delete(self) -> None:
        self._api.call("DELETE", self._path)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet("separate") as running:
        yield running


def test_changes_arrive_as_they_were_made_and_none_is_missed_when_processes_die(fleet: Fleet) -> None:
    with session(fleet) as connection:
        connection.execute("CREATE TABLE watched (id int PRIMARY KEY, name text)")
        connection.execute("INSERT INTO watched VALUES (0, 'before')")
        stream = ChangeStream(fleet)
        connection.execute("INSERT INTO watched VALUES (1, 'a'), (2, 'b')")
        connection.execute("UPDATE watched SET name = 'c' WHERE id = 1")
        connection.execute("DELETE FROM watched WHERE id = 2")
        connection.execute("ALTER TABLE watched RENAME COLUMN name TO label")
        connection.execute("INSERT INTO watched VALUES (3, 'd')")
        until(lambda: len(stream.records) >= 5, "five records")
        told = [(one["op"], one.get("before", one.get("after"))) for one in stream.records]
        assert told == [
            ("c", {"id": 1, "name": "a"}),
            ("c", {"id": 2, "name": "b"}),
            ("u", {"id": 1, "name": "c"}),
            ("d", {"id": 2}),
            ("c", {"id": 3, "label": "d"}),
        ]
        for number, victim in enumerate(("changefeed-c", "crossbar-a", "control-c", "changefeed-c")):
            kill(fleet, victim)
            for id_ in range(100 + number * 10, 110 + number * 10):
                connection.execute("INSERT INTO watched VALUES (%s, 'e')", [id_])
        wanted = set(range(100, 140))
        until(lambda: wanted <= {one["after"]["id"] for one in stream.records if one["op"] in "cu"}, "every insert")
        assert 0 not in {one["after"]["id"] for one in stream.records if "after" in one}
        assert stream.status == "ACTIVE"
        stream.delete()
