"""Where clients arrive: TLS, passwords, the choice of a processor, HTTP SQL.

Promises clients that nothing but TLS carries their passwords and data, that every refusal says why in PostgreSQL's own
terms, and that a slow client costs a bounded amount of memory. Holds no state worth keeping: on restart only the
certificate and the password file in its directory remain, and clients reconnect.
"""
