"""The system cluster, as control uses it: number 0 of the fleet, which no client can reach.

Promises: what was answered is stored as safely as any commit; of two controls that decide at once, one decides again.
"""
