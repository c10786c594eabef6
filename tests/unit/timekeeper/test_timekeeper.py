from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tausql.protocol import timekeeper as protocol
from tausql.protocol.fleet import Fleet
from tausql.protocol.timekeeper import GetTime, Time, TimekeeperClient
from tausql.rpc.interface import Cause, Failure
from tausql.rpc.node import Node, ask
from tausql.runtime.fleet import Directory
from tausql.runtime.loop import AsyncHost, run_on_host
from tausql.timekeeper.app import create_app
from tausql.timekeeper.bounds import TimeBounds
from tausql.timekeeper.service import TimekeeperService
from tausql.timekeeper.settings import TimekeeperSettings


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 1000)), min_size=1))
def test_bounds_hold_the_reading_while_the_clock_rises_and_never_step_back(readings):
    bounds = TimeBounds()
    last = Time(0, 0, 0)
    highest = 0
    for wall, error in readings:
        answer = bounds.answer(7, wall, error)
        assert answer.sent == 7
        assert answer.latest >= wall
        assert answer.earliest >= last.earliest
        assert answer.latest >= last.latest
        if wall >= highest:
            assert answer.earliest <= wall
        highest = max(highest, wall)
        last = answer


def test_service_answers_with_the_bound_of_its_clock_and_refuses_without_one():
    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", protocol.MESSAGES)
        await node.start()
        bound: int | None = 30
        service = TimekeeperService(
            host, node, Directory(Fleet()), TimekeeperSettings(), read_us=lambda: 1_000, bound_us=lambda: bound
        )
        service.start()
        assert service.ready() == (True, "")
        answers: asyncio.Future[Time | Failure] = asyncio.get_running_loop().create_future()
        TimekeeperClient(node.connect(node.address, "timekeeper")).get_time(5, 1.0, answers.set_result)
        assert await answers == Time(5, 970, 1_030)
        assert service.status() == {"error_us": 30, "answers": 1, "refusals": 0}
        service.drain()
        assert service.ready() == (False, "draining")
        service.stop()
        await node.close()

    run_on_host(body)


def test_service_whose_clock_nobody_vouches_for_refuses():
    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", protocol.MESSAGES)
        await node.start()
        service = TimekeeperService(host, node, Directory(Fleet()), TimekeeperSettings(), bound_us=lambda: None)
        service.start()
        ready, reason = service.ready()
        assert not ready
        assert "ASSUMED_ERROR_US" in reason
        answer = await ask(node.connect(node.address, "timekeeper"), GetTime(1), 1.0)
        assert answer.cause is Cause.refused
        transport = httpx.ASGITransport(app=create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://timekeeper") as client:
            assert (await client.get("/readyz")).status_code == 503
            assert "tausql_timekeeper_refusals_total 1.0" in (await client.get("/metrics")).text
        await node.close()

    run_on_host(body)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def environment(**settings: Any) -> dict[str, str]:
    return {**os.environ, **{f"TAUSQL_{key.upper()}": str(value) for key, value in settings.items()}}


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_process_serves_drains_and_exits_in_good_order(stop_signal):
    address = f"127.0.0.1:{free_port()}"
    fleet = json.dumps({"timekeeper": [{"name": "timekeeper-a", "zone": "a", "address": address}]})
    settings = environment(
        name="timekeeper-a", rpc_listen=address, http_listen="127.0.0.1:0", fleet=fleet, timekeeper_assumed_error_us=20
    )
    command = [sys.executable, "-m", "tausql.timekeeper"]
    with subprocess.Popen(command, env=settings, stderr=subprocess.PIPE, text=True) as process:
        try:
            started = json.loads(process.stderr.readline())
            assert started["event"] == "started"
            base = f"http://{started['http']}"
            assert httpx.get(f"{base}/livez").text == "ok"
            assert httpx.get(f"{base}/readyz").text == "ok"
            status = httpx.get(f"{base}/status").json()
            assert status["process"]["name"] == "timekeeper-a"
            assert status["timekeeper"]["error_us"] == 20
            assert "tausql_process_cpu_seconds_total" in httpx.get(f"{base}/metrics").text
            process.send_signal(stop_signal)
            events = [json.loads(line)["event"] for line in process.stderr]
            assert events == ["draining", "stopped"]
            assert process.wait() == 0
        finally:
            process.kill()


def test_process_that_cannot_listen_says_so_and_fails():
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        settings = environment(rpc_listen=f"127.0.0.1:{port}", http_listen="")
        done = subprocess.run(
            [sys.executable, "-m", "tausql.timekeeper"], env=settings, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "address already in use" in done.stderr.lower()
