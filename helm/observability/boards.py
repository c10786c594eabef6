"""All dashboards, in the order they are listed."""

from __future__ import annotations

from helm.observability.boards_clients import CHAOS, SESSIONS
from helm.observability.boards_commit import ADJUDICATORS, COMMIT_PATH
from helm.observability.boards_data import JOURNAL, STORAGE
from helm.observability.boards_overview import OVERVIEW
from helm.observability.boards_time import TIME
from helm.observability.panels import Board

BOARDS: tuple[Board, ...] = (OVERVIEW, COMMIT_PATH, TIME, JOURNAL, ADJUDICATORS, STORAGE, SESSIONS, CHAOS)
