"""The adjudicator's settings (environment prefix TAUSQL_ADJUDICATOR_)."""

from __future__ import annotations

from pydantic import Field

from tausql.runtime.settings import ServiceSettings, settings_for


class AdjudicatorSettings(ServiceSettings):
    """Bounds are per stream unless they say otherwise."""

    model_config = settings_for("ADJUDICATOR")

    ownership_seconds: float = Field(
        default=60.0,
        gt=0,
        description="What a stream owns is written again after so long, if anything was: what precedes it may then go.",
    )
    seal_seconds: float = Field(
        default=30.0,
        ge=0,
        description="A stream that is to go owns nothing for so long before it ends: nobody has questions left then.",
    )
    transaction_seconds_max: int = Field(
        default=300, ge=1, description="Longest transaction: DSQL's limit of five minutes."
    )
    window_margin_seconds: int = Field(
        default=60, ge=0, description="How much longer history is kept, for clocks and queues."
    )
    history_bytes_max: int = Field(
        default=256 << 20, ge=1 << 20, description="Memory for conflict history; above it the floor rises."
    )
    outcomes_max: int = Field(default=500_000, ge=1000, description="Verdicts remembered: about 100 MB of them.")
    limit_ahead_micros: int = Field(
        default=1_000_000,
        ge=50_000,
        le=2_500_000,
        description="How far ahead of now a limit is asked for: bridges a stall, and a takeover waits it out.",
    )
    limit_seconds_between: float = Field(
        default=0.4,
        gt=0,
        description="How often the limit is extended: two chances before it runs out. Each costs every journal a sync, "
        "and is most of what an idle fleet costs.",
    )
    resign_seconds: float = Field(default=0.5, gt=0, description="A holder that cannot close time for so long resigns.")
    lead_start_micros: int = Field(default=1_000, ge=0, description="Lead before the first append was measured.")
    lead_way_micros: int = Field(
        default=100, ge=0, description="The way from a committed append to storage, added to the measured append."
    )
    lead_micros_max: int = Field(
        default=200_000,
        ge=0,
        description="Beyond it, commits would wait for the clock rather than for disks: enough for regions that are "
        "60 ms apart, there and back again and on to the readers.",
    )
    waiting_max: int = Field(default=4096, ge=1, description="Commits that may wait for a higher limit.")
    storage_lag_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Commits are held back while what the slowest storage replica holds durably is further behind; "
        "half of what the crossbars hold the log for a replica that is silent.",
    )
    storage_hold_seconds_max: float = Field(
        default=1.0, ge=0, description="How long a commit is held back at twice that lag, and beyond."
    )
    uncommitted_max: int = Field(default=8192, ge=1, description="Records enqueued and not on a majority yet.")
    uncommitted_bytes_max: int = Field(default=64 << 20, ge=16 << 20, description="Their bytes.")
    append_bytes_max: int = Field(
        default=4 << 20, ge=1024, le=12 << 20, description="Payload of one append, well below a message's 16 MiB."
    )
    append_deadline_seconds: float = Field(
        default=2.0, gt=0, description="After it an append counts as lost and is sent again."
    )
    in_flight_max: int = Field(
        default=8, ge=1, description="Appends on the way to one replica; more brought nothing when measured."
    )
    probe_seconds: float = Field(default=0.1, gt=0, description="How often a stream that nobody holds is looked at.")
    standby_seconds: float = Field(
        default=0.25, gt=0, description="How often a stream that somebody holds is: most of a takeover's time."
    )
    patience_seconds: float = Field(
        default=0.04, ge=0, description="Head start of every adjudicator that is preferred to this one."
    )
    watchers_max: int = Field(
        default=1024, ge=1, description="Watchers of holdings, and of beats, served at once by the process."
    )
