"""What a timekeeper is told at start."""

from __future__ import annotations

from pydantic import Field

from tausql.runtime.settings import ServiceSettings, settings_for


class TimekeeperSettings(ServiceSettings):
    """Environment: `TAUSQL_TIMEKEEPER_...`."""

    model_config = settings_for("TIMEKEEPER")

    assumed_error_us: int | None = Field(
        default=None,
        ge=0,
        description="The error bound, in us, to use where the kernel vouches for none, or for a wider one. No number "
        "is right for an undisciplined clock, so by default such a timekeeper refuses to answer. Where all processes "
        "share one machine they share one oscillator, and 20 us, the time between two readings, is honest.",
    )
