"""All that control knows, in memory, and the one way to change it.

There are hundreds of records, not millions, so everybody who asks is answered from memory. A change is decided by a
function of what is known now, and is written under the number that follows; where another control was faster, what is
known is brought up to date and the function is asked again. So quotas, names, tokens and versions are checked in plain
code without a lock, and hold over all controls of all regions.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, cast

import msgspec

from tausql.control.system.store import Missed, Put, Store, Taken, Unavailable
from tausql.runtime import logs

TRIES = 20  # of one decision; each that fails lets another control's through
RECORDS_MAX = 200_000
KEPT_CHANGES = 1_000
TRIM_EVERY = 200
LOOK_SECONDS = 1.0  # somebody waits for an answer, and what is known is half a second old at most


class Record(msgspec.Struct, frozen=True):
    """One thing that is kept. Fields may be added, with defaults."""

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """Unique among its kind."""
        raise NotImplementedError

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.name}"


log = logs.get("control")
Kept = TypeVar("Kept", bound=Record)
Answer = TypeVar("Answer")


class Decision(NamedTuple, Generic[Answer]):
    """What to answer once all this is stored."""

    answer: Answer
    puts: Sequence[Record] = ()
    removed: Sequence[Record] = ()


class Image:
    """What is known. Only `State` changes it."""

    def __init__(self, forms: Iterable[type[Record]]) -> None:
        self.change = 0
        self._forms = {form.kind: form for form in forms}
        self._tables: dict[str, dict[str, Record]] = {kind: {} for kind in self._forms}

    def of(self, form: type[Kept]) -> Mapping[str, Kept]:
        """All of a kind, by name."""
        return cast(Mapping[str, Kept], self._tables[form.kind])

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    def keep(self, ids: Collection[str]) -> None:
        """These and no others."""
        for kind, table in self._tables.items():
            for name in [name for name in table if f"{kind}/{name}" not in ids]:
                del table[name]

    def take(self, put: Put) -> None:
        """Kinds of a newer release are none of ours: they stay where they are. A record that cannot be read stays as it
        was known: nobody is to be told that it is gone."""
        kind, _, name = put.id.partition("/")
        form = self._forms.get(kind)
        if form is None:
            return
        if put.body is None:
            self._tables[kind].pop(name, None)
        else:
            try:
                self._tables[kind][name] = msgspec.json.decode(put.body, type=form)
            except msgspec.DecodeError as error:
                log.error("a record of the system cluster cannot be read", id=put.id, why=str(error))


class State:
    """`alone`: no other control writes. `changed`: hears the ids of what did; None: everything may have."""

    def __init__(self, store: Store, forms: Iterable[type[Record]], *, alone: bool) -> None:
        self.image = Image(forms)
        self.loaded = False  # and nothing is doubtful
        self.known = False  # it was loaded once
        self.alone = alone
        self._store = store
        self._lock = asyncio.Lock()
        self._watchers: list[Callable[[Sequence[str] | None], None]] = []

    def watch(self, function: Callable[[Sequence[str] | None], None]) -> None:
        self._watchers.append(function)

    async def refresh(self) -> None:
        """Hear what others have written. Raises Unavailable."""
        if self.loaded and self.alone:
            return
        async with self._lock:
            await self._catch_up()

    async def look(self) -> None:
        """As `refresh`, before an answer: what is known will do where the tables cannot be asked now."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self.refresh()
        except (Unavailable, TimeoutError) as error:
            if not self.known:
                raise Unavailable("the system cluster is not there yet") from error

    async def change(self, decide: Callable[[Image], Decision[Answer]]) -> Answer:
        """Do what `decide` says; it may be asked more than once, and may raise. Raises Unavailable, after which the
        change may have been made or not."""
        writer = secrets.token_hex(8)
        async with self._lock:
            for _ in range(TRIES):
                if not self.loaded:
                    await self._catch_up()
                decision = decide(self.image)
                puts = [
                    *(Put(one.id, msgspec.json.encode(one).decode()) for one in decision.puts),
                    *(Put(one.id, None) for one in decision.removed),
                ]
                if not puts:
                    return decision.answer
                if len(self.image) + len(decision.puts) > RECORDS_MAX:
                    raise Unavailable(f"more than {RECORDS_MAX} records")
                number = self.image.change + 1
                try:
                    await self._store.append(number, writer, puts)
                except Taken:
                    if writer in await self._catch_up():
                        return decision.answer  # it was this very change, whose answer was lost
                    continue
                except Unavailable:
                    self.loaded = False  # whether it was written is seen when everything is read again
                    raise
                self._take(number, puts)
                if number % TRIM_EVERY == 0:
                    await self._trim(number)
                return decision.answer
        raise Unavailable("too many changes at once")

    async def _catch_up(self) -> set[str]:
        """Who wrote meanwhile, as far as that can be told."""
        try:
            changes = await self._store.after(self.image.change) if self.loaded else None
        except Missed:
            changes = None
        if changes is None:
            await self._load()
            return set()
        for change in changes:
            self._take(change.number, change.puts)
        return {change.writer for change in changes}

    async def _load(self) -> None:
        batch = await self._store.load()
        self.image.keep({put.id for put in batch.records})
        for put in batch.records:
            self.image.take(put)
        self.image.change = batch.change
        self.loaded = self.known = True
        self._tell(None)

    async def _trim(self, number: int) -> None:
        try:
            await self._store.trim(number - KEPT_CHANGES)
        except Unavailable:
            return  # the next one takes these too

    def _take(self, number: int, puts: Sequence[Put]) -> None:
        for put in puts:
            self.image.take(put)
        self.image.change = number
        self._tell([put.id for put in puts])

    def _tell(self, ids: Sequence[str] | None) -> None:
        for function in self._watchers:
            function(ids)


def nothing(answer: Any) -> Decision[Any]:
    """Nothing needs to be stored."""
    return Decision(answer)
