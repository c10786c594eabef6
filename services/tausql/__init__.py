"""TauSQL: a serverless, PostgreSQL-compatible, distributed SQL database.

One folder a service (frontend, processor, adjudicator, journal, crossbar, storage, timekeeper), and below them what
they share: `sql` (the language), `pgwire` (the PostgreSQL protocol), `protocol` (their messages), `rpc` (how messages
travel) and `runtime` (clock, settings, metrics, lifecycle). `docs/architecture.md` is the map.
"""
