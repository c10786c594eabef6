"""An asyncio event loop for a simulated process: virtual time, and byte connections of the simulation.

The session port and the frontend are written for asyncio: tasks, timeouts, transports. Here they run as they are. What
asyncio promises is kept: callbacks of one loop run in the order in which they were asked for. A loop ends with its
process: nothing of it runs again, and its tasks are closed then and there, not whenever the collector finds them.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from tausql.rpc.interface import Failure, Message, Reply, Routes, Sink
from tausql.runtime.host import Timer
from tausql.simulation.network import SimulatedChannel
from tausql.simulation.pipes import Pipe, Pipes
from tausql.simulation.world import Process


class SimulatedServer:
    """What `create_server` gives."""

    def __init__(self, close: Callable[[], None], host: str, port: int) -> None:
        self.close = close
        self.sockets = (_Bound(host, port),)


class _Bound:
    def __init__(self, host: str, port: int) -> None:
        self._name = (host, port)

    def getsockname(self) -> tuple[str, int]:
        return self._name


class SimulatedLoop:
    """One process's, from a start to its death. As much of `asyncio.AbstractEventLoop` as is asked for."""

    def __init__(self, process: Process, pipes: Pipes) -> None:
        self._loop: Any = self  # to those who want the whole interface
        self._process = process
        self._world = process.world
        self._generation = process.generation
        self._pipes = pipes
        self._ready: deque[events.Handle] = deque()
        self._turning = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._factory: Any = None

    @property
    def over(self) -> bool:
        return self._generation != self._process.generation

    def within(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call `function` as the loop would: it is the running one meanwhile."""
        before = events._get_running_loop()
        events._set_running_loop(self._loop)
        try:
            return function(*arguments)
        finally:
            events._set_running_loop(before)

    # --- what asyncio asks of a loop -----------------------------------------------------------------------------

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.over

    def is_closed(self) -> bool:
        return self.over

    def time(self) -> float:
        return self._world.now

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> events.Handle:
        handle = events.Handle(callback, args, self._loop, context)
        if not self.over:
            self._ready.append(handle)
            if not self._turning:
                self._turning = True
                self._world.at(0.0, self._process, self._turn)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> events.TimerHandle:
        handle = events.TimerHandle(self._world.now + delay, callback, args, self._loop, context)
        if not self.over:
            self._process.later(delay, self._due, handle)
        return handle

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> events.TimerHandle:
        return self.call_later(when - self._world.now, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._loop)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        if self._factory is None:
            task = asyncio.Task(coro, loop=self._loop, name=name)
        else:
            task = self._factory(self._loop, coro)
            task.set_name(name)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # those of the dead are no news
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return task

    def set_task_factory(self, factory: Any) -> None:
        self._factory = factory

    def get_task_factory(self) -> Any:
        return self._factory

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Nothing is swallowed: an exception fails the run, or ends the process if that is what it says."""
        error = context.get("exception")
        if isinstance(error, BaseException):
            raise error
        if not self.over:
            raise RuntimeError(f"{self._process.name}: {context.get('message')}")

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """`ssl` must be None. Raises OSError; waits for ever if nothing comes back."""
        assert options.get("ssl") is None, "there is no TLS in the simulation"
        found: asyncio.Future[Pipe | OSError] = self.create_future()

        def done(pipe: Pipe | OSError) -> None:
            if found.cancelled():
                if isinstance(pipe, Pipe):
                    pipe.abort()
            else:
                found.set_result(pipe)

        self._pipes.connect(self._process, f"{host}:{port}", self, done)
        pipe = await found
        if isinstance(pipe, OSError):
            raise pipe
        protocol = protocol_factory()
        pipe.begin(protocol)
        return pipe, protocol

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        close = self._pipes.listen(self._process, f"{host}:{port}", self, protocol_factory)
        return SimulatedServer(close, host, port)

    # --- running -------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Run what is ready now; what comes meanwhile has its turn next."""
        ready = self._ready
        before = events._get_running_loop()
        events._set_running_loop(self._loop)
        try:
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle.cancelled():
                    handle._run()
                if self.over:
                    return
        finally:
            events._set_running_loop(before)
        self._turning = False
        if ready:
            self._turning = True
            self._world.at(0.0, self._process, self._turn)

    def _due(self, handle: events.TimerHandle) -> None:
        if not handle.cancelled():
            self.within(handle._run)

    def end(self) -> None:
        """Its process has died."""
        self._ready.clear()
        tasks, self._tasks = list(self._tasks), {}
        for task in tasks:
            coroutine: Any = task.get_coro()
            if not coroutine.cr_running:  # it may be the very one that has killed its process
                self.within(coroutine.close)


class Loops:
    """The loops of a world's processes; each ends with its process."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
        self._loops: dict[str, SimulatedLoop] = {}
        pipes.world.on_death.append(self._died)

    def fresh(self, process: Process) -> SimulatedLoop:
        """For a process that starts now."""
        made = self._loops[process.name] = SimulatedLoop(process, self._pipes)
        return made

    def _died(self, process: Process, _: Any) -> None:
        loop = self._loops.pop(process.name, None)
        if loop is not None:
            loop.end()


class LoopedHost:
    """A process as a `Host` for services that also use asyncio: everything runs within its loop."""

    def __init__(self, process: Process, loop: SimulatedLoop) -> None:
        self._process = process
        self.loop = loop
        self.name, self.zone = process.name, process.zone
        self.clock = process.clock
        self.random = process.random
        self.monotonic = process.monotonic
        self.die = process.die

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)

    def soon(self, function: Callable[..., None], *arguments: Any) -> None:
        self._process.soon(self.loop.within, function, *arguments)

    def later(self, delay_seconds: float, function: Callable[..., None], *arguments: Any) -> Timer:
        return self._process.later(delay_seconds, self.loop.within, function, *arguments)


class LoopedNetwork:
    """A process's network, with every callback within its loop."""

    def __init__(self, process: Process, loop: SimulatedLoop) -> None:
        self._network = process.network
        self._loop = loop
        self._channels: dict[tuple[str, str], _LoopedChannel] = {}

    def serve(self, service: str, routes: Routes) -> None:
        self._network.serve(
            service,
            Routes(
                calls=self._all(routes.calls),
                streams=self._all(routes.streams),
                casts=self._all(routes.casts),
                on_disconnect=None if routes.on_disconnect is None else self._wrapped(routes.on_disconnect),
            ),
        )

    def connect(self, address: str, service: str) -> _LoopedChannel:
        known = self._channels.get((address, service))
        if known is None:
            channel = self._network.connect(address, service)
            known = self._channels[address, service] = _LoopedChannel(channel, self._loop)
        return known

    def _all(self, handlers: Mapping[type, Callable[..., None]]) -> dict[type, Callable[..., None]]:
        return {kind: self._wrapped(handler) for kind, handler in handlers.items()}

    def _wrapped(self, handler: Callable[..., None]) -> Callable[..., None]:
        within = self._loop.within

        def call(*arguments: Reply | Sink | Any) -> None:
            within(handler, *arguments)

        return call


class _LoopedChannel:
    def __init__(self, channel: SimulatedChannel, loop: SimulatedLoop) -> None:
        self._channel = channel
        self._within = loop.within
        self.cast = channel.cast
        self.close = channel.close

    @property
    def address(self) -> str:
        return self._channel.address

    @property
    def connected(self) -> bool:
        return self._channel.connected

    def call(self, request: Message, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        within = self._within
        self._channel.call(request, deadline_seconds, lambda answer: within(done, answer))

    def stream(self, request: Message, on_item: Callable[[Any], None], on_end: Callable[[Failure | None], None]) -> Any:
        within = self._within
        return self._channel.stream(
            request, lambda item: within(on_item, item), lambda failure: within(on_end, failure)
        )
