"""What a replica can be told, with a reason for every default."""

from __future__ import annotations

from pydantic import Field

from tausql.runtime.settings import ServiceSettings, settings_for


class JournalSettings(ServiceSettings):
    """Read from `TAUSQL_JOURNAL_...`."""

    model_config = settings_for("JOURNAL")

    segment_bytes_max: int = Field(
        default=16 << 20,
        ge=1,
        description="A segment is closed at this size. Whole segments are trimmed; the last is rewritten at start.",
    )
    cache_bytes_max: int = Field(
        default=32 << 20, ge=0, description="Newest records kept in memory for tails: some seconds of full load."
    )
    reserve_bytes: int = Field(
        default=4 << 20,
        ge=0,
        description="A file given up when the disk is full: promises still find room.",
    )
    spare_bytes: int = Field(
        default=64 << 20,
        ge=0,
        description="Holders are told to send no more transactions (53100) when the disk has less free: four segments, "
        "as much as may be on its way by then.",
    )
    waiting_bytes_max: int = Field(
        default=64 << 20, ge=1, description="Appends are refused (overloaded) while more waits for the next sync."
    )
    waiting_answers_max: int = Field(
        default=20_000, ge=1, description="Calls are refused (overloaded) while more answers wait for the next sync."
    )
    limit_ahead_seconds_max: float = Field(
        default=3.0,
        gt=0,
        description="How far ahead of this replica's clock a limit may be: holders ask for about 1 s, so a clock gone "
        "astray is caught, and the next epoch never has to wait longer than this.",
    )
    reluctance_seconds: float = Field(
        default=1.5,
        ge=0,
        description="A candidate is asked to wait so long after the holder last raised its limit (several times a "
        "second). Takeover from a holder that fell silent without a broken connection takes this and a round trip.",
    )
    commit_part_seconds: float = Field(
        default=0.02,
        gt=0,
        description="Between parts that tell tails nothing but a commit_seq: crossbars hear it from heartbeats first.",
    )
    introduce_seconds: float = Field(
        default=0.1, gt=0, description="Between attempts to reach the other replicas at genesis and as a learner."
    )
    call_seconds: float = Field(default=5.0, gt=0, description="Deadline of a call to another replica.")
    tails_max: int = Field(default=256, ge=1, description="Tails served at once: crossbars times streams, and more.")
