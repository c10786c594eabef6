"""The crossbar's settings (environment prefix TAUSQL_CROSSBAR_)."""

from __future__ import annotations

from pydantic import Field

from tausql.runtime.settings import ServiceSettings, settings_for


class CrossbarSettings(ServiceSettings):
    model_config = settings_for("CROSSBAR")

    ring_bytes_max: int = Field(
        default=32 << 20,
        description="Records kept for subscribers a little behind: seconds at full load, and no more memory.",
    )
    ring_records_max: int = Field(
        default=50_000, description="The same, counted: small records cost more than their bytes."
    )
    catch_up_bytes_max: int = Field(
        default=4 << 20, description="Records read ahead for one subscriber that catches up; times `feeds_max`."
    )
    ready_bytes_max: int = Field(
        default=16 << 20,
        description="Released records of one stream that wait for another; above it the stream is read later.",
    )
    lag_seconds: float = Field(
        default=0.1,
        description="How long a journal replica may lack records that a beat spoke of before another is read.",
    )
    pause_seconds: float = Field(
        default=0.004,
        description="Between two watermarks without records that nobody waits for; beats come every 5 ms.",
    )
    subscribers_max: int = Field(default=256, description="Subscriptions at once.")
    feeds_max: int = Field(default=16, description="Subscribers that catch up at once, each on a feed of its own.")
    jump_seconds: float = Field(
        default=5.0,
        description="A subscriber further ahead of the main feed than this does not wait for it to catch up.",
    )
    idle_seconds: float = Field(
        default=60.0, description="The main feed stops so long after its last subscriber has gone."
    )
    trim_seconds: float = Field(default=30.0, description="Between two looks at how far the journal may be trimmed.")
    window_seconds: int = Field(
        default=360,
        description="Never trimmed: the longest transaction (300 s) and a margin, for outcomes and takeovers.",
    )
    hold_seconds: float = Field(
        default=120.0, description="A storage replica not heard from for so long holds no log; it reports every 10 s."
    )
    lag_told_seconds: float = Field(
        default=30.0,
        description="Adjudicators are told of a storage replica that stays further behind: they slow down in time.",
    )
    trim_deadline_seconds: float = Field(
        default=5.0, description="For the journal to answer a trim; it is sent again anyway."
    )
