"""What a frontend knows of clusters and keys, and how it keeps knowing it: controls, time and network by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frontend_by_hand import ManualHost
from frontend_known import FIRST, KEY, SECOND, changed, cluster, key

from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.frontend.following import AGAIN_SECONDS, SILENCE_SECONDS, Following
from tausql.frontend.metrics import FrontendMetrics
from tausql.protocol.clusters import ClusterRecord, Clusters, Keys, WatchClusters
from tausql.protocol.fleet import Fleet, Member
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.fleet import Directory

GONE = Failure(Cause.unavailable, "gone")


class FakeStream:
    def __init__(self, request: Any, on_item: Callable[[Any], None], on_end: Callable[[Failure | None], None]) -> None:
        self.clusters = isinstance(request, WatchClusters)
        self.on_item = on_item
        self.on_end = on_end
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeControls:
    """A network of controls. `streams`: by address, those that are open."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, FakeStream]] = []

    def connect(self, address: str, service: str) -> Any:
        controls = self

        class Channel:
            def stream(self, request: Any, on_item: Any, on_end: Any) -> FakeStream:
                stream = FakeStream(request, on_item, on_end)
                controls.opened.append((address, stream))
                return stream

            def close(self) -> None: ...

        assert service == "control"
        return Channel()

    def open(self, address: str) -> list[FakeStream]:
        return [stream for where, stream in self.opened if where == address and not stream.cancelled]

    def tell(self, address: str, *told: Clusters | Keys) -> None:
        for each in told:
            for stream in self.open(address):
                if stream.clusters is isinstance(each, Clusters):
                    stream.on_item(each)


ALL = (Clusters(True, (FIRST,)), Keys(True, (KEY,)))


def following(*controls: str) -> tuple[ManualHost, FakeControls, ClusterDirectory, Following, Directory]:
    host, network, known = ManualHost(), FakeControls(), ClusterDirectory()
    fleet = Directory(Fleet(control=tuple(Member(name, "a", name) for name in controls)))
    made = Following(host, network, fleet, known, FrontendMetrics(), 10.0)
    made.start()
    return host, network, known, made, fleet


def test_connections_wait_for_the_first_word_and_not_longer_than_allowed() -> None:
    host, network, known, made, _ = following("one")
    decided: list[str] = []
    made.when_known(lambda: decided.append("patient"))
    network.tell("one", ALL[0])
    host.run()
    assert decided == []
    network.tell("one", ALL[1])
    host.run()
    assert decided == ["patient"]
    made.when_known(lambda: decided.append("late"))
    assert decided == ["patient", "late"]
    assert known.by_host(FIRST.hosts[0]) is FIRST

    host, _, _, made, _ = following()
    made.when_known(lambda: decided.append("in vain"))
    host.pass_time(9.9)
    assert "in vain" not in decided
    host.pass_time(0.2)
    assert decided[-1] == "in vain"


def test_what_was_told_stays_while_control_is_away_and_the_next_one_begins_anew() -> None:
    host, network, known, made, _ = following("one", "two")
    network.tell("one", *ALL)
    metrics = made._metrics
    assert (metrics.clusters, metrics.controls_followed) == (1, 1)
    clusters, keys = network.open("one")
    keys.on_end(GONE)
    assert (metrics.clusters, metrics.controls_followed) == (1, 0)
    assert clusters.cancelled
    clusters.on_item(Clusters(True, ()))  # a cut stream's last words
    assert not made.following
    assert known.by_identifier(FIRST.identifier) is FIRST
    assert known.key(KEY.access_key_id) is KEY
    host.pass_time(AGAIN_SECONDS)
    assert made.following
    assert known.known
    network.tell("two", Clusters(True, (SECOND,)), Keys(True, ()))
    assert known.by_identifier(FIRST.identifier) is None
    assert known.by_host(FIRST.hosts[0]) is None
    assert known.by_host(SECOND.hosts[0]) is SECOND
    assert known.key(KEY.access_key_id) is None


def test_a_control_that_says_nothing_is_left_for_another() -> None:
    host, network, _, made, _ = following("one", "two")
    network.tell("one", ALL[0])
    host.pass_time(SILENCE_SECONDS + AGAIN_SECONDS)
    assert network.open("one") == []
    network.tell("two", *ALL)
    host.pass_time(10 * SILENCE_SECONDS)
    assert len(network.open("two")) == 2
    assert made.rounds == 2


def test_a_control_that_joins_later_is_found() -> None:
    host, network, known, _, fleet = following()
    host.pass_time(3 * AGAIN_SECONDS)
    fleet.replace(Fleet(control=(Member("one", "a", "one"),)))
    host.pass_time(AGAIN_SECONDS)
    network.tell("one", *ALL)
    assert known.known


def test_changes_replace_and_remove() -> None:
    _, network, known, made, _ = following("one")
    closed: list[ClusterRecord] = []
    known.on_closed = closed.append
    network.tell("one", Clusters(True, (FIRST, SECOND)), ALL[1])
    renamed = changed(SECOND, hosts=(*SECOND.hosts, "db.example"))
    network.tell("one", Clusters(False, (renamed,)))
    assert known.by_host("DB.example.") is renamed
    assert known.by_host(SECOND.hosts[0]) is renamed
    network.tell("one", Clusters(False, (changed(renamed, hosts=("db.example",)),)))
    assert known.by_host(SECOND.hosts[0]) is None
    deleting = changed(FIRST, status="DELETING")
    network.tell("one", Clusters(False, (deleting,)), Clusters(False, (), (FIRST.identifier,)))
    assert closed == [deleting]  # told once
    assert (known.clusters, known.by_host(FIRST.hosts[0])) == (1, None)
    other = key("AKIATWO")
    network.tell("one", Keys(False, (other,), (KEY.access_key_id,)))
    assert (known.keys, known.key("AKIATWO")) == (1, other)
    made.stop()
    assert network.open("one") == []


def test_a_name_that_moved_to_another_cluster_is_not_taken_from_it() -> None:
    known = ClusterDirectory()
    old, new = cluster("a"), cluster("b", 2)
    new = changed(new, hosts=(*new.hosts, *old.hosts))
    known.take_clusters(Clusters(True, (old,)))
    known.take_clusters(Clusters(False, (new,)))
    known.take_clusters(Clusters(False, (), (old.identifier,)))
    assert known.by_host(old.hosts[0]) is new


def test_the_directory_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr("tausql.frontend.cluster_directory.CLUSTERS_MAX", 1)
    monkeypatch.setattr("tausql.frontend.cluster_directory.KEYS_MAX", 1)
    known = ClusterDirectory()
    known.take_clusters(Clusters(True, (FIRST, SECOND)))
    known.take_keys(Keys(True, (KEY, key("AKIATWO"))))
    assert (known.clusters, known.keys, known.left_out) == (1, 1, 2)
    known.take_clusters(Clusters(False, (changed(FIRST, status="IDLE"),)))
    found = known.by_identifier(FIRST.identifier)
    assert found is not None
    assert found.status == "IDLE"
