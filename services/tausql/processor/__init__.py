"""The processor: runs sessions. It parses, plans and executes their statements, reads from storage at each
transaction's tau_start, keeps what a transaction writes until its commit, and has the commit judged by an adjudicator.

It promises its clients PostgreSQL's protocol, snapshot isolation and the truth about every commit. It keeps nothing: a
processor that dies takes the open transactions of its sessions with it, which is as if they had been rolled back, or
(for a commit under way) leaves them decided by whoever judged them.
"""
