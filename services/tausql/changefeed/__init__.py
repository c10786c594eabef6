"""Change streams: every committed change of a cluster's tables, delivered to where its owner wants them.

Promises each change at least once, from the creation of the stream on, in no particular order; what a target refuses
is tried again until it takes it, and the stream says so (IMPAIRED). Forgets on restart everything but what control
keeps of each stream: how far it has been delivered. It repeats what came after that.
"""
