"""What clients are told when they are turned away or cut off: Aurora DSQL's texts where it has them."""

from __future__ import annotations

from tausql.protocol.errors import Code, SqlError, unknown_with_processor


def _fatal(code: Code, message: str, hint: str | None = None) -> SqlError:
    return SqlError(code, message, hint=hint, severity="FATAL")


def plaintext() -> SqlError:
    return _fatal(
        Code.connection_refused,
        "unable to accept connection, access denied",
        "TLS is required: connect with sslmode=require, or better verify-full.",
    )


def access_denied(hint: str | None = None) -> SqlError:
    return _fatal(Code.connection_refused, "unable to accept connection, access denied", hint)


def no_sni() -> SqlError:
    return _fatal(Code.connection_refused, "unable to accept connection, sni was not received")


def rate_exceeded() -> SqlError:
    return _fatal(Code.configuration_limit_exceeded, "Unable to accept connection, rate exceeded.")


def unknown_database(database: str) -> SqlError:
    return _fatal(Code.invalid_catalog_name, f'database "{database}" does not exist')


def no_alpn() -> SqlError:
    return _fatal(
        Code.protocol_violation,
        "received direct SSL connection request without ALPN protocol negotiation extension",
    )


def too_many_connections() -> SqlError:
    return _fatal(Code.too_many_connections, "Unable to accept connection, too many open connections.")


def authentication_timeout() -> SqlError:
    return _fatal(Code.query_canceled, "canceling authentication due to timeout")


def no_processor() -> SqlError:
    return _fatal(
        Code.cannot_connect_now,
        "unable to accept connection, no query processor is available",
        "Try again in a moment.",
    )


def processor_lost() -> SqlError:
    return _fatal(
        Code.admin_shutdown,
        "terminating connection: the processor was lost, and there is no other",
        "Connect again.",
    )


def outcome_unknown() -> SqlError:
    """A commit was under way, and there is no processor to ask for it."""
    error = unknown_with_processor()
    error.severity = "FATAL"
    return error


def shutting_down() -> SqlError:
    return _fatal(Code.admin_shutdown, "terminating connection due to administrator command")


def shutting_down_before_start() -> SqlError:
    """For those who are not in yet."""
    return _fatal(Code.cannot_connect_now, "the database system is shutting down")
