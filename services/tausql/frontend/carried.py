"""What a frontend knows of a session's state, from its processor's notes: enough to open it on another one."""

from __future__ import annotations

from tausql.frontend.loss import Plan
from tausql.pgwire import backend
from tausql.protocol.processor import CarriedStatement, Changed, Restore

_MAY_BE_SET = ("TimeZone", "IntervalStyle", "application_name", "DateStyle", "client_encoding")


class CarriedState:
    """One session's settings, prepared statements and values of sequences, as they outlive a transaction."""

    __slots__ = ("immovable", "process_id", "secret", "sequences", "settings", "statements")

    def __init__(self) -> None:
        self.process_id = 0
        self.secret = 0
        self.settings: dict[str, str] = {}
        self.statements: dict[str, CarriedStatement] = {}
        self.sequences: dict[int, int] = {}  # what currval says, by oid
        self.immovable = ""  # why it cannot be opened elsewhere

    def apply(self, changed: Changed) -> None:
        self.settings.update(changed.settings)
        if changed.cleared:
            unnamed = self.statements.pop("", None)
            self.statements = {} if unnamed is None else {"": unnamed}
        for name in changed.closed:
            self.statements.pop(name, None)
        for statement in changed.statements:
            self.statements[statement.name] = statement
        self.sequences.update(changed.sequences)

    def give_up(self, reason: str) -> None:
        """It cannot be moved any more: nothing of it needs to be kept."""
        self.immovable = reason
        self.settings = {}
        self.statements = {}
        self.sequences = {}

    def news(self, before: dict[str, str], now: dict[str, str], unsure: bool) -> bytes:
        """The ParameterStatus messages that a client needs whose processors have reported `before` and `now`.

        unsure: a transaction was lost, which took back what it had SET and the client had been told."""
        known = {name.lower(): value for name, value in self.settings.items()}
        news = b""
        for name, value in now.items():
            if (unsure and name in _MAY_BE_SET) or known.get(name.lower(), before.get(name)) != value:
                news += backend.parameter_status(name, value)
        return news

    def restore(self, age_seconds: float, plan: Plan) -> Restore:
        return Restore(
            self.process_id,
            self.secret,
            age_seconds,
            self.settings,
            list(self.statements.values()),
            plan.lost,
            plan.skipping,
            plan.question,
            plan.settings,
            list(self.sequences.items()),
        )
