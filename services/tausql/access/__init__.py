"""Who may do what: request signatures, connect tokens, ARNs, and policies in IAM's JSON. No I/O, no clock, no keys of
its own: who asks brings the time, the keys it knows and the policies that apply. Frontends and control share it.
"""
