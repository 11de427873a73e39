"""What is aimed at, and whether it is reached: each target against what was measured."""

OURS = ("embedded-prefork", "embedded-event", "service-prefork", "service-event")
PEERS = ("nginx", "lighttpd", "stock-prefork", "stock-event")


def rows_of(measures, part):
    return measures.get(part, {}).get("rows", [])


def find(rows, servers, **wanted):
    return [
        row for row in rows if row["server"] in servers and all(row.get(name) == value for name, value in wanted.items())
    ]


def loads(rows, *names):
    return list(dict.fromkeys(tuple(row[name] for name in names) for row in rows))


def worst_ratio(rows, figure, which, against, size, protocol):
    """Of all numbers of clients, and of our ways of sending, the worst ratio of ours to the best of `against`, with where
    it was. `which`: min or max, what is best."""
    found = []
    for (clients,) in loads(find(rows, OURS, protocol=protocol, size=size), "clients"):
        theirs = [row[figure] for row in find(rows, against, protocol=protocol, size=size, clients=clients)]
        for row in find(rows, OURS, protocol=protocol, size=size, clients=clients) if theirs else []:
            found.append((row[figure] / which(theirs), f"{row['server']}, {clients} clients"))
    if not found:
        return None
    return max(found) if which is min else min(found)


def bytes_of(size):
    number, unit = size.split()[:2]
    return float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


class Check:
    def __init__(self):
        self.lines = []

    def add(self, number, what, limit, value, where="", at_least=False, unit="x"):
        """`value`: None if it was not measured."""
        if value is None:
            self.lines.append((number, what, f"{limit:g} {unit}", "not measured", "-"))
            return
        passed = value >= limit if at_least else value <= limit
        relation = "≥" if at_least else "≤"
        measured = f"{value:,.2f} {unit}" + (f" ({where})" if where else "")
        self.lines.append((number, what, f"{relation} {limit:g} {unit}", measured, passed))

    def ratio(self, number, what, limit, found, at_least=False):
        self.add(number, what, limit, *(found or (None,)), at_least=at_least)


def table(measures):
    check = Check()
    fast_rows(check, rows_of(measures, "throughput"))
    memory(check, rows_of(measures, "memory"))
    starvation(check, rows_of(measures, "starvation"))
    cold_file(check, rows_of(measures, "cold-file"))
    small_files(check, rows_of(measures, "small-files"))
    text = "The worst case of all that were measured counts.\n\n| | target | limit | measured | reached |\n"
    text += "| ---: | --- | --- | --- | --- |\n"
    for number, what, limit, measured, passed in check.lines:
        word = {True: "yes", False: "**no**"}.get(passed, "-")
        text += f"| {number} | {what} | {limit} | {measured} | {word} |\n"
    return text


def fast_rows(check, rows):
    sizes = [size for (size,) in loads(rows, "size")]
    for size in [one for one in sizes if bytes_of(one) >= 1e7]:
        for peer in PEERS:
            if find(rows, (peer,), protocol="HTTPS", size=size):
                found = worst_ratio(rows, "cpu_s_per_gb", min, (peer,), size, "HTTPS")
                check.ratio(1, f"HTTPS, {size}: CPU per GB beside {peer}'s", 0.5, found)
        found = worst_ratio(rows, "gb_per_s", max, PEERS, size, "HTTPS")
        check.ratio(1, f"HTTPS, {size}: GB/s beside the best peer's", 1.3, found, at_least=True)
    for size in sizes:
        for what, figure, against, whose, limit in (
            ("", "cpu_s_per_gb", PEERS, "the best peer's", 1.0),
            (", with clients", "both_cpu_s_per_gb", PEERS, "the best peer's", 1.0),
            ("", "cpu_s_per_gb", ("sendfile",), "the bare sendfile loop's", 1.05),
            (", with clients", "both_cpu_s_per_gb", ("sendfile",), "the bare sendfile loop's", 1.05),
        ):
            found = worst_ratio(rows, figure, min, against, size, "HTTP")
            check.ratio(2, f"HTTP, {size}: CPU per GB{what}, beside {whose}", limit, found)


def memory(check, rows):
    for protocol, own in (("HTTP", 1000), ("HTTPS", 2000)):
        for figure, limit, whose in (("own_bytes", own, "own"), ("kernel_bytes", 200_000, "kernel's")):
            found = [(row[figure], row["server"]) for row in find(rows, OURS, protocol=protocol)]
            worst = max(found) if found else (None,)
            check.add(3, f"{protocol}: {whose} memory of a slow download", limit, *worst, unit="B")


def starvation(check, rows):
    most = max((row["slow_clients"] for row in rows), default=0)
    found = []
    for kind in ("embedded-prefork", "service-prefork"):
        idle = find(rows, (kind,), protocol="HTTPS", slow_clients=0)
        busy = find(rows, (kind,), protocol="HTTPS", slow_clients=most)
        if idle and busy and idle[0]["p99_ms"]:
            busy_time = busy[0]["p99_ms"]
            found.append((busy_time / idle[0]["p99_ms"] if busy_time is not None else float("inf"), kind))
    what = f"A page's 99th percentile with {most:,} slow HTTPS downloads beside the idle one's"
    check.ratio(4, what, 2.0, max(found, default=None))


def cold_file(check, rows):
    paced, fast, gaps = [], [], []
    for kind in OURS:
        calm = find(rows, (kind,), cold=False)
        cold = find(rows, (kind,), cold=True)
        if calm and cold:
            paced.append((100 * (1 - cold[0]["hot_mb_per_s"] / calm[0]["hot_mb_per_s"]), kind))
            fast.append((100 * (1 - cold[0]["fast_gb_per_s"] / calm[0]["fast_gb_per_s"]), kind))
            gaps.append((cold[0]["worst_gap_ms"], f"{kind}; without the cold file {calm[0]['worst_gap_ms']:.0f} ms"))
    check.add(5, "What a cold file costs paced hot downloads of their speed", 5, *max(paced, default=(None,)), unit="%")
    check.add(5, "The same at full speed", 5, *max(fast, default=(None,)), unit="%")
    check.add(5, "Longest gap of a paced hot download", 50, *max(gaps, default=(None,)), unit="ms")


def small_files(check, rows):
    for protocol, size, limit in (
        ("HTTP", "64 kB", 1.5),
        ("HTTPS", "64 kB", 1.5),
        ("HTTP", "1 MB", 1.0),
        ("HTTPS", "1 MB", 0.7),
    ):
        found = []
        for mpm in ("prefork", "event"):
            stock = find(rows, (f"stock-{mpm}",), protocol=protocol, size=size)
            for row in find(rows, (f"embedded-{mpm}", f"service-{mpm}"), protocol=protocol, size=size):
                if stock:
                    found.append((row["cpu_us"] / stock[0]["cpu_us"], row["server"]))
        check.ratio(6, f"{protocol}: CPU of handing off {size} beside stock Apache's", limit, max(found, default=None))
