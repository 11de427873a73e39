"""What bytes cost: CPU seconds per GB and GB/s to clients that read as fast as they can."""

from contextlib import ExitStack

import load
import turns
from servers import OURS, PEER_KINDS, Server, chosen

# On every size and number of clients; the others where there are 16 clients and 10 MB.
ALWAYS = ("nginx", "lighttpd", "stock-event", "embedded-event", "service-prefork", "sendfile")


def figures(got):
    gigabytes = got["bytes"] / 1e9
    return {
        "cpu_s_per_gb": got["server_cpu"] / gigabytes,
        "both_cpu_s_per_gb": (got["server_cpu"] + got["client_cpu"]) / gigabytes,
        "gb_per_s": gigabytes / got["seconds"],
        "failures": got["failures"],
    }


def measure(run, say):
    settings = run.settings
    rows = turns.Rows(("server", "protocol", "size", "clients"))
    kinds = chosen(run, PEER_KINDS + OURS + ("sendfile",))
    middle = (list(settings.file_sizes)[len(settings.file_sizes) // 2], 16)
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(run, kind, fast=True)) for kind in kinds]
        for https in (False, True):
            protocol = "HTTPS" if https else "HTTP"
            for size, number in settings.file_sizes.items():
                for clients in settings.fast_clients:
                    say(f"{protocol}, {size}, {clients} clients")
                    for _, server in turns.in_turns(servers, settings.rounds):
                        if server.kind == "sendfile" and https:
                            continue
                        if server.kind not in ALWAYS and (size, clients) != middle:
                            continue
                        got = load.fast(run, server, run.document(number), clients, https)
                        rows.add((server.kind, protocol, size, clients), figures(got))
    return rows.summary()
