"""More and more very slow downloads over HTTP: how many move, what they take, and what a visitor's click takes."""

import time

import load
import machine
import turns
from servers import Server, chosen, descriptor_limit

RATE = 2000


def measure(run, say):
    steps = run.settings.growth
    rows = turns.Rows(("server", "slow_clients"))
    # As many processes as it takes: nginx has a descriptor for each connection, lighttpd one more for the file.
    room = descriptor_limit() * 0.9
    most = max(steps)
    how = {
        "nginx": {"processes": max(2, -(-most // int(room)))},
        "lighttpd": {"processes": max(2, -(-2 * most // int(room)))},
        # A worker for each download is all that stock can have; a thousand are many.
        "stock-event": {"workers": min(1000, most)},
        "embedded-event": {"workers": 25 * max(2, -(-most // int(room)) + 1)},
        "service-prefork": {"workers": 50},
    }
    for kind in chosen(run, how):
        with Server(run, kind, **how[kind]) as server:
            grow(run, say, server, steps, rows)
    return rows.summary()


def grow(run, say, server, steps, rows):
    kernel_idle = machine.settled_tcp_memory()
    own_idle = machine.memory(server.pids(), with_files=False)
    with load.SlowClients(run, server, rate=RATE, receive_buffer=4096, pause=2000) as clients:
        for count in steps:
            say(f"{server.kind}, {count} downloads")
            clients.add(count - clients.count, 2000)
            time.sleep(run.settings.settle + 2)  # each has read once
            cpu = machine.cpu(server.pids())
            began = time.monotonic()
            probes = load.probe(run, server)
            cpu = (machine.cpu(server.pids()) - cpu) / (time.monotonic() - began)
            now = clients.now()
            own = machine.memory(server.pids(), with_files=False)
            rows.add(
                (server.kind, count),
                {
                    "streaming": now["streaming"],
                    "own_mb": (own - own_idle) / 1e6,
                    "kernel_mb": (machine.kernel_tcp_memory() - kernel_idle) / 1e6,
                    "cpu_percent": cpu * 100,
                    "p50_ms": probes["p50_ms"],
                    "p99_ms": probes["p99_ms"],
                    "unanswered": probes["timed_out"] + probes["failed"],
                },
            )
            if now["streaming"] < 0.9 * count:
                break  # that is what it can
