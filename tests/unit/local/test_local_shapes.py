"""Shapes, ports and the environment of a local fleet."""

from __future__ import annotations

import os
import socket

import msgspec
import pytest

from tausql.control.settings import ControlSettings
from tausql.local import environment, up
from tausql.local.cluster import PORTS, Cluster, alive, assign_ports, load, port_free
from tausql.local.shapes import Place, Ports, Shape, fleet_of, places, planned_of
from tausql.local.up import StartError, Wishes, up_fleet
from tausql.processor.settings import ProcessorSettings
from tausql.protocol.fleet import SERVICES
from tausql.sql.dialect import Dialect


def ports_of(made: list[Place]) -> dict[str, Ports]:
    return {place.name: Ports(1000 + number, 2000 + number, 3000 + number) for number, place in enumerate(made)}


@pytest.mark.parametrize("shape", list(Shape))
def test_every_service_is_somewhere(shape: Shape) -> None:
    made = places(shape, 3)
    assert {service for place in made for service in place.services} == set(SERVICES)
    assert len({place.name for place in made}) == len(made)


def test_separate_and_packed_have_the_same_members() -> None:
    def members(shape: Shape) -> set[tuple[str, str]]:
        made = places(shape, 3)
        fleet = fleet_of(made, ports_of(made), "127.0.0.1")
        return {(service, member.name) for service in SERVICES for member in fleet.of(service)}

    assert members(Shape.separate) == members(Shape.packed)


def test_a_journal_and_a_storage_in_every_zone_and_two_to_decide() -> None:
    made = places(Shape.packed, 3)
    fleet = fleet_of(made, ports_of(made), "127.0.0.1")
    assert [member.zone for member in fleet.journal] == ["a", "b", "c"]
    assert [member.zone for member in fleet.storage] == ["a", "b", "c"]
    assert len(fleet.adjudicator) == len(fleet.crossbar) == 2
    # A process that starts later must not undo what control wants by now.
    assert (fleet.streams, fleet.placement, fleet.preferred, fleet.shards) == (0, (), {}, ())
    assert msgspec.json.decode(msgspec.json.encode(fleet), type=type(fleet)) == fleet


@pytest.mark.parametrize("shape", list(Shape))
def test_control_runs_once_and_is_told_where_to_ask(shape: Shape) -> None:
    made = places(shape, 3)
    ports = ports_of(made)
    (home,) = [place for place in made if "control" in place.services]
    assert "frontend" not in home.services or shape is Shape.single
    planned = planned_of(made, ports, "127.0.0.1", 3, 1 << 20)
    assert planned.control == f"127.0.0.1:{ports[home.name].rpc}"
    fleet = fleet_of(made, ports, "127.0.0.1")
    assert planned.statuses.keys() == {one.name for one in (*fleet.adjudicator, *fleet.storage)}


@pytest.mark.parametrize("shape", list(Shape))
def test_further_storages_are_processes_of_their_own(shape: Shape) -> None:
    made = places(shape, 3, storages=2)
    fleet = fleet_of(made, ports_of(made), "127.0.0.1")
    zones = "a" if shape is Shape.single else "abc"
    assert [one.name for one in fleet.storage] == [
        *(f"storage-{zone}" for zone in zones),
        *(f"storage-{zone}-2" for zone in zones),
    ]
    assert len({one.address for one in fleet.storage}) == len(fleet.storage)
    assert {place.services for place in made if place.number == 2} == {("storage",)}


def test_those_with_control_are_told_what_to_plan_and_the_others_where_it_is(tmp_path, monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("TAUSQL_")]:
        monkeypatch.delenv(name)
    made = places(Shape.packed, 3, storages=2)
    ports = ports_of(made)
    planned = planned_of(made, ports, "127.0.0.1", 3, 1 << 20)
    cluster = Cluster("packed", 3, "127.0.0.1", 5432, 8080, 0, [])
    told = {
        place: environment.for_process(tmp_path, cluster, Shape.packed, place, ports[place.name], planned)
        for place in made
    }
    assert all(one["TAUSQL_FLEET"] == str(tmp_path / "fleet.json") for one in told.values())
    (home,) = [place for place in made if "control" in place.services]
    assert {one.get("TAUSQL_CONTROL") for place, one in told.items() if place != home} == {planned.control}
    assert "TAUSQL_CONTROL" not in told[home]
    for name, value in told[home].items():
        monkeypatch.setenv(name, value)
    settings = ControlSettings()
    assert (settings.streams, settings.shard_bytes) == (3, 1 << 20)
    assert settings.status_addresses == planned.statuses


@pytest.mark.parametrize("links", [False, True])
def test_only_those_whose_links_may_be_cut_look_for_rules(tmp_path, monkeypatch, links: bool) -> None:
    for name in [name for name in os.environ if name.startswith("TAUSQL_")]:
        monkeypatch.delenv(name)
    made = places(Shape.packed, 3)
    ports = ports_of(made)
    planned = planned_of(made, ports, "127.0.0.1", 2, 1 << 20)
    cluster = Cluster("packed", 3, "127.0.0.1", 5432, 8080, 0, [], links=links)
    for place in made:
        told = environment.for_process(tmp_path, cluster, Shape.packed, place, ports[place.name], planned)
        assert told.get("TAUSQL_LINKS") == (str(tmp_path / "links.json") if links else None)


def test_switches_reach_the_processors(tmp_path, monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("TAUSQL_")]:
        monkeypatch.delenv(name)
    made = places(Shape.packed, 1)
    ports = ports_of(made)
    planned = planned_of(made, ports, "127.0.0.1", 1, 1 << 20)
    cluster = Cluster("packed", 1, "127.0.0.1", 5432, 8080, 0, [], switches=["extensions", "testing"])
    told = environment.for_process(tmp_path, cluster, Shape.packed, made[0], ports[made[0].name], planned)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert ProcessorSettings().sql_dialect == Dialect(extensions=True, testing=True)


def test_fewer_storages_than_the_data_lies_with_are_refused(tmp_path) -> None:
    Cluster("packed", 3, "127.0.0.1", 5432, 8080, 0, [], storages=2).save(tmp_path)
    with pytest.raises(StartError, match="use --storages 2"):
        up_fleet(tmp_path, Wishes(zones=3))


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


def test_cluster_file_of_a_fleet_without_clusters_of_its_own_is_read(tmp_path) -> None:
    old = {"shape": "packed", "zones": 3, "host": "127.0.0.1", "pg_port": 5432, "http_port": 8080, "supervisor": 0}
    (tmp_path / "cluster.json").write_bytes(msgspec.json.encode({**old, "processes": [], "storages": 1}))
    found = load(tmp_path)
    assert found is not None
    assert (found.region, found.api_port, found.websocket_port, found.identifier) == ("us-east-1", 8081, 0, "")


def test_cluster_file_of_somebody_else_is_refused(tmp_path) -> None:
    (tmp_path / "cluster.json").write_text("[]")
    with pytest.raises(ValueError, match="not a cluster file"):
        load(tmp_path)


def test_alive_knows_the_living() -> None:
    assert alive(os.getpid())
    assert not alive(0)


def test_what_is_exported_is_quoted_for_a_shell() -> None:
    lines = environment.export_lines({"PGSSLMODE": "verify-full", "PGPASSWORD": "it's a?b&c"})
    assert "export PGSSLMODE=verify-full" in lines
    assert """export PGPASSWORD='it'"'"'s a?b&c'""" in lines


def test_control_is_told_the_first_key_and_where_to_serve(tmp_path, monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("TAUSQL_")]:
        monkeypatch.delenv(name)
    made = places(Shape.packed, 3)
    ports = ports_of(made)
    assert fleet_of(made, ports, "127.0.0.1", "eu-west-1").region == "eu-west-1"
    planned = planned_of(made, ports, "127.0.0.1", 1, 1 << 20)
    cluster = Cluster("packed", 3, "127.0.0.1", 5432, 8080, 0, [], api_port=9000, websocket_port=443)
    for place in made:
        told = environment.for_process(tmp_path, cluster, Shape.packed, place, ports[place.name], planned)
        assert told["TAUSQL_FRONTEND_SNI"] == "optional"
        assert told["TAUSQL_FRONTEND_WEBSOCKET_LISTEN"] == "127.0.0.1:443"
        with monkeypatch.context() as patched:
            for name, value in told.items():
                patched.setenv(name, value)
            settings = ControlSettings()
        if "control" in place.services:
            assert settings.api_listen == "127.0.0.1:9000"
            assert settings.credentials_file == str(tmp_path / "credentials.json")
            assert settings.fleet_key_file == str(tmp_path / "fleet.key")
        else:
            assert settings.api_listen == settings.credentials_file == ""


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        (Wishes(pg_port=8081), "--pg-port and --api-port are both 8081"),
        (Wishes(api_port=9, websocket_port=9), "--api-port and --websocket-port are both 9"),
    ],
)
def test_a_port_is_for_one_thing(tmp_path, wishes: Wishes, told: str, monkeypatch) -> None:
    monkeypatch.setattr("tausql.local.up.port_free", lambda host, port: True)
    with pytest.raises(StartError, match=told):
        up_fleet(tmp_path, wishes)


def test_the_port_for_websockets_is_443_where_that_can_be_had(monkeypatch) -> None:
    free = True
    monkeypatch.setattr("tausql.local.up.port_free", lambda host, port: port != 443 or free)
    assert up._check_ports(Wishes()) == 443
    assert up._check_ports(Wishes(websocket_port=0)) == 0
    assert up._check_ports(Wishes(pg_port=443)) == 0
    free = False
    assert up._check_ports(Wishes()) == 0
    with pytest.raises(StartError, match=r"port 443 of 127\.0\.0\.1 is in use: choose another with --websocket-port"):
        up._check_ports(Wishes(websocket_port=443))
