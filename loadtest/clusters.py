"""Many clusters in one fleet: how long each takes to make, what idle ones cost, what it takes to use one.

    python -m loadtest.clusters [--clusters 500] [--used 50] [--idle-seconds 30] [--shape packed]

create     CreateCluster over the API, signed, one after the other, and until GetCluster says ACTIVE
idle       CPU of all processes of the fleet while nobody asks it anything, before and after
memory     proportional set size of all processes, a cluster: made only; and with a table, some rows and a session gone
"""

from __future__ import annotations

import argparse
import time

import psycopg

from loadtest.connecting import milliseconds
from loadtest.measures import cpu_seconds, memory_mib
from loadtest.tausql_fleet import Fleet, running_fleet
from tausql.access.connect_tokens import connect_token
from tausql.local.api import Api

ACTIVE_SECONDS_MAX = 10.0


class Ground:
    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        found = fleet.reached
        self.key, self.region = found.key, found.region
        self.api = Api(found.api, found.key, found.region)

    def create(self) -> tuple[str, float, float]:
        """A cluster's endpoint name; seconds until it was answered, and until it was ACTIVE."""
        began = time.perf_counter()
        made = self.api.call("POST", "/cluster", body={"deletionProtectionEnabled": False})
        answered = time.perf_counter() - began
        while True:
            told = self.api.call("GET", f"/cluster/{made['identifier']}")
            seconds = time.perf_counter() - began
            if told["status"] == "ACTIVE":
                return str(told["endpoint"]), answered, seconds
            if seconds > ACTIVE_SECONDS_MAX:
                raise RuntimeError(f"{made['identifier']} is {told['status']} after {seconds:.0f} s")

    def use(self, endpoint: str) -> float:
        """Seconds until the first answer of a cluster that nobody has used before; then a table and rows in it."""
        began = time.perf_counter()
        token = connect_token(self.key, endpoint, self.region, "DbConnectAdmin", time.time())
        where = {"host": endpoint, "hostaddr": self.fleet.host, "port": self.fleet.pg_port, "sslmode": "require"}
        with psycopg.connect(**where, user="admin", dbname="postgres", password=token, autocommit=True) as connection:  # type: ignore[arg-type]
            connection.execute("SELECT 1")
            seconds = time.perf_counter() - began
            connection.execute("CREATE TABLE notes (id int PRIMARY KEY, note text)")
            connection.execute("INSERT INTO notes SELECT n, 'note' FROM generate_series(1, 100) n")
        return seconds

    def memory(self) -> float:
        """KiB of all processes."""
        return sum(memory_mib(pid) for pid in self.fleet.pids()) * 1024

    def idle_cores(self, seconds: float) -> float:
        """Cores that the fleet takes while nobody asks it anything."""
        pids = self.fleet.pids()
        began, before = time.perf_counter(), cpu_seconds(pids)
        time.sleep(seconds)
        return (cpu_seconds(pids) - before) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--used", type=int, default=50)
    parser.add_argument("--idle-seconds", type=float, default=30.0)
    parser.add_argument("--shape", default="packed")
    chosen = parser.parse_args()
    with running_fleet(chosen.shape, TAUSQL_CONTROL_CLUSTERS_MAX=str(chosen.clusters + 10)) as fleet:
        ground = Ground(fleet)
        print(f"idle, 1 cluster          {ground.idle_cores(chosen.idle_seconds):.3f} cores", flush=True)
        memory = ground.memory()
        made = [ground.create() for _ in range(chosen.clusters)]
        print(f"CreateCluster answered   {milliseconds([one[1] for one in made])}")
        print(f"until ACTIVE             {milliseconds([one[2] for one in made])}", flush=True)
        grown = ground.memory() - memory
        print(f"memory                   {grown / chosen.clusters:.1f} KiB a cluster that is only there", flush=True)
        print(
            f"idle, {chosen.clusters + 1} clusters       {ground.idle_cores(chosen.idle_seconds):.3f} cores", flush=True
        )
        memory = ground.memory()
        first = [ground.use(endpoint) for endpoint, _, _ in made[: chosen.used]]
        print(f"first SELECT 1 of one    {milliseconds(first)}")
        grown = ground.memory() - memory
        print(f"memory                   {grown / chosen.used:.1f} KiB a cluster that was used just now", flush=True)
        print(f"idle after that          {ground.idle_cores(chosen.idle_seconds):.3f} cores", flush=True)


if __name__ == "__main__":
    main()
