"""What each service is made of, by name: the one place that imports them all.

Imported once, by the supervisor, before it forks: every process then shares these modules' memory and starts at once.
"""

from __future__ import annotations

from tausql.adjudicator import app as adjudicator_app
from tausql.adjudicator import service as adjudicator_service
from tausql.changefeed import app as changefeed_app
from tausql.changefeed import service as changefeed_service
from tausql.control import app as control_app
from tausql.control import given_service as control_service
from tausql.crossbar import app as crossbar_app
from tausql.crossbar import service as crossbar_service
from tausql.frontend import app as frontend_app
from tausql.frontend import service as frontend_service
from tausql.journal import app as journal_app
from tausql.journal import service as journal_service
from tausql.processor import app as processor_app
from tausql.processor import service as processor_service
from tausql.runtime.process import Part
from tausql.storage import app as storage_app
from tausql.storage import service as storage_service
from tausql.timekeeper import app as timekeeper_app
from tausql.timekeeper import service as timekeeper_service


def parts() -> dict[str, Part]:
    """Every service: how to build it, how to make its app."""
    return {
        "timekeeper": Part(timekeeper_service.build, timekeeper_app.create_app),
        "journal": Part(journal_service.build, journal_app.create_app),
        "adjudicator": Part(adjudicator_service.build, adjudicator_app.create_app),
        "crossbar": Part(crossbar_service.build, crossbar_app.create_app),
        "storage": Part(storage_service.build, storage_app.create_app),
        "processor": Part(processor_service.build, processor_app.create_app),
        "frontend": Part(frontend_service.build, frontend_app.create_app),
        "control": Part(control_service.build, control_app.create_app),
        "changefeed": Part(changefeed_service.build, changefeed_app.create_app),
    }
