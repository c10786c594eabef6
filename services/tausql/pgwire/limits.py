"""What one peer may make the other hold in memory: Aurora DSQL's limit where it has one, PostgreSQL's elsewhere."""

from __future__ import annotations

from tausql.protocol.errors import Code, SqlError

MESSAGE_BYTES_MAX = 10 * 1024 * 1024  # a client's message, its length field included
STARTUP_BYTES_MAX = 10_000  # a startup packet comes before any proof of who sends it
PASSWORD_BYTES_MAX = 64 * 1024  # tokens are some 330 bytes, signed ones of other systems a few thousand
SERVER_MESSAGE_BYTES_MAX = 64 * 1024 * 1024  # what a client accepts: a row may hold several values of megabytes


def protocol_violation(message: str, severity: str = "FATAL") -> SqlError:
    """08P01. FATAL where the byte stream can no longer be followed, ERROR where only one message is unusable."""
    return SqlError(Code.protocol_violation, message, severity=severity)
