"""The fleet on one seeded loop: virtual time, simulated network, disks and clocks, faults, and the checks.

`world` is time and processes, `network` what lies between them, `disk` and `clock` what a process has of its own. The
services run here unchanged: they stand on `runtime.host.Host`, `rpc.interface.Network` and `runtime.disk.Disk`.
"""
