"""Does a history show strong snapshot isolation? Pure: a list of what clients did and were told in, a verdict out.

    history     `Attempt`, `Operation`: what a client notes down
    check       `check_history(attempts)`: raises `Anomaly` with the shortest witness found, in words
    workloads   checks of workloads that need no graph: bank, unique inserts, long fork, write skew, index = table
    anomaly     `Anomaly` and the names of what can go wrong

Used by the simulation, by chaos on processes and pods, and against other databases; it knows nothing of any of them.
`lists` and `registers` find out who saw whom, `relations` makes edges of that, `graph` looks for cycles, `words` tells.
"""
