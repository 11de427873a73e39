"""From which size on handing off pays: requests a second and CPU time of each, on connections that are kept alive."""

from contextlib import ExitStack

import load
import turns
from servers import Server, chosen

KINDS = ("stock-prefork", "embedded-prefork", "service-prefork", "stock-event", "embedded-event", "service-event")
CLIENTS = 16


def measure(run, say):
    settings = run.settings
    rows = turns.Rows(("server", "protocol", "size"))
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(run, kind, workers=50, min_size="0")) for kind in chosen(run, KINDS)]
        for https in (False, True):
            protocol = "HTTPS" if https else "HTTP"
            for size, number in settings.small_sizes.items():
                say(f"{protocol}, {size}")
                for _, server in turns.in_turns(servers, settings.rounds):
                    got = load.fast(run, server, run.document(number), CLIENTS, https)
                    responses = max(got["responses"], 1)
                    figures = {
                        "requests_per_s": got["responses"] / got["seconds"],
                        "cpu_us": got["server_cpu"] / responses * 1e6,
                        "both_cpu_us": (got["server_cpu"] + got["client_cpu"]) / responses * 1e6,
                        "connections_per_request": got["connections"] / responses,
                        "failures": got["failures"],
                    }
                    rows.add((server.kind, protocol, size), figures)
    return rows.summary()
