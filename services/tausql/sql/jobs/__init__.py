"""Background jobs: building an index, removing what was dropped. Pure steps; the processor runs and repeats them.

A job is a row of the system's `jobs` table. Every step is one ordinary transaction that does a bounded piece of work
and moves the row's `progress` with it, so a worker may die at any moment and another goes on where it stopped. Who
works on a job holds a lease in its row; two workers on one job would only conflict with each other (40001).
"""
