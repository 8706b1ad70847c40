"""A witness: what a partner organisation runs so that a mission's log can't show two histories (c2sp.org/tlog-witness).

For each log it keeps one record, the newest tree head it has seen, and cosigns a checkpoint only if that has grown from it. It
never sees an entry, needs no account at the gateway, and answers to nobody but the log's signature:

    outrider audit witness init DIR --name witness.hostpol.example
    outrider audit witness log DIR log.vkey              whose checkpoints it cosigns
    outrider audit witness run DIR --listen 0.0.0.0:8450

    store      the records, in a file that survives kill -9; check-and-store is one guarded update
    judge      a request in, an answer out: every rule of the protocol, in its order
    server     HTTP around that
    home       the folder: keys, store
    command    the verbs

Of ours it imports `keys` alone. Never restore its folder from a backup: a witness that has forgotten what it signed is none. Lose
the folder rather, and begin a witness with another key.
"""
