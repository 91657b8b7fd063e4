"""fluentd's Forward protocol, version 1: what agents send is stored, and acknowledged once it is committed.

Specification: https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1

::

    framing     bytes of a connection -> messages (MessagePack values), whatever the pieces they arrive in
    message     a message -> tag, entries, chunk: Message, Forward, PackedForward, CompressedPackedForward
    handshake   HELO, PING, PONG: who may send
    connection  one agent: framing, handshake and messages; what is complete goes to the committer
    committer   group commit: what all connections brought, in one transaction; then the acknowledgements
    memory      the bound on bytes of all connections, by not reading
    notices     lines of the log, each at most once a minute
    heartbeat   the UDP answer on the same port
    settings    what an administrator may set
    server      all of it: listens, limits, stops
"""
