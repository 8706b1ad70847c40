"""How long the gateway's event loop is held: asks /livez again and again, in a process of its own, until its input ends.

    python -m tests.bench.probe METRICS_PORT PID    →  {"hold_ms": …, "wait_ms": …, "probes": …}

`hold_ms` is the most CPU that the loop's thread spent while one question waited, which bounds what it did in one go whoever
else uses the machine; `wait_ms` is the longest wait by the clock.
"""

import json
import select
import socket
import sys
import time
from pathlib import Path

PAUSE = 0.002  # s between two questions


def ask(connection: socket.socket) -> None:
    """One request and its whole answer; the answers are short."""
    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"ok\n"):
        piece = connection.recv(4_096)
        if not piece:
            raise ConnectionError("the gateway has gone")
        answer += piece


def main(port: int, pid: int) -> None:
    spent = Path(f"/proc/{pid}/task/{pid}/schedstat")

    def loop_cpu() -> int:
        return int(spent.read_text().split()[0])

    hold = wait = probes = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            began, before = time.monotonic_ns(), loop_cpu()
            ask(connection)
            hold, wait = max(hold, loop_cpu() - before), max(wait, time.monotonic_ns() - began)
            probes += 1
    print(json.dumps({"hold_ms": hold / 1e6, "wait_ms": wait / 1e6, "probes": probes}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
