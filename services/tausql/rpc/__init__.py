"""Requests, streams and casts between services, over one connection per pair of processes.

It promises: a call is answered exactly once, in time, if only by a `Failure`; a stream's items arrive in order; nothing
is ever sent twice. It promises no delivery: what a broken connection left unanswered may or may not have been served.
"""
