"""`tausql up`: the whole fleet on one machine, without Kubernetes.

The same services as on Kubernetes, started in one of three shapes (`shapes`): a process a service, packed into fewer
processes, or all in one. `supervisor` starts, watches and restarts them; `command` is the command line.
"""
