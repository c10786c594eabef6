"""The PostgreSQL protocol, version 3.0, as bytes in and messages out.

Nothing here does I/O, keeps time or knows what a statement means, so the frontend, the processor, the HTTP SQL front
and the tests all speak through the same code:

    startup    a client's first packets: TLS, cancel keys, parameters, the password
    reader     what clients send afterwards, from chunks of any size       (messages: their structs)
    backend    what servers send, as bytes                                 (rows: columns and data rows)
    client     the same conversation seen from the client's side
    copy       COPY's text and CSV formats, line by line
    tail       where a relayed session stands, by looking at message headers only
"""
