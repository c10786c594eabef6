"""The fleet as its users meet it: real processes, real drivers, real sockets and signals."""
