"""Slow downloads, and somebody who wants a small page: httpd with 50 workers; the others as they come tuned."""

import time

import load
import turns
from servers import Server, chosen

WORKERS = 50
KINDS = (
    "nginx",
    "lighttpd",
    "stock-prefork",
    "stock-event",
    "embedded-prefork",
    "embedded-event",
    "service-prefork",
)


def measure(run, say):
    settings = run.settings
    rows = turns.Rows(("server", "protocol", "slow_clients"))
    kinds = chosen(run, KINDS)
    for https in (False, True):
        for _, kind in turns.in_turns(kinds, settings.starvation_rounds):
            say(f"{'HTTPS' if https else 'HTTP'}, {kind}")
            with Server(run, kind, workers=WORKERS) as server:
                with load.SlowClients(run, server, https) as clients:
                    steps(run, server, https, clients, rows)
    return rows.summary()


def steps(run, server, https, clients, rows):
    for count in (0,) + tuple(run.settings.slow_clients):
        if count > 0:
            clients.add(count - clients.count, 700 if https else 2000)
            time.sleep(run.settings.settle)
        got = load.probe(run, server, https)
        figures = {name: got[name] for name in ("p50_ms", "p99_ms", "max_ms")}
        figures["unanswered"] = got["timed_out"] + got["failed"]
        figures["probes"] = got["answered"] + figures["unanswered"]
        figures["streaming"] = clients.now()["streaming"] if count > 0 else 0
        rows.add((server.kind, "HTTPS" if https else "HTTP", count), figures)
