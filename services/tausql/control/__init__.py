"""Control: who is in the fleet and where, told to everybody; and processors enough for those who are about to connect.

Promises every process the fleet's map as Kubernetes and the other regions have it, within a fraction of a second of a
change, and never half a map. Nothing of what it says makes a commit safe: without control, or cut off from Kubernetes,
the data plane goes on with the last map. Nothing to forget on restart: all it knows is read anew.

Also: which clusters and keys there are, kept in the system cluster of the fleet, told to those who follow, and changed
through the API (`desk`, `tenancy`, `clusters`, `identities`, `events`, `api`, `system`).
"""
