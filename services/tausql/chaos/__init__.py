"""`tausql chaos`: break a running fleet on purpose, and prove from what its clients were told that nothing was lost.

It promises a verdict that needs no trust: clients on the wire note what they did and were told, faults come from
outside (signals on one machine, the API on Kubernetes), and the history is held against strong snapshot isolation
afterwards by the checker that the simulation uses. It touches no row but those of its own tables.

`lists`, `registers`, `bank`, `indexed` and `probes` are what clients do, `clients` how they keep doing it, `faults`
when something is broken, `process_backend`, `process_blows` and `kubernetes_backend` how, `availability` what clients
felt of it, `judgement`, `aims` and `report` what came out, `run` puts it together.
"""
