"""docs/benchmarks.md: what was measured, in tables and plots, and what was aimed at."""

import os
import shutil

import tables
import targets

try:
    import plots
except ImportError as missing:
    plots = None
    print(f"No plots: {missing}")

INTRODUCTION = """# Benchmarks

Written by `scripts/compare`; not by hand (but for the notes at the end). mod_dlhandoff side by side with nginx, lighttpd and
Apache alone, on one machine over 127.0.0.0/8, all doing the same work in turns. `scripts/compare --help` lists the options,
[tests/bench/README.md](../tests/bench/README.md) says what each measure does; each server's configuration is in
[tests/bench/peers](../tests/bench/peers), with a reason for each choice.

*embedded* and *service* are this project, sending from a thread inside Apache or from `dlmanagerd`; *stock* is Apache alone;
*sendfile* is a bare epoll and sendfile loop, the least that a server can do. CPU time and memory of a server are those of all
its processes. Figures are medians of the rounds, with the least and the most in brackets where there were several. **Bold**
is the best of a row, so where a peer is better, it is the peer that is bold.

Over loopback, what a server has queued is transmitted by the client's acknowledgements, on the client's CPU account: the
deeper a server queues, the cheaper it looks. *With clients* is server and clients together, and leaves nothing out.
"""


def conditions(results):
    measured = results["measures"]
    lines = ["## Conditions", ""]
    for name, value in sorted(results.get("versions", {}).items()):
        lines.append(f"- {name} {value}" if value else f"- {name}: not installed")
    machines = {}
    for part, one in measured.items():
        machine = {key: value for key, value in one["machine"].items() if key != "load_before"}
        described = (
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Linux {machine['kernel']}, "
            f"kernel TLS {'on' if machine['kernel_tls'] else 'off'}"
        )
        machines.setdefault(described, []).append(part)
    for described, parts in machines.items():
        lines.append(f"- {described}" + (f" ({', '.join(parts)})" if len(machines) > 1 else ""))
    lines.append("- HTTPS: TLS 1.3, TLS_AES_256_GCM_SHA384, an ECDSA certificate (P-256), no resumption")
    lines += ["", "| measure | date | took | settings | rounds | load average before |"]
    lines += ["| --- | --- | ---: | --- | ---: | ---: |"]
    for part, one in measured.items():
        how = one["settings"]
        rounds = how["long_rounds"] if part in ("memory", "worker-time", "cold-file") else how["rounds"]
        rounds = {"growth": 1, "starvation": how.get("starvation_rounds", 1)}.get(part, rounds)
        lines.append(
            f"| {part} | {one['date']} | {one['seconds']} s | {how['name']} | {rounds} "
            f"| {one['machine']['load_before']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def print_table(name, measured):
    print(f"\n{tables.of(name, measured['rows'])}", flush=True)


def drawn(name, rows, folder):
    return plots.draw(name, rows, folder) if plots else []


def write(results, folder, notes):
    pictures = f"{folder}/benchmarks"
    shutil.rmtree(pictures, ignore_errors=True)
    os.makedirs(pictures)
    text = INTRODUCTION + "\n" + conditions(results)
    for name, measured in results["measures"].items():
        text += f"\n## {tables.TITLES[name]}\n\n{tables.EXPLAINED[name]}\n"
        if not measured["rows"]:
            text += "\nLeft out: this machine doesn't have what it takes.\n"
            continue
        for picture, title in drawn(name, measured["rows"], pictures):
            text += f"\n![{title}](benchmarks/{picture})\n"
        text += f"\n{tables.of(name, measured['rows'])}"
    text += f"\n## Targets\n\n{targets.table(results['measures'])}"
    if os.path.exists(notes):
        with open(notes, encoding="utf-8") as file:
            text += "\n" + file.read()
    with open(f"{folder}/benchmarks.md", "w", encoding="utf-8") as file:
        file.write(text)
    print(f"\n{targets.table(results['measures'])}")
