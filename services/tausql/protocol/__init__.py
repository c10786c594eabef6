"""What one service needs to know of another: its messages (msgspec structs) and a typed client, one file a service.

Nothing here does I/O. Besides the messages: `errors` (the table of everything a client can be told), `tau` (points in
cluster time), `keys` (order-preserving key encoding), `rows` (how a row is stored).
"""
