from __future__ import annotations

from dataclasses import replace as changed

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.control.control_objects import NAMESPACE, pod

from tausql.control.cluster import Pod
from tausql.control.fleet_map import CREATED_BITS, Configuration, Made, make_fleet, processor_index
from tausql.protocol.fleet import Fleet, Member

ZONES = {"n1": "za", "n2": "zb", "n3": "zc"}
JOURNAL = tuple(Member(f"t-journal-{n}", "", f"t-journal-{n}.t-journal.{NAMESPACE}.svc:7400") for n in range(3))
PLAIN = Configuration(NAMESPACE, "east", 2, JOURNAL, ("east", "west"))


def made(pods, zones=ZONES, configuration=PLAIN, words=None, journal_zones=None) -> Made:
    return make_fleet(pods, zones, configuration, words or {}, journal_zones or {})


def fleet(*pods: Pod, **more) -> Fleet:
    return made(pods, **more).fleet


def journal_pod(number: int, node: str, ip: str, **facts) -> Pod:
    return pod("journal", f"t-journal-{number}", node, ip, host=f"t-journal-{number}.t-journal", **facts)


def test_pods_become_members_of_their_service_with_the_zone_of_their_node():
    told = fleet(
        pod("processor", "p-1", "n1", "10.0.0.1"),
        pod("frontend", "f-1", "n2", "10.0.0.2"),
        pod("control", "c-1", "n3", "10.0.0.3", rpc=7777),
    )
    assert told.processor == (Member("p-1", "za", "10.0.0.1:7400", "10.0.0.1:7500", processor_index("p-1")),)
    assert told.frontend == (Member("f-1", "zb", "10.0.0.2:7400"),)
    assert told.control == (Member("c-1", "zc", "10.0.0.3:7777"),)
    assert (told.region, told.streams, told.zones, told.hosts) == ("east", 2, ("za", "zb", "zc"), {})


def test_a_pod_is_listed_before_it_is_ready_but_not_before_it_has_an_ip():
    waiting = pod("processor", "p-1")
    assert fleet(replace(waiting, ip="", node="")).processor == ()
    assert fleet(replace(waiting, phase="Pending")).processor != ()


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_is_over_is_not_listed(phase):
    assert fleet(replace(pod("frontend", "f-1"), phase=phase)).frontend == ()


@pytest.mark.parametrize("phase", ["Running", "Unknown", "Pending"])
def test_a_terminating_pod_stays_until_it_is_gone(phase):
    assert len(fleet(replace(pod("frontend", "f-1", terminating=True), phase=phase)).frontend) == 1


def test_a_pod_on_a_node_not_heard_of_waits_for_its_zone():
    there = pod("frontend", "f-1", "n9")
    assert fleet(there).frontend == ()
    assert fleet(there, zones={**ZONES, "n9": "n9"}).frontend[0].zone == "n9"


def test_pods_that_are_no_service_are_not_listed():
    told = fleet(pod("chaos", "x-1"), pod("", "x-2"), pod("hosts", "x-3"), pod("zones", "x-4"))
    assert told == replace(Fleet(), region="east", streams=2, zones=(), journal=JOURNAL)


def test_an_address_that_passed_on_belongs_to_the_pod_that_stays():
    old = pod("frontend", "f-old", ip="10.0.0.1", terminating=True)
    new = replace(pod("frontend", "f-new", ip="10.0.0.1"), created=2000)
    assert [one.name for one in fleet(old, new).frontend] == ["f-new"]
    older = replace(new, name="f-older", uid="uid-older", created=10)
    assert [one.name for one in fleet(older, new).frontend] == ["f-new"]


def test_of_two_pods_of_one_name_the_one_that_stays_is_listed():
    old = pod("storage", "s-0", ip="10.0.0.1", terminating=True, host="s-0.s")
    new = replace(old, uid="uid-2", ip="10.0.0.2", terminating=False, created=5)
    told = fleet(old, new, old)
    assert [one.name for one in told.storage] == ["s-0"]
    assert told.hosts == {"s-0.s.db.svc": "10.0.0.2"}


def test_a_recreated_pod_of_a_stateful_set_keeps_its_address_and_gets_another_host():
    before = fleet(pod("storage", "s-0", "n1", "10.0.0.1", host="s-0.s"))
    after = fleet(replace(pod("storage", "s-0", "n1", "10.0.0.9", host="s-0.s"), uid="uid-2"))
    assert before.storage == after.storage == (Member("s-0", "za", "s-0.s.db.svc:7400"),)
    assert (before.hosts["s-0.s.db.svc"], after.hosts["s-0.s.db.svc"]) == ("10.0.0.1", "10.0.0.9")


def test_journal_members_come_from_configuration_alone():
    stranger = pod("journal", "t-journal-3", "n1", host="t-journal-3.t-journal")
    assert fleet(stranger).journal == JOURNAL
    told = fleet(journal_pod(0, "n1", "10.0.0.1"), journal_pod(2, "n3", "10.0.0.3"))
    assert [one.zone for one in told.journal] == ["za", "", "zc"]
    assert told.hosts == {
        "t-journal-0.t-journal.db.svc": "10.0.0.1",
        "t-journal-2.t-journal.db.svc": "10.0.0.3",
    }


def test_a_journal_replica_whose_pod_is_away_keeps_the_zone_it_was_last_in():
    told = fleet(journal_pod(0, "n2", "10.0.0.1"), journal_zones={"t-journal-0": "za", "t-journal-1": "zb"})
    assert [one.zone for one in told.journal] == ["zb", "zb", ""]
    unknown_node = fleet(journal_pod(0, "n9", "10.0.0.1"), journal_zones={"t-journal-0": "za"})
    assert unknown_node.journal[0].zone == "za"
    assert unknown_node.hosts  # it can be reached all the same


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("t-journal-0.t-journal.db.svc", True),
        ("t-journal-0.t-journal.db.svc.cluster.local", True),
        ("t-journal-0.t-journal.db", True),
        ("t-journal-0.t-journal", True),
        ("t-journal-0.t-journal.d", False),
        ("journal-0.example.com", False),
        ("192.0.2.7", False),
    ],
)
def test_only_names_of_the_cluster_are_given_a_host(host, found):
    configuration = changed(PLAIN, journal=(Member("t-journal-0", "", f"{host}:7400"),))
    told = fleet(journal_pod(0, "n1", "10.0.0.1"), configuration=configuration)
    assert told.journal[0].zone == "za"
    assert (told.hosts.get(host) == "10.0.0.1") is found


def test_adjudicators_are_preferred_by_age_and_keep_their_number_when_another_goes():
    old, middle, young = (
        replace(pod("adjudicator", f"a-{name}"), created=created) for name, created in (("z", 10), ("y", 20), ("x", 30))
    )
    indexes = {one.name: one.index for one in fleet(young, old, middle).adjudicator}
    assert sorted(indexes, key=indexes.__getitem__) == ["a-z", "a-y", "a-x"]
    assert {one.name: one.index for one in fleet(young, middle).adjudicator} == {
        name: index for name, index in indexes.items() if name != "a-z"
    }


def test_every_region_prefers_the_same_adjudicators():
    east_pod = replace(pod("adjudicator", "e-1"), created=50)
    west_pod = replace(pod("adjudicator", "w-1"), created=10)
    west_configuration = changed(PLAIN, region="west")
    east_word = fleet(east_pod)
    west_word = fleet(west_pod, configuration=west_configuration)
    east = fleet(east_pod, words={"west": west_word})
    west = fleet(west_pod, words={"east": east_word}, configuration=west_configuration)
    assert {(one.name, one.index) for one in east.adjudicator} == {(one.name, one.index) for one in west.adjudicator}
    assert {(one.name, one.region) for one in east.adjudicator} == {("e-1", ""), ("w-1", "west")}
    indexes = {one.name: one.index for one in east.adjudicator}
    assert indexes["e-1"] < indexes["w-1"]  # by region first, however old
    assert indexes["w-1"] == 1 << CREATED_BITS | 10
    turned = changed(PLAIN, regions=("west", "east"))
    indexes = {
        one.name: one.index for one in fleet(east_pod, words={"west": west_word}, configuration=turned).adjudicator
    }
    assert indexes["w-1"] < indexes["e-1"]


WEST = Fleet(
    region="west",
    journal=(
        Member("t-journal-0", "za", "t-journal-0.t-journal.db.svc:7400", region="east"),
        Member("w-journal-0", "wa", "w-journal-0.w-journal.dw.svc:7400"),
    ),
    adjudicator=(Member("w-a", "wa", "10.1.0.1:7400", index=7), Member("e-a", "za", "10.0.0.9:7400", region="east")),
    crossbar=(Member("w-c", "wb", "10.1.0.2:7400"),),
    storage=(Member("w-s", "wb", "w-s.s.dw.svc:7400"), Member("n-s", "na", "n-s.s.dn.svc:7400", region="north")),
    processor=(Member("w-p", "wa", "10.1.0.3:7400", "10.1.0.3:7500", 3),),
    frontend=(Member("w-f", "wa", "10.1.0.4:7400"),),
    timekeeper=(Member("w-t", "wa", "10.1.0.5:7400"),),
    control=(Member("w-k", "wa", "10.1.0.6:7400"),),
    hosts={
        "w-s.s.dw.svc": "10.1.0.7",
        "w-journal-0.w-journal.dw.svc": "10.1.0.8",
        "t-journal-0.t-journal.db.svc": "10.9.9.9",
        "n-s.s.dn.svc": "10.2.0.1",
    },
)
BOTH = changed(PLAIN, journal=(*JOURNAL, Member("w-journal-0", "", "w-journal-0.w-journal.dw.svc:7400", region="west")))


def test_another_region_gives_what_is_shared_and_only_what_is_its_own():
    told = fleet(journal_pod(0, "n1", "10.0.0.1"), configuration=BOTH, words={"west": WEST})
    assert told.journal[-1] == Member("w-journal-0", "wa", "w-journal-0.w-journal.dw.svc:7400", region="west")
    assert [(one.name, one.region) for one in told.adjudicator] == [("w-a", "west")]
    assert [(one.name, one.region) for one in told.crossbar] == [("w-c", "west")]
    assert [(one.name, one.region) for one in told.storage] == [("w-s", "west")]
    assert told.processor == told.frontend == told.timekeeper == told.control == ()
    assert told.hosts == {
        "t-journal-0.t-journal.db.svc": "10.0.0.1",
        "w-journal-0.w-journal.dw.svc": "10.1.0.8",
        "w-s.s.dw.svc": "10.1.0.7",
    }
    assert told.zones == ("za",)


def test_another_region_not_heard_of_leaves_its_journal_replicas_in_the_map():
    told = fleet(configuration=BOTH, journal_zones={"w-journal-0": "wa"})
    assert told.journal[-1] == Member("w-journal-0", "wa", "w-journal-0.w-journal.dw.svc:7400", region="west")
    assert told.hosts == {}


def test_a_peer_cannot_take_names_or_addresses_of_the_own_region():
    ours = pod("storage", "w-s", "n1", "10.0.0.1", host="w-s.s")
    same_address = pod("crossbar", "c", "n1", "10.1.0.2")
    told = made([ours, same_address], words={"west": WEST})
    assert told.conflicts == ("west/w-c", "west/w-s")
    assert told.fleet.storage == (Member("w-s", "za", "w-s.s.db.svc:7400"),)
    assert told.fleet.crossbar == (Member("c", "za", "10.1.0.2:7400"),)


def test_a_word_of_the_own_region_or_under_a_wrong_name_is_not_taken():
    assert fleet(words={"north": WEST}) == fleet()
    assert fleet(words={"east": replace(WEST, region="east")}) == fleet()


@given(st.text(min_size=1))
def test_processor_index_fits_a_cancel_key_and_does_not_change(name):
    assert 0 <= processor_index(name) < 512
    assert processor_index(name) == processor_index(name)


def test_processor_index_is_the_same_in_every_process():
    assert [processor_index(f"tausql-processor-{n}") for n in range(4)] == [129, 475, 239, 281]


SERVICES = st.sampled_from(["processor", "adjudicator", "storage", "journal", "frontend", "strange"])
PODS = st.lists(
    st.builds(
        lambda service, name, node, ip, phase, created, going, host, uid: Pod(
            f"{name}", uid, service, node, ip, phase, created, going, f"{name}.s" if host else ""
        ),
        SERVICES,
        st.sampled_from(["t-journal-0", "t-journal-1", "b", "c"]),
        st.sampled_from(["n1", "n2", "n9", ""]),
        st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", ""]),
        st.sampled_from(["Running", "Pending", "Failed"]),
        st.integers(0, 3),
        st.booleans(),
        st.booleans(),
        st.sampled_from("uv"),
    ),
    max_size=6,
)


@given(PODS, st.randoms(use_true_random=False))
def test_the_map_does_not_depend_on_the_order_of_things_and_lists_nobody_twice(pods, chance):
    told = made(pods, words={"west": WEST}, configuration=BOTH)
    shuffled = list(pods)
    chance.shuffle(shuffled)
    zones = dict(sorted(ZONES.items(), reverse=True))
    assert made(shuffled, zones=zones, words={"west": WEST}, configuration=BOTH) == told
    members = [one for service in ("storage", "processor", "frontend", "adjudicator") for one in told.fleet.of(service)]
    assert len({one.name for one in members}) == len(members)
    assert len({one.address for one in members}) == len(members)
    assert all(one.zone for one in members)
    assert [one.name for one in told.fleet.journal] == [one.name for one in BOTH.journal]
