"""Control's API for clients: Aurora DSQL's operations, and those of IAM, STS and CloudTrail that go with them.

On a listener of its own: the process's other HTTP port is for the fleet alone.
"""
