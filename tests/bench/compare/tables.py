"""Tables in Markdown: a row for each load, a column for each server, the best in bold."""

TITLES = {
    "throughput": "Downloads at full speed",
    "small-files": "Small files: from which size on handing off pays",
    "worker-time": "How long a download holds a worker",
    "memory": "Memory of a slow download",
    "cold-file": "A cold file beside hot downloads",
    "starvation": "Many slow downloads, and a visitor",
    "growth": "Growth: very slow downloads",
}
EXPLAINED = {
    "throughput": "Clients read as fast as they can, and ask again and again on the same connection (over HTTPS a "
    "handed-off response ends the connection: then on a new one, with a new handshake).",
    "small-files": "Apache alone beside Apache that hands off every file (`DLHandoffMinSize 0`), 16 clients. "
    "Connections are kept where the server keeps them.",
    "worker-time": "`%D` of Apache's access log, milliseconds: 4 clients as fast as they can, and 4 that take 5 MB/s each.",
    "memory": "Downloads at 20 kB/s each: what 1,000 more take than 250 do of the server's own memory (PSS, without "
    "pages of files), and what each takes of the kernel's for TCP (/proc/net/sockstat; without what waits in the "
    "clients' receive queues). Stock Apache has as many workers as there are downloads, which all exist before they "
    "come: see what it takes without any.",
    "cold-file": "100 downloads of a file in memory, at 1 MB/s each or as fast as they can, and one of a file on a disk "
    "that takes 100 ms for each read. *Gap* is the longest that one of the 100 got nothing. Who has queued seconds of "
    "each paced download can wait for the disk without their noticing; at full speed they do notice. nginx reads with threads (`aio threads`).",
    "starvation": "Downloads at 20 kB/s each while a page of 6 bytes is asked for every 20 ms, on a new connection each "
    "time; without an answer in 2 s it counts as not answered. httpd has 50 workers. *0* is the idle server. "
    "*none*, and no point in a plot: fewer pages were answered than it takes for that figure.",
    "growth": "Downloads over HTTP at 2 kB/s each. Memory is that with them less that without; the kernel's is of both "
    "ends. A server that serves less than 90 % of them stops there.",
}
ORDER = (
    "nginx",
    "lighttpd",
    "stock-prefork",
    "stock-event",
    "embedded-prefork",
    "embedded-event",
    "service-prefork",
    "service-event",
    "sendfile",
)
# part -> (names of a row, [(heading, figure, digits, "low" or "high" is best, or none)])
FIGURES = {
    "throughput": (
        ("protocol", "size", "clients"),
        [
            ("CPU seconds per GB, server", "cpu_s_per_gb", 3, "low"),
            ("CPU seconds per GB, with clients", "both_cpu_s_per_gb", 3, "low"),
            ("GB/s", "gb_per_s", 2, "high"),
        ],
    ),
    "small-files": (
        ("protocol", "size"),
        [
            ("CPU of a request, µs, server", "cpu_us", 0, "low"),
            ("CPU of a request, µs, with clients", "both_cpu_us", 0, "low"),
            ("Requests a second", "requests_per_s", 0, "high"),
            ("Connections a request", "connections_per_request", 2, None),
        ],
    ),
    "worker-time": (
        ("protocol", "size"),
        [("Median, ms", "p50_ms", 2, "low"), ("99th percentile, ms", "p99_ms", 2, "low")],
    ),
    "memory": (
        ("protocol",),
        [
            ("Own bytes a download", "own_bytes", 0, "low"),
            ("Kernel's bytes a download", "kernel_bytes", 0, "low"),
            ("Own memory without any download, MB", "idle_mb", 1, "low"),
            ("Downloads that move", "streaming", 0, "high"),
        ],
    ),
    "cold-file": (
        ("cold",),
        [
            ("Paced hot downloads together, MB/s", "hot_mb_per_s", 1, "high"),
            ("Worst gap of the paced ones, ms", "worst_gap_ms", 0, "low"),
            ("Hot downloads at full speed, GB/s", "fast_gb_per_s", 2, "high"),
            ("Worst gap of these, ms", "fast_gap_ms", 0, "low"),
            ("Page, 99th percentile, ms", "p99_ms", 2, "low"),
            ("Of the cold file came, kB", "cold_kb", 0, None),
        ],
    ),
    "starvation": (
        ("protocol", "slow_clients"),
        [
            ("Downloads that move", "streaming", 0, "high"),
            ("Page, median, ms", "p50_ms", 2, "low"),
            ("Page, 99th percentile, ms", "p99_ms", 2, "low"),
            ("Pages without an answer", "unanswered", 0, "low"),
        ],
    ),
    "growth": (
        ("slow_clients",),
        [
            ("Downloads that move", "streaming", 0, "high"),
            ("Own memory, MB", "own_mb", 1, "low"),
            ("Kernel's TCP memory, MB", "kernel_mb", 0, "low"),
            ("CPU, % of a core", "cpu_percent", 0, "low"),
            ("Page, 99th percentile, ms", "p99_ms", 2, "low"),
            ("Pages without an answer", "unanswered", 0, "low"),
        ],
    ),
}


def shown(row, figure, digits):
    if row is None:
        return "-"
    if row[figure] is None:
        return "none" if figure.endswith("_ms") else "-"
    text = f"{row[figure]:,.{digits}f}"
    least, most = row[figure + "_min"], row[figure + "_max"]
    if len(row["rounds"]) > 1 and least is not None and most is not None and least != most:
        text += f" ({least:,.{digits}f}–{most:,.{digits}f})"
    return text


def best_of(rows, figure, which):
    # The bare loop is no server that one could run.
    known = [row[figure] for row in rows if row and row["server"] != "sendfile" and row[figure] is not None]
    if which is None or len(known) < 2 or min(known) == max(known):
        return None
    return min(known) if which == "low" else max(known)


def of(part, rows):
    names, figures = FIGURES[part]
    servers = [kind for kind in ORDER if any(row["server"] == kind for row in rows)]
    keys = list(dict.fromkeys(tuple(row[name] for name in names) for row in rows))
    found = {(tuple(row[name] for name in names), row["server"]): row for row in rows}
    text = ""
    for heading, figure, digits, which in figures:
        if any(figure not in row for row in rows):
            continue  # of an earlier run, which didn't measure it
        text += f"**{heading}**\n\n| {' | '.join(name.replace('_', ' ') for name in names)} | {' | '.join(servers)} |\n"
        text += "| " + " | ".join(["---"] * len(names) + ["---:"] * len(servers)) + " |\n"
        for key in keys:
            of_key = [found.get((key, server)) for server in servers]
            if all(row is None or row[figure] is None for row in of_key):
                if figure.endswith("_kb"):
                    continue
            best = best_of(of_key, figure, which)
            cells = []
            for row in of_key:
                cell = shown(row, figure, digits)
                is_best = row is not None and row["server"] != "sendfile" and best is not None and row[figure] == best
                cells.append(f"**{cell}**" if is_best else cell)
            words = [("yes" if word else "no") if isinstance(word, bool) else f"{word}" for word in key]
            text += f"| {' | '.join(words)} | {' | '.join(cells)} |\n"
        text += "\n"
    return text
