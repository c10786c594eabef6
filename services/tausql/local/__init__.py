"""`tausql up`: the whole fleet on one machine, without Kubernetes.

The same services as on Kubernetes, started in one of three shapes (`shapes`): a process a service, packed into fewer
processes, or all in one. `supervisor` starts, watches and restarts them; `command` is the command line.

`credentials` makes the first access key, before control starts; `client_settings` tells clients what they need,
whichever way a fleet is `reached`; `cluster_commands` and `key_commands` call its `api`, which is AWS's.
"""
