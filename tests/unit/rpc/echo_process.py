"""An echo service in a process of its own: prints its address, serves until killed."""

from __future__ import annotations

import asyncio
import sys

from rpc_pair import MESSAGES, Echo

from tausql.rpc.node import Node
from tausql.runtime.loop import AsyncHost, run_on_host


async def body(host: AsyncHost) -> None:
    node = Node(host, sys.argv[1], MESSAGES)
    node.serve("echo", Echo().routes())
    await node.start()
    print(node.address, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run_on_host(body, name="echo-process")
