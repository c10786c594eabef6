"""Shapes, ports and the environment of a local fleet."""

from __future__ import annotations

import os
import socket

import msgspec
import pytest

from tausql.local import environment
from tausql.local.cluster import PORTS, Cluster, alive, assign_ports, load, port_free
from tausql.local.shapes import ORDER, Place, Ports, Shape, fleet_of, places


def ports_of(made: list[Place]) -> dict[str, Ports]:
    return {place.name: Ports(1000 + number, 2000 + number, 3000 + number) for number, place in enumerate(made)}


@pytest.mark.parametrize("shape", list(Shape))
def test_every_service_is_somewhere(shape: Shape) -> None:
    made = places(shape, 3)
    assert {service for place in made for service in place.services} == set(ORDER)
    assert len({place.name for place in made}) == len(made)


def test_separate_and_packed_have_the_same_members() -> None:
    def members(shape: Shape) -> set[tuple[str, str]]:
        made = places(shape, 3)
        fleet = fleet_of(made, ports_of(made), "127.0.0.1", 1)
        return {(service, member.name) for service in ORDER for member in fleet.of(service)}

    assert members(Shape.separate) == members(Shape.packed)


def test_a_journal_and_a_storage_in_every_zone_and_two_to_decide() -> None:
    made = places(Shape.packed, 3)
    fleet = fleet_of(made, ports_of(made), "127.0.0.1", 2)
    assert [member.zone for member in fleet.journal] == ["a", "b", "c"]
    assert [member.zone for member in fleet.storage] == ["a", "b", "c"]
    assert len(fleet.adjudicator) == len(fleet.crossbar) == 2
    assert fleet.streams == 2
    assert msgspec.json.decode(msgspec.json.encode(fleet), type=type(fleet)) == fleet


def test_frontend_is_built_after_its_processor() -> None:
    for place in places(Shape.packed, 3):
        if "frontend" in place.services:
            assert place.services.index("processor") < place.services.index("frontend")


def test_ports_are_kept_where_they_are_free(tmp_path) -> None:
    made = places(Shape.packed, 3)
    first = assign_ports(made, None, "127.0.0.1", 12345)
    assert all(ports.rpc in PORTS for ports in first.values())
    used = [port for ports in first.values() for port in ports if port]
    assert len(set(used)) == len(used)
    cluster = Cluster("packed", 3, "127.0.0.1", 5432, 12345, 0, [])
    cluster.save(tmp_path)
    assert load(tmp_path) == cluster
    assert load(tmp_path / "nowhere") is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert not port_free("127.0.0.1", taken.getsockname()[1])


def test_cluster_file_of_somebody_else_is_refused(tmp_path) -> None:
    (tmp_path / "cluster.json").write_text("[]")
    with pytest.raises(ValueError, match="not a cluster file"):
        load(tmp_path)


def test_alive_knows_the_living() -> None:
    assert alive(os.getpid())
    assert not alive(0)


def test_client_environment_has_what_libpq_needs(tmp_path) -> None:
    environment.password_file(tmp_path).write_text("it's secret\n")
    cluster = Cluster("packed", 3, "127.0.0.1", 5433, 8081, 0, [])
    settings = environment.for_client(tmp_path, cluster)
    assert settings["PGPORT"] == "5433"
    assert settings["PGPASSWORD"] == "it's secret"
    lines = environment.export_lines(settings)
    assert "export PGSSLMODE=require" in lines
    assert """export PGPASSWORD='it'"'"'s secret'""" in lines
