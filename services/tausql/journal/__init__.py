"""A journal replica: an acceptor of every stream's log, one replica a zone.

It promises proposers (the adjudicators) never to take anything of a lower epoch once it promised a higher one, never to
speak of what its disk does not hold, and to hand the log to whoever follows it. It knows nothing of transactions.

What survives a restart is the disk: promises, limits, records, trim points, who the replicas of this fleet are. What is
forgotten is `commit_seq` (proposers say it again), who holds a stream and since when (only reluctance, which is for
calm, rests on that), and every subscription. A replica that has lost its disk comes back as a learner.
"""
