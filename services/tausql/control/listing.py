"""The objects of one kind at the Kubernetes API: all there are, and what happens to them after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from kubernetes.client import ApiClient

from tausql.control.asking import CONNECT_SECONDS, Complaint, Gone, Trouble, asked, translated
from tausql.control.cluster import Named

SILENCE_SECONDS = 15.0  # beyond the life the server was given for a watch: then the connection is dead
PAGE = 500
OBJECTS_MAX = 10_000
LINE_BYTES_MAX = 4 << 20
CHUNK_BYTES = 64 << 10
LEAN = "application/json;as={kind};g=meta.k8s.io;v=v1,application/json"  # a node's object is large, its labels are not

Thing = TypeVar("Thing", bound=Named)


class Event(NamedTuple, Generic[Thing]):
    """What a watch says of one object."""

    thing: Thing
    deleted: bool


class Part(NamedTuple, Generic[Thing]):
    """What came at once over a watch; no events at all mean that it is alive."""

    events: tuple[Event[Thing], ...]
    version: str  # where to go on from, should the watch break


class _ListMeta(msgspec.Struct):
    resourceVersion: str = ""
    next: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Version(msgspec.Struct):
    class Meta(msgspec.Struct):
        resourceVersion: str = ""

    metadata: Meta


class Source(Generic[Thing]):
    """The objects of one kind: a list, and what happens after it. For one thread, but for `interrupt`."""

    def __init__(
        self,
        client: ApiClient,
        listing: Callable[..., Any],
        selection: Mapping[str, str],
        read: Callable[[bytes | msgspec.Raw], tuple[Thing, str]],
        watch_seconds: int,
        lean: bool = False,
    ) -> None:
        self._client = client
        self._listing = listing
        self._selection = dict(selection)
        self._read = read
        self._watch_seconds = watch_seconds
        self._lean = lean
        self._response: Any = None

    def read_all(self) -> tuple[list[Thing], str]:
        """All objects as of now, not as of some cache, and the version to watch from. Raises Trouble."""
        things: list[Thing] = []
        following = ""
        while True:
            self._accept("PartialObjectMetadataList")
            more = {"_continue": following} if following else {}
            page = asked(_List, self._listing, **self._selection, limit=PAGE, **more)
            things += [self._read(item)[0] for item in page.items or ()]
            if len(things) > OBJECTS_MAX:
                raise Trouble(f"more than {OBJECTS_MAX} objects")
            following = page.metadata.next
            if not following:
                return things, page.metadata.resourceVersion

    def watch(self, version: str) -> Iterator[Part[Thing]]:
        """What happens from `version` on, until the server ends the watch, as it does after `watch_seconds`; an empty
        part first, once it has begun. Raises Trouble and Gone."""
        self._accept("PartialObjectMetadata")
        with translated():
            response = self._listing(
                **self._selection,
                watch=True,
                resource_version=version,
                allow_watch_bookmarks=True,
                timeout_seconds=self._watch_seconds,
                _preload_content=False,
                _request_timeout=(CONNECT_SECONDS, self._watch_seconds + SILENCE_SECONDS),
            )
        self._response = response
        try:
            yield Part((), version)
            for lines in _lines(response):
                try:
                    part = self._part(lines, version)
                except msgspec.DecodeError as error:
                    # Asked again from here, it would come again.
                    raise Gone(f"an event that cannot be read: {error}") from error
                version = part.version
                yield part
        finally:
            self._response = None
            response.close()

    def interrupt(self) -> None:
        """End a watch that is under way. From any thread."""
        response = self._response
        if response is not None:
            with suppress(OSError, ValueError, RuntimeError):  # it may just be ending by itself
                response.shutdown()

    def _part(self, lines: list[bytes], version: str) -> Part[Thing]:
        events: list[Event[Thing]] = []
        for line in lines:
            event = msgspec.json.decode(line, type=_Event)
            if event.type == "ERROR":
                complaint = msgspec.json.decode(event.object, type=Complaint)
                raise Gone(f"{complaint.code} {complaint.message}")
            if event.type == "BOOKMARK":
                version = msgspec.json.decode(event.object, type=_Version).metadata.resourceVersion or version
                continue
            thing, seen = self._read(event.object)
            version = seen or version
            events.append(Event(thing, event.type == "DELETED"))
        return Part(tuple(events), version)

    def _accept(self, kind: str) -> None:
        if self._lean:
            self._client.default_headers["Accept"] = LEAN.format(kind=kind)


def _lines(response: Any) -> Iterator[list[bytes]]:
    """The whole lines of every chunk as it comes."""
    rest = b""
    chunks = response.stream(CHUNK_BYTES)
    while True:
        with translated():
            chunk = next(chunks, None)
        if chunk is None:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            raise Trouble(f"an event of more than {LINE_BYTES_MAX} bytes")
        lines = [line for line in lines if line.strip()]
        if lines:
            yield lines
