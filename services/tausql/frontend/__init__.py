"""Where clients arrive: TLS, tokens, the choice of a cluster and of a processor, WebSocket, HTTP SQL.

Promises clients that nothing but TLS carries their tokens and data, that every refusal says why in the words of Aurora
DSQL or PostgreSQL, and that a slow client costs a bounded amount of memory. Holds no state worth keeping: on restart
only the certificate in its directory remains, control tells of clusters and keys again, and clients reconnect.
"""
