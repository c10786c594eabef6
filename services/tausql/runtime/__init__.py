"""What every service stands on: the event loop, the clock, settings, logs, metrics, and a process's life.

It promises one thread, callbacks that run to completion, a clock that says how wrong it may be, and a process that
leaves at once when an invariant breaks. It forgets everything on restart.
"""
