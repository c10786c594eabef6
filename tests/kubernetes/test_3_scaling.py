"""More sessions, more processors; and back, without a session being lost."""

from __future__ import annotations

import threading

import cluster
from conftest import Release


def processors(release: Release) -> int:
    return sum(map(cluster.ready, release.pods("processor")))


def test_processors_follow_the_sessions_and_idle_sessions_survive_the_scale_in(release: Release) -> None:
    release.wait_until_whole()
    at_first = processors(release)
    sessions = [release.connect() for _ in range(50)]
    try:
        for number, session in enumerate(sessions):
            session.execute(f"SET application_name = 'session {number}'")
        out = cluster.wait("processors scaled out", lambda: processors(release) > at_first, 60)
        grown = processors(release)
        for session in sessions[5:]:
            session.close()
        del sessions[5:]
        back = cluster.wait("processors scaled in", lambda: processors(release) < grown, 90)
        print(f"{at_first} -> {grown} processors after {out:.0f} s, back after {back:.0f} s")
        for number, session in enumerate(sessions):
            shown = session.execute("SHOW application_name").fetchone()
            assert shown == (f"session {number}",)
    finally:
        for session in sessions:
            session.close()


def test_the_autoscaler_acts_on_cpu(release: Release) -> None:
    name = f"{release.name}-processor"
    before = desired(release, name)
    stop = threading.Event()
    threads = [threading.Thread(target=hammer, args=(release, stop), daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        cluster.wait("the autoscaler wants more", lambda: desired(release, name) > before, 90, every=1)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    said = cluster.kubectl("describe", "hpa", name, "-n", release.namespace)
    assert "SuccessfulRescale" in said, said
    assert "above target" in said, said


def desired(release: Release, name: str) -> int:
    (hpa,) = [one for one in cluster.objects("hpa", namespace=release.namespace) if one["metadata"]["name"] == name]
    return int(hpa["status"].get("desiredReplicas", 0))


def hammer(release: Release, stop: threading.Event) -> None:
    with release.connect() as connection:
        while not stop.is_set():
            connection.execute("SELECT sum(i * i) FROM generate_series(1, 2000) AS s(i)")
