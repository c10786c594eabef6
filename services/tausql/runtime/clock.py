"""The interval clock: now, and how wrong that may be.

A single reading of the wall clock is worthless for ordering commits: it can be off by anything and step back. Each
source of time gives samples, which say "true time minus my own oscillator lay between these two"; a sample ages, by
drift, into a wider one. A majority of sources is believed (`marzullo`). The bounds handed out never step back: an
earlier lower bound stays true for ever, and an upper bound only becomes less tight. After a step back they stand still
until time has caught up with them; too far back, and there is no time to be had: whoever waited would wait for long.

All arithmetic is in whole microseconds; `raw` is an oscillator nobody adjusts (CLOCK_MONOTONIC_RAW).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tausql.runtime.host import ClockUnsure, Interval
from tausql.runtime.marzullo import Claim, agree, falsetickers

SAMPLES_MAX = 8  # of one source: the best of them counts
ERROR_UNKNOWN_US = 1 << 62
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

    sources: the names of all there are, reachable or not; a majority of them must agree.
    """

    def __init__(self, sources: Sequence[str], drift_ppm: int) -> None:
        if not sources:
            raise ValueError("a clock needs a source")
        self._samples: dict[str, deque[Sample]] = {name: deque(maxlen=SAMPLES_MAX) for name in sources}
        self.drift_ppm = drift_ppm
        self.agreed: Sample | None = None
        self.falsetickers: list[str] = []
        self.reason = "no source has answered yet"

    def add(self, source: str, sample: Sample) -> None:
        """A new sample of a source. Old ones that contradict it are dropped: the source has been set."""
        samples = self._samples[source]
        for old in list(samples):
            aged = old.aged(sample.raw, self.drift_ppm)
            if aged.high < sample.low or aged.low > sample.high:
                samples.remove(old)
        samples.append(sample)
        self._agree(sample.raw)

    def best(self, source: str, raw: int) -> Claim | None:
        """The tightest claim that the samples of a source amount to by now."""
        claims = [sample.aged(raw, self.drift_ppm) for sample in self._samples[source]]
        return min(claims, key=_width, default=None)

    def _agree(self, raw: int) -> None:
        claims = [(name, claim) for name in self._samples if (claim := self.best(name, raw)) is not None]
        agreed = agree([claim for _, claim in claims], len(self._samples))
        if agreed is None:
            self.agreed = None
            self.falsetickers = []
            self.reason = f"{len(claims)} of {len(self._samples)} sources answered, and no majority of all agrees"
            return
        self.falsetickers = falsetickers(claims, agreed)
        self.agreed = Sample(raw, agreed.low, agreed.high)


def _width(claim: Claim) -> int:
    return claim.high - claim.low


def _set_back(behind_us: int) -> str:
    return f"the clock has been set back: it is {behind_us} us behind what it said before"


class EstimatedClock:
    """A `Clock` on an oscillator and what an `Estimator` makes of it.

    read_us: the oscillator. error_us_max: half the interval's width above which no time is given.
    """

    def __init__(self, estimator: Estimator, read_us: Callable[[], int], error_us_max: int) -> None:
        self._estimator = estimator
        self._read_us = read_us
        self._error_us_max = error_us_max
        self._drift_ppm = estimator.drift_ppm
        self._earliest = 0
        self._latest = 0
        self._new = tuple.__new__
        self.readings = 0  # how often it was asked, for whoever decides how often to look at the sources
        self.holds = 0  # times a bound stood still because the new estimate lay behind it

    def now(self) -> Interval:
        self.readings += 1
        agreed = self._estimator.agreed
        if agreed is None:
            raise ClockUnsure(self._estimator.reason)
        sampled, low, high = agreed
        raw = self._read_us()
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
    def ready(self) -> bool:
        return not self.unsure()

    def unsure(self) -> str:
        """Why there is no time to be had; empty where there is."""
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
