"""Every message of the fleet: what a process's one decoder understands."""

from __future__ import annotations

from tausql.protocol import (
    adjudicator,
    backup,
    changefeed,
    clusters,
    control,
    crossbar,
    journal,
    processor,
    storage,
    timekeeper,
)

ALL = (
    journal.MESSAGES
    | adjudicator.MESSAGES
    | crossbar.MESSAGES
    | storage.MESSAGES
    | processor.MESSAGES
    | timekeeper.MESSAGES
    | control.MESSAGES
    | clusters.MESSAGES
    | changefeed.MESSAGES
    | backup.MESSAGES
)
