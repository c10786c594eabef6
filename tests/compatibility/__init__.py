"""Test suites that others wrote, run against a fleet of ours.

Each runner (`python -m tests.compatibility.<name>`) makes a virtual environment of its own under `.compatibility/`,
fetches the suite from the package registry, starts a fleet, runs the suite and prints how many tests passed, were not
applicable (and by which rule of Aurora DSQL), and failed. They need a registry, so `make test` does not run them;
`make compatibility` does.
"""
