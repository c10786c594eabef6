"""Byte connections between processes, as a kernel's TCP gives them.

What a session's fate hangs on is not the bytes that arrive but how a connection ends: in good order, with everything
that was written; by a reset, which throws away what is on its way, because something unread had come in; or not at all,
because the other machine is gone. So both kernels are simulated: what they have taken outlives its process, what they
have not does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tausql.simulation.world import Process, World

READ_BYTES = 64 * 1024
WRITE_BUFFER_BYTES = 64 * 1024  # asyncio's own default
RETRY_SECONDS = 0.2  # between two tries to send what was lost
GIVE_UP_SECONDS = 2.5  # what stays unacknowledged for so long breaks the connection


class _Mark:
    """In place of bytes: the end of what the other side has to say."""


FIN, RESET = _Mark(), _Mark()

Item = bytes | _Mark


class Runner(Protocol):
    """Where a process's callbacks run: its event loop."""

    def within(self, function: Callable[..., Any], *arguments: Any) -> Any: ...


class Pipe:
    """One end of a connection: the transport of its process, and the part of the kernel that belongs to it.

    `protocol` is what asyncio calls one. `run`: calls it, in its process's loop if it has one."""

    def __init__(self, pipes: Pipes, process: Process, runner: Runner | None) -> None:
        self._pipes = pipes
        self._world = pipes.world
        self.process = process
        self.run: Callable[..., Any] = runner.within if runner is not None else _plainly
        self.protocol: Any = None
        self.peer: Pipe
        # the process's
        self._buffer = bytearray()  # written, and not taken by the kernel
        self._high = WRITE_BUFFER_BYTES
        self._held_back = False  # the protocol has been told to write no more
        self._reading = True
        self._closing = False
        # the kernel's
        self.closed = False
        self._unread: deque[Item] = deque()
        self._unread_bytes = 0
        self._under_way: deque[Item] = deque()
        self._under_way_bytes = 0
        self._arrives = 0.0
        self._stalled = -1.0  # since when nothing gets through
        self._finished = False  # FIN or RESET is said
        self._was_reset = False
        pipes.add(self)

    def begin(self, protocol: Any) -> None:
        """The process takes the connection."""
        self.protocol = protocol
        self.run(protocol.connection_made, self)
        self._read_soon()

    # --- the transport -------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._closing or self.closed or not data:
            return
        if self._was_reset:
            self._soon(self._lost, BrokenPipeError())
            return
        if not self._buffer:
            room = self._pipes.kernel_bytes - self._under_way_bytes - self.peer._unread_bytes
            if room >= len(data):
                self._transmit(bytes(data))
                return
            if room > 0:
                self._transmit(bytes(data[:room]))
                data = data[room:]
        self._buffer += data
        if len(self._buffer) > self._high and not self._held_back:
            self._held_back = True
            self.protocol.pause_writing()

    def write_eof(self) -> None:
        if not self._finished:
            self._finished = True
            self._transmit(FIN)

    def close(self) -> None:
        """After what was written has been taken."""
        if not self._closing:
            self._closing = True
            self._reading = False
            if not self._buffer:
                self._soon(self._finish)

    def abort(self) -> None:
        if not self.closed:
            self._closing = True
            self._reading = False
            self._buffer.clear()
            self._soon(self._finish)

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not (self._reading or self._closing):
            self._reading = True
            self._read_soon()

    def is_closing(self) -> bool:
        return self._closing or self.closed

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is not None:
            self._high = high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return f"{self.peer.process.name}" if name == "peername" else default

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    @property
    def unread(self) -> bool:
        """Bytes have come in that the process has not read."""
        return self._unread_bytes > 0

    # --- the kernel: to the other side ---------------------------------------------------------------------------

    def _transmit(self, item: Item) -> None:
        self._under_way.append(item)
        if isinstance(item, bytes):
            self._under_way_bytes += len(item)
        if self._stalled < 0.0:
            self._launch()

    def _launch(self) -> None:
        """One more of what is under way gets through, or nothing does any more for now."""
        world = self._world
        delay = world.links.latency(self.process, self.peer.process)
        if delay is None:
            self._stalled = world.now
            self._launch_later()
            return
        self._arrives = max(self._arrives + 1e-9, world.now + delay)
        world.at(self._arrives - world.now, None, self._deliver, False)

    def _launch_later(self) -> None:
        self._world.at(RETRY_SECONDS, None, self._retry)

    def _retry(self) -> None:
        if not self._under_way or self.peer.closed:
            self._stalled = -1.0
            return
        world = self._world
        delay = world.links.latency(self.process, self.peer.process)
        if delay is not None:
            self._stalled = -1.0
            self._arrives = max(self._arrives + 1e-9, world.now + delay)
            world.at(self._arrives - world.now, None, self._deliver, True)
        elif world.now - self._stalled < GIVE_UP_SECONDS:
            self._launch_later()
        else:
            world.mark("a byte connection timed out")
            self._under_way.clear()
            self._lost_if_open(TimeoutError())
            # The other side does not know; its own patience ends later.
            world.at(world.random.random() * GIVE_UP_SECONDS, None, self.peer._lost_if_open, TimeoutError())

    def _deliver(self, everything: bool) -> None:
        """The oldest under way arrives; all of it, if it had been held up."""
        while self._under_way:
            item = self._under_way.popleft()
            if isinstance(item, bytes):
                self._under_way_bytes -= len(item)
            self.peer._arrived(item)
            if not everything:
                return

    def _say_end(self) -> None:
        """The socket is closed: unread bytes turn that into a reset, which throws away a part of what is under way."""
        self.closed = True
        self._buffer.clear()
        if any(isinstance(item, bytes) for item in self._unread):
            self._world.mark("a connection was reset with bytes unread")
            self._reset()
        elif not self._finished:
            self._finished = True
            self._transmit(FIN)
        self._pipes.remove(self)

    def _reset(self) -> None:
        way = self._under_way
        for _ in range(self._world.random.randint(0, len(way))):
            item = way.pop()
            if isinstance(item, bytes):
                self._under_way_bytes -= len(item)
        self._finished = True
        self._transmit(RESET)

    def die(self) -> None:
        """The process is dead. Its kernel closes what it had open."""
        if not self.closed:
            self._closing = True
            self._reading = False
            self._say_end()

    # --- the kernel: from the other side -------------------------------------------------------------------------

    def _arrived(self, item: Item) -> None:
        if self.closed:
            if isinstance(item, bytes) and not self.peer.closed:
                self._transmit(RESET)
            return
        if item is RESET:
            self._was_reset = True
        elif isinstance(item, bytes):
            self._unread_bytes += len(item)
        self._unread.append(item)
        if self.process.paused_until > self._world.now:
            self._read_soon()
            return
        if self._pipes.busy_seconds:  # its loop has other things to do first
            delay = self._world.random.random() * self._pipes.busy_seconds
            self._world.at(delay, self.process, self._read)
            return
        try:
            self._read()
        except self._world.died as death:
            self.process.kill(f"died: {death}")

    def _read(self) -> None:
        unread = self._unread
        while unread and self._reading and not self.closed and self.protocol is not None:
            item = unread.popleft()
            if isinstance(item, bytes):
                if unread and len(item) < READ_BYTES:
                    item = self._merged(item)
                self._unread_bytes -= len(item)
                peer = self.peer
                if peer._buffer and not peer.closed:
                    self._world.at(0.0, peer.process, peer._flush)
                self.run(self.protocol.data_received, item)
            elif item is FIN:
                if not self.run(self.protocol.eof_received):
                    self.close()
            else:
                self._lost(ConnectionResetError())

    def _merged(self, data: bytes) -> bytes:
        """One read takes all there is."""
        unread = self._unread
        parts = [data]
        size = len(data)
        while unread and size < READ_BYTES:
            following = unread[0]
            if not isinstance(following, bytes):
                break
            unread.popleft()
            parts.append(following)
            size += len(following)
        return b"".join(parts)

    def _read_soon(self) -> None:
        self._soon(self._read)

    def _flush(self) -> None:
        """The other side has read: there may be room."""
        if self.closed or not self._buffer:
            return
        room = self._pipes.kernel_bytes - self._under_way_bytes - self.peer._unread_bytes
        if room <= 0:
            return
        data = bytes(self._buffer[:room])
        del self._buffer[:room]
        self._transmit(data)
        if self._buffer:
            return
        if self._closing:
            self._finish()
        elif self._held_back:
            self._held_back = False
            self.run(self.protocol.resume_writing)

    # --- ends ----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """The process has closed it."""
        if not self.closed:
            self._say_end()
            if self.protocol is not None:
                self.run(self.protocol.connection_lost, None)

    def _lost(self, error: OSError) -> None:
        """It is broken."""
        if self.closed:
            return
        self.closed = self._closing = True
        self._buffer.clear()
        self._pipes.remove(self)
        if self.protocol is not None:
            self.run(self.protocol.connection_lost, error)

    def break_off(self) -> None:
        """A middlebox has forgotten the connection: both ends are reset, and what is on its way is gone."""
        for end in (self, self.peer):
            end._under_way.clear()
            end._under_way_bytes = 0
            end._lost_if_open(ConnectionResetError())

    def _lost_if_open(self, error: OSError) -> None:
        if not self.closed:
            self._soon(self._lost, error)

    def _soon(self, function: Callable[..., None], *arguments: Any) -> None:
        self._world.at(0.0, self.process, function, *arguments)


def _plainly(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


Accept = Callable[[], Any]  # makes the protocol of a connection that somebody else has opened


class Pipes:
    """All byte connections of a world. kernel_bytes: what two kernels hold of one direction together. busy_seconds: up
    to so long a process takes to read what has come."""

    def __init__(self, world: World, kernel_bytes: int = 64 * 1024, busy_seconds: float = 0.0) -> None:
        self.world = world
        self.busy_seconds = busy_seconds
        self.kernel_bytes = kernel_bytes
        self._open: dict[str, dict[Pipe, None]] = {}  # by process
        self._listeners: dict[str, tuple[Process, int, Runner | None, Accept]] = {}  # by address
        world.on_death.append(self._died)

    def listen(self, process: Process, address: str, runner: Runner | None, accept: Accept) -> Callable[[], None]:
        """Take connections at `address` until the process dies, or what is returned is called."""
        entry = self._listeners[address] = (process, process.generation, runner, accept)

        def close() -> None:
            if self._listeners.get(address) is entry:
                del self._listeners[address]

        return close

    def connect(
        self, process: Process, address: str, runner: Runner | None, done: Callable[[Pipe | OSError], None]
    ) -> None:
        """`done` gets this side's end, on which `begin` is to be called; or why there is none. Never, if nothing comes
        back: whoever calls has a patience of its own."""
        server = self._server_of(address)
        delay = self.world.links.latency(process, server) if server is not None else None
        if delay is not None:
            self.world.at(delay, None, self._knock, process, process.generation, address, runner, done)

    def of(self, process: Process) -> list[Pipe]:
        """Its ends of connections, oldest first."""
        return list(self._open.get(process.name, ()))

    def add(self, pipe: Pipe) -> None:
        self._open.setdefault(pipe.process.name, {})[pipe] = None

    def remove(self, pipe: Pipe) -> None:
        self._open[pipe.process.name].pop(pipe, None)

    def _server_of(self, address: str) -> Process | None:
        entry = self._listeners.get(address)
        return entry[0] if entry is not None else self.world.by_address.get(address)

    def _knock(
        self,
        process: Process,
        generation: int,
        address: str,
        runner: Runner | None,
        done: Callable[[Pipe | OSError], None],
    ) -> None:
        world = self.world
        if process.generation != generation or not process.alive:
            return
        entry = self._listeners.get(address)
        if entry is None or not entry[0].alive or entry[0].generation != entry[1]:
            server = self._server_of(address)
            back = world.links.latency(server, process) if server is not None else None
            if back is not None:
                world.at(back, process, done, ConnectionRefusedError(f"nobody listens at {address}"))
            return
        server, _, server_runner, accept = entry
        here, there = Pipe(self, process, runner), Pipe(self, server, server_runner)
        here.peer, there.peer = there, here
        world.at(0.0, server, self._accept, there, accept)
        back = world.links.latency(server, process)
        if back is not None:
            world.at(back, process, done, here)
        else:  # half open: the server believes in it
            here.die()

    def _accept(self, pipe: Pipe, accept: Accept) -> None:
        if not pipe.closed:
            pipe.begin(pipe.run(accept))

    def _died(self, process: Process, _: Any) -> None:
        for pipe in list(self._open.get(process.name, ())):
            pipe.die()
