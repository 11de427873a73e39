"""How long a download holds a worker: %D of the access log, from the request's first byte to its logging."""

import time
from contextlib import ExitStack

import load
import turns
from servers import Server, chosen

KINDS = ("stock-prefork", "embedded-prefork", "service-prefork", "stock-event", "embedded-event", "service-event")
CLIENTS = 4


def times(server, path, since):
    """Milliseconds of the requests for it that have been logged since, sorted; and where the log ends now."""
    found = []
    with open(server.access_log(), "rb") as log:
        log.seek(since)
        text = log.read().decode(errors="replace")
        end = log.tell()
    for line in text.splitlines():
        parts = line.split('"')
        if len(parts) == 3 and parts[1].startswith(f"GET {path} "):
            found.append(int(parts[2].split()[2]) / 1e3)
    return sorted(found), end


def measure(run, say):
    settings = run.settings
    rows = turns.Rows(("server", "protocol", "size"))
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(run, kind, workers=50, buffered_logs=False)) for kind in chosen(run, KINDS)]
        ends = {server: 0 for server in servers}
        for https in (False, True):
            protocol = "HTTPS" if https else "HTTP"
            for size in [one for one in settings.file_sizes if settings.file_sizes[one] <= 10**7]:
                path = run.document(settings.file_sizes[size])
                say(f"{protocol}, {size}")
                for _, server in turns.in_turns(servers, settings.long_rounds):
                    load.fast(run, server, path, CLIENTS, https)
                    time.sleep(0.05)  # what was cut is logged, too
                    found, ends[server] = times(server, path, ends[server])
                    if found:
                        figures = {
                            "p50_ms": found[len(found) // 2],
                            "p99_ms": found[int(0.99 * (len(found) - 1))],
                            "requests": len(found),
                        }
                        rows.add((server.kind, protocol, size), figures)
        slow(run, say, servers, ends, rows)
    return rows.summary()


def slow(run, say, servers, ends, rows):
    """Clients of slower lines: 5 MB/s each, so that 10 MB take two seconds."""
    settings = run.settings
    size = [one for one in settings.file_sizes if settings.file_sizes[one] <= 10**7][-1]
    path = run.document(settings.file_sizes[size])
    for https in (False, True):
        protocol = "HTTPS" if https else "HTTP"
        say(f"{protocol}, {size}, to slow clients")
        for server in servers:
            with load.SlowClients(run, server, https, path, rate=5_000_000, pause=20, receive_buffer=262_144) as clients:
                clients.add(CLIENTS, 100)
                until = time.monotonic() + 20
                found = []
                while len(found) < CLIENTS and time.monotonic() < until:
                    time.sleep(0.1)
                    found, end = times(server, path, ends[server])
                ends[server] = end
            if found:
                figures = {"p50_ms": found[len(found) // 2], "p99_ms": found[-1], "requests": len(found)}
                rows.add((server.kind, protocol, f"{size} at 5 MB/s"), figures)
