"""Guards of processors, sessions and index builds: what a client is told, and what it may be told again."""

from __future__ import annotations

from tausql.simulation.guards.guard import WIDE_CLOCKS, Edit, Guard, Hint

_COMMITS = "tausql.processor.commits:Commits."
_TRANSACTION = "tausql.processor.transaction:Transaction."
_BUFFER = "tausql.processor.buffer:WriteBuffer."
_BUILD = "tausql.sql.jobs.index_build:_write_entries"
_OUT = "tausql.processor.listener:SessionConnection."
_RELAY = "tausql.frontend.relay:RemoteSession."
_LOST = Hint("inserts", faults=("kill in flight", "link cut one way", "loss", "pause"))
_KILLED = Hint("inserts", faults=("killed with a commit", "connection breaks", "processor drains", "kill"))
_BROKEN = Hint(
    "inserts,tokens", faults=("connections break with a commit", "killed with a commit", "connection breaks", "kill")
)
_BUILDS = Hint("indexed", faults=("processor drains", "pause", "slow link", "connection breaks"))

GUARDS = (
    Guard(
        "processor-one-snapshot",
        "A transaction reads at one tau_start.",
        (Edit(_TRANSACTION + "take_snapshot", "if not self.tau_start:", "if True:"),),
        Hint("bank,appends"),
    ),
    Guard(
        "processor-held-rows",
        "Rows are shown once every clock has passed the newest tau among them (I9).",
        (Edit("tausql.processor.reads:Attempts._show", "if reads.snapshots.passed(answer.newest):", "if True:"),),
        Hint("sightings", shape=WIDE_CLOCKS),
    ),
    Guard(
        "processor-never-resent",
        "A commit whose fate is unknown is never sent again.",
        (Edit(_COMMITS + "_send", "if isinstance(answer, Failure) and answer.unsent:", "if True:"),),
        _LOST,
    ),
    Guard(
        "processor-outcome",
        "A client is told 40001 only when it is certain that nothing happened.",
        (
            Edit(
                _COMMITS + "_send",
                "await settle(self._host, self._placement, self._snapshots, question, self._beyond_seconds)",
                "Aborted(Reason.not_holder)",
            ),
        ),
        _LOST,
    ),
    Guard(
        "processor-schema",
        "A commit names every schema it relied on.",
        (Edit(_TRANSACTION + "commit", "schema |= buffer.relations", "schema = set(self.changes)"),),
        Hint("schema changes"),
    ),
    Guard(
        "processor-verified",
        "The schema of a statement that writes without reading is checked before the commit.",
        (Edit(_TRANSACTION + "commit", "if self._unverified:", "if False:"),),
        Hint("schema changes", faults=("slow link", "pause", "processor drains", "kill")),
    ),
    Guard(
        "processor-lock",
        "FOR UPDATE is a write to the adjudicator.",
        (Edit(_BUFFER + "lock_row", "self._touch(relation, key, _WRITES)", "pass"),),
        Hint("write skew"),
    ),
    Guard(
        "processor-unique",
        "Entries of unique indexes are conflict keys, as rows are.",
        (Edit(_BUFFER + "put_entry", "if unique and key not in self._entry_conflicts:", "if False:"),),
        _BUILDS,
    ),
    Guard(
        "index-shares",
        "A build shares the rows whose entries it writes.",
        (Edit(_BUILD, "transaction.share_row(table.oid, row_key)", "pass"),),
        _BUILDS,
    ),
    Guard(
        "index-unique",
        "The build of a unique index fails where two rows want one entry.",
        (
            Edit(_BUILD, ".setdefault(entry, row_key) != row_key:", ".setdefault(entry, row_key) is None:"),
            Edit(_BUILD, "if index.unique and any(", "if False and any("),
        ),
        _BUILDS,
    ),
    Guard(
        "index-ready",
        "An index is read once it is complete, not before.",
        (
            Edit(
                "tausql.sql.tables:IndexAccess.__init__",
                "self.ready = index.state == IndexState.ready",
                "self.ready = True",
            ),
        ),
        _BUILDS,
    ),
    Guard(
        "index-own-entry",
        "A unique entry goes only with the row that it names.",
        (
            Edit("tausql.sql.execution.writes:apply_changes", "None and before not in foreign:", "None:"),
            Edit(
                "tausql.sql.tables:TableAccess.remove_entries",
                "None and not (access.unique and key in foreign):",
                "None:",
            ),
        ),
        _BUILDS,
    ),
    Guard(
        "session-announced",
        "A commit is announced to the frontend before it is sent.",
        (Edit(_COMMITS + "commit", "if announce is not None:", "if False:"),),
        _KILLED,
    ),
    Guard(
        "session-announced-whole",
        "It is sent once the kernel has taken its announcement.",
        (
            Edit(_OUT + "_written", "if not self._empty():", "if False:"),
            Edit(_OUT + "_written", "return witness is None or", "return True or"),
        ),
        _KILLED,
    ),
    Guard(
        "session-witness-told",
        "The session's witness is told of it, too, and before it is sent.",
        (Edit(_OUT + "push", "WITNESSED.pack(*self._key, commit)", "WITNESSED.pack(*self._key, commit - 1)"),),
        _BROKEN,
    ),
    Guard(
        "session-witness-asked",
        "A connection that broke proves nothing: the witness is asked whether a commit was sent.",
        (Edit(_RELAY + "connection_lost", "self._mover.when_proven(self, self._lost)", "self._lost(True)"),),
        _BROKEN,
    ),
    Guard(
        "session-witness-counted",
        "A witness proves something of a session whose commits it has all heard of.",
        (
            Edit(
                "tausql.frontend.witnesses:Witness.proves",
                "return self.clean and self._numbers.get(key, -1) == commits",
                "return True",
            ),
        ),
        _BROKEN,
    ),
    Guard(
        "session-outcome",
        "What became of an announced commit is asked, not guessed.",
        (
            Edit(
                _COMMITS + "resolve",
                "self._metrics.outcomes_asked += 1",
                "return",
            ),
        ),
        _KILLED,
    ),
    Guard(
        "session-replayed",
        "A request is run again only where its commit was certainly not sent.",
        (
            Edit(
                "tausql.frontend.loss:plan_of",
                "everything is not None and situation.tail.unanswered and sure",
                "everything is not None and situation.tail.unanswered",
            ),
        ),
        _KILLED,
    ),
)
