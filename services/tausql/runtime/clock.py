"""The interval clock: now, and how wrong that may be.

A single reading of the wall clock is worthless for ordering commits: it can be off by anything and step back. Each
source of time gives samples, which say "true time minus my own oscillator lay between these two"; a sample ages, by
drift, into a wider one. A majority of sources is believed (`marzullo`). The bounds handed out never step back: an
earlier lower bound stays true for ever, and an upper bound only becomes less tight. After a step back they stand still
until time has caught up with them; too far back, and there is no time to be had: whoever waited would wait for long.

All arithmetic is in whole microseconds; `raw` is an oscillator nobody adjusts (CLOCK_MONOTONIC_RAW). It stands still
while the machine sleeps, and on waking every old sample would put the present into the past. So each reading is
held against a clock that runs on through sleep: where that has gone ahead, all samples are thrown away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tausql.runtime.host import ClockUnsure, Interval
from tausql.runtime.marzullo import Claim, agree, falsetickers

SAMPLES_MAX = 8  # of one source: the best of them counts
REMEMBERED_US = 60_000_000  # as long counts how many sources there were: a list is wrong for seconds, not minutes
ERROR_UNKNOWN_US = 1 << 62
SLEEP_US_MIN = 1_000  # a shorter sleep than any machine can take; the reading of two clocks takes less
HELD_US_MAX = 1_000_000  # how far behind its own last word a clock may be and still stand still for it


class Sample(NamedTuple):
    """At oscillator time `raw`, true time minus `raw` lay within `low` and `high`."""

    raw: int
    low: int
    high: int

    def aged(self, raw: int, drift_ppm: int) -> Claim:
        """The same at another oscillator time."""
        drift = abs(raw - self.raw) * drift_ppm // 1_000_000 + 1
        return Claim(self.low - drift, self.high + drift)


def sample_of(sent: int, received: int, earliest: int, latest: int, drift_ppm: int) -> Sample | None:
    """What an answer (earliest, latest) to a question sent and received at these oscillator times proves; None where
    it makes no sense. The answer was true at some moment in between."""
    if received < sent or latest < earliest:
        return None
    drift = (received - sent) * drift_ppm // 1_000_000 + 1
    return Sample(received, earliest - received - drift, latest - sent + drift)


class Estimator:
    """Samples in, the agreed interval of (true time - oscillator) out.

    sources: the names of those there are at first, reachable or not. sources_min: how many are counted at least,
    listed or not. A minority of all that are counted may be wrong.

    Sources come and go (`admit`, `dismiss`), and a list that is wrong for a moment must not make a single liar the
    majority: so as many are counted as were listed at once within `REMEMBERED_US`. Where too few agree, what was agreed
    before stands: it is as true as ever, only older, and ages until it is of no use. See docs/decisions/0005.
    """

    def __init__(self, sources: Sequence[str], drift_ppm: int, sources_min: int = 1) -> None:
        self._samples: dict[str, deque[Sample]] = {name: deque(maxlen=SAMPLES_MAX) for name in sources}
        self._most = 0  # were listed at once, lately
        self._most_from: int | None = None  # since this oscillator time no longer; None until the next sample tells
        self._sources_min = sources_min
        self.drift_ppm = drift_ppm
        self.agreed: Sample | None = None
        self.falsetickers: list[str] = []
        self.reason = "no source has answered yet"
        self.forgotten: Callable[[], None] = lambda: None  # called when all samples had to be thrown away

    @property
    def sources(self) -> int:
        """Of how many sources a minority may be wrong."""
        return max(len(self._samples), self._most, self._sources_min)

    def admit(self, name: str) -> None:
        """There is a source of this name."""
        self._samples.setdefault(name, deque(maxlen=SAMPLES_MAX))

    def dismiss(self, name: str) -> None:
        """This source is listed no more: what it said is not counted again. Its place may be taken on the same machine,
        and a wrong clock would else count twice."""
        if name not in self._samples:
            return
        self._most = max(self._most, len(self._samples))
        self._most_from = None
        del self._samples[name]

    def forget(self, reason: str) -> None:
        """Everything said so far is worthless: the oscillator has stood still. Time is unsure until all is asked
        again."""
        for samples in self._samples.values():
            samples.clear()
        self.agreed = None
        self.falsetickers = []
        self.reason = reason
        self.forgotten()

    def add(self, source: str, sample: Sample) -> None:
        """A new sample of a source; of one that is not admitted it is dropped. Old ones that contradict it are
        dropped: the source has been set."""
        samples = self._samples.get(source)
        if samples is None:
            return
        for old in list(samples):
            aged = old.aged(sample.raw, self.drift_ppm)
            if aged.high < sample.low or aged.low > sample.high:
                samples.remove(old)
        samples.append(sample)
        if self._most:
            self._age(sample.raw)
        self._agree(sample.raw)

    def best(self, source: str, raw: int) -> Claim | None:
        """The tightest claim that the samples of a source amount to by now."""
        claims = [sample.aged(raw, self.drift_ppm) for sample in self._samples[source]]
        return min(claims, key=_width, default=None)

    def _agree(self, raw: int) -> None:
        claims = [(name, claim) for name in self._samples if (claim := self.best(name, raw)) is not None]
        sources = self.sources
        agreed = agree([claim for _, claim in claims], sources)
        if agreed is None:
            self.falsetickers = []
            self.reason = f"{len(claims)} of {sources} sources answered, and no majority of all agrees"
            return
        self.falsetickers = falsetickers(claims, agreed)
        if self.agreed is not None:
            before = self.agreed.aged(raw, self.drift_ppm)
            if _width(before) < _width(agreed) and agreed.low <= before.high and before.low <= agreed.high:
                return  # both are true, and the older one says more
        self.agreed = Sample(raw, agreed.low, agreed.high)

    def _age(self, raw: int) -> None:
        """Forget how many were listed. Time counts from the first sample since."""
        if self._most_from is None:
            self._most_from = raw
        elif raw - self._most_from >= REMEMBERED_US:
            self._most = 0


def _width(claim: Claim) -> int:
    return claim.high - claim.low


def _set_back(behind_us: int) -> str:
    return f"the clock has been set back: it is {behind_us} us behind what it said before"


class EstimatedClock:
    """A `Clock` on an oscillator and what an `Estimator` makes of it.

    read_us: the oscillator. error_us_max: half the interval's width above which no time is given. awake_us: a clock
    that stands still while the machine sleeps, boot_us: one that goes on, both steered alike (CLOCK_MONOTONIC and
    CLOCK_BOOTTIME); without them the machine is taken never to sleep.
    """

    def __init__(
        self,
        estimator: Estimator,
        read_us: Callable[[], int],
        error_us_max: int,
        awake_us: Callable[[], int] | None = None,
        boot_us: Callable[[], int] | None = None,
    ) -> None:
        self._estimator = estimator
        self._read_us = read_us
        self._error_us_max = error_us_max
        self._drift_ppm = estimator.drift_ppm
        self._awake_us = awake_us or read_us
        self._boot_us = boot_us or read_us
        self._asleep = self._boot_us() - self._awake_us()  # as long has this machine slept, as far as is known
        self._ahead = 0  # how far boot_us may be ahead of the oscillator before it must be looked into
        self._earliest = 0
        self._latest = 0
        self._new = tuple.__new__
        self.readings = 0  # how often it was asked, for whoever decides how often to look at the sources
        self.holds = 0  # times a bound stood still because the new estimate lay behind it
        self.sleeps = 0  # times this machine was found to have slept
        self.look()

    def look(self) -> int:
        """Has the machine slept since the last look? Then all samples are thrown away. Returns `sleeps`.

        boot_us is read first: a pause between the two readings hides a sleep until the next look, and never makes one
        up."""
        boot = self._boot_us()
        slept = boot - self._awake_us() - self._asleep
        if slept > 0:
            self._asleep += slept
        if slept > SLEEP_US_MIN:
            self.sleeps += 1
            self._estimator.forget(f"this machine slept for {slept} us: the timekeepers must be asked again")
        # The two are steered differently, so they drift apart, by less than this until the next look.
        self._ahead = self._boot_us() - self._read_us() + SLEEP_US_MIN
        return self.sleeps

    def now(self) -> Interval:
        self.readings += 1
        raw = self._read_us()
        if self._boot_us() - raw > self._ahead:
            self.look()
        agreed = self._estimator.agreed
        if agreed is None:
            raise ClockUnsure(self._estimator.reason)
        sampled, low, high = agreed
        drift = (raw - sampled) * self._drift_ppm // 1_000_000 + 1
        earliest = raw + low - drift
        latest = raw + high + drift
        if latest - earliest > 2 * self._error_us_max:
            raise ClockUnsure(f"the error bound is {(latest - earliest) // 2} us, more than {self._error_us_max}")
        if earliest > self._earliest:
            self._earliest = earliest
        else:
            earliest = self._earliest
        if latest > self._latest:
            self._latest = latest
        else:
            if self._latest - latest > HELD_US_MAX:
                raise ClockUnsure(_set_back(self._latest - latest))
            self.holds += latest < self._latest
            latest = self._latest
        return self._new(Interval, (earliest, latest))

    @property
    def sources(self) -> int:
        """Of how many timekeepers a majority must agree."""
        return self._estimator.sources

    @property
    def ready(self) -> bool:
        return not self.unsure()

    def unsure(self) -> str:
        """Why there is no time to be had; empty where there is."""
        self.look()
        agreed = self._estimator.agreed
        if agreed is None:
            return self._estimator.reason
        raw = self._read_us()
        claim = agreed.aged(raw, self._drift_ppm)
        if _width(claim) > 2 * self._error_us_max:
            return f"the error bound is {_width(claim) // 2} us, more than {self._error_us_max}"
        behind = self._latest - (raw + claim.high)
        return _set_back(behind) if behind > HELD_US_MAX else ""

    def error_us(self) -> int:
        """Half the interval's width just now; `ERROR_UNKNOWN_US` where there is none."""
        agreed = self._estimator.agreed
        if agreed is None:
            return ERROR_UNKNOWN_US
        claim = agreed.aged(self._read_us(), self._drift_ppm)
        return _width(claim) // 2


class HostClock:
    """A `Clock` on the machine's own wall clock, for where the kernel (or the settings) vouches for it.

    read_us: the wall clock. bound_us: the error bound just now, None where unknown; asked at most every
    `refresh_us`, because it takes a system call.
    """

    def __init__(
        self,
        read_us: Callable[[], int],
        bound_us: Callable[[], int | None],
        error_us_max: int,
        refresh_us: int = 100_000,
    ) -> None:
        self._read_us = read_us
        self._bound_us = bound_us
        self._error_us_max = error_us_max
        self._refresh_us = refresh_us
        self._error: int | None = None
        self._error_from = 0
        self._error_until = -1
        self._earliest = 0
        self._latest = 0
        self._new = tuple.__new__
        self.holds = 0

    def now(self) -> Interval:
        wall = self._read_us()
        if not self._error_from <= wall < self._error_until:
            self._refresh(wall)
        error = self._error
        if error is None:
            raise ClockUnsure(self.unsure())
        earliest = wall - error
        latest = wall + error
        if earliest > self._earliest:
            self._earliest = earliest
        else:
            earliest = self._earliest
        if latest > self._latest:
            self._latest = latest
        else:
            if self._latest - latest > HELD_US_MAX:
                raise ClockUnsure(_set_back(self._latest - latest))
            self.holds += latest < self._latest
            latest = self._latest
        return self._new(Interval, (earliest, latest))

    @property
    def ready(self) -> bool:
        return not self.unsure()

    def unsure(self) -> str:
        """Why there is no time to be had; empty where there is."""
        wall = self._read_us()
        if not self._error_from <= wall < self._error_until:
            self._refresh(wall)
        if self._error is not None:
            behind = self._latest - (wall + self._error)
            return _set_back(behind) if behind > HELD_US_MAX else ""
        bound = self._bound_us()
        if bound is None:
            return "the kernel says its clock is not synchronised, and no assumed error is set"
        return f"the error bound is {bound} us, more than {self._error_us_max}"

    def error_us(self) -> int:
        """The error bound just now; `ERROR_UNKNOWN_US` where there is none."""
        bound = self._bound_us()
        return ERROR_UNKNOWN_US if bound is None else bound

    def _refresh(self, wall: int) -> None:
        bound = self._bound_us()
        self._error = bound if bound is not None and bound <= self._error_us_max else None
        self._error_from = wall
        self._error_until = wall + self._refresh_us


class FixedError(HostClock):
    """A `Clock` on any reader, with a constant error: for tests and simulations."""

    def __init__(self, read_us: Callable[[], int], error_us: int = 20) -> None:
        super().__init__(read_us, lambda: error_us, error_us)
