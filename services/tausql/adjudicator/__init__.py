"""The adjudicator: decides which transactions commit, and when.

A process is a candidate for every stream of the fleet and holds some of them, each under an epoch that the journal's
majority granted. For a stream it holds it judges conflicts, gives out taus, appends to the journal, answers, and closes
time. It promises the processor that `Committed` is on a majority of disks and in the past of every clock, and that
`Aborted` never commits; it promises the crossbar that nothing follows at or below a closed tau.

Nothing is on its disk. A restart forgets everything: the next epoch starts above the limit the last one had stored
with the journal, which is what makes forgetting safe.
"""
