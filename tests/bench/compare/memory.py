"""Memory of a slow download: the server's own (PSS) and the kernel's, with so many more of them less with few."""

import time

import load
import machine
import turns
from servers import OURS, Server, chosen


def settled(run, server, https, count):
    """What so many more take than a quarter of them does: what each process of a server allocates for its first
    requests, and what it keeps of former ones, is in both."""
    load.fast(run, server, "/ready", 50, https, close=True)
    idle = machine.memory(server.pids())
    kernel = machine.settled_tcp_memory()
    connects = 500 if https else 1000
    with load.SlowClients(run, server, https) as clients:
        before = reading(run, server, clients, few(count), connects)
        after = reading(run, server, clients, count, connects)
    moving = max(after["streaming"] - before["streaming"], 1)
    return {
        "own_bytes": (after["own"] - before["own"]) / moving,
        # Over loopback the clients' queues are in the machine's total; they say what theirs are.
        "kernel_bytes": (after["kernel"] - after["socket_memory"] - kernel) / max(after["streaming"], 1),
        "idle_mb": idle / 1e6,
        "streaming": after["streaming"],
    }


def few(count):
    return count // 4


def reading(run, server, clients, more, connects):
    clients.add(more, connects)
    time.sleep(run.settings.settle)
    return clients.now() | {"own": machine.memory(server.pids(), with_files=False), "kernel": machine.kernel_tcp_memory()}


def measure(run, say):
    count = run.settings.memory_clients
    rows = turns.Rows(("server", "protocol"))
    # Stock: a worker for each.
    workers = dict.fromkeys(("stock-prefork", "stock-event"), count + few(count))
    kinds = chosen(run, ("nginx", "lighttpd", "stock-prefork", "stock-event") + OURS)
    for https in (False, True):
        protocol = "HTTPS" if https else "HTTP"
        for _, kind in turns.in_turns(kinds, run.settings.long_rounds):
            say(f"{protocol}, {kind}")
            with Server(run, kind, workers=workers.get(kind, 50)) as server:
                rows.add((kind, protocol), settled(run, server, https, count))
    return rows.summary()
