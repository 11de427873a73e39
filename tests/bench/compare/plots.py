"""Plots, as SVG: what the tables say."""

import matplotlib
import matplotlib.pyplot as plot
import matplotlib.ticker as ticker
import tables

COLORS = {
    "nginx": "#2ca02c",
    "lighttpd": "#17becf",
    "stock-prefork": "#bbbbbb",
    "stock-event": "#888888",
    "embedded-prefork": "#ff9896",
    "embedded-event": "#d62728",
    "service-prefork": "#ffbb78",
    "service-event": "#ff7f0e",
    "sendfile": "#000000",
}


# The same figures make the same file.
matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "dlhandoff", "font.size": 8, "figure.dpi": 100})


def save(figure, path):
    named = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        named |= dict(zip(labels, handles))
        if axes.get_yscale() == "log":
            axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(ticker.NullFormatter())
    ordered = [one for one in tables.ORDER if one in named]
    figure.tight_layout()
    figure.axes[-1].legend([named[one] for one in ordered], ordered, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=7)
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})


def servers_of(rows):
    return [kind for kind in tables.ORDER if any(row["server"] == kind for row in rows)]


def bars(axes, rows, group, figure, title):
    """A group of bars for each load, a bar for each server, with its spread."""
    groups = list(dict.fromkeys(row[group] for row in rows))
    servers = servers_of(rows)
    width = 0.8 / max(len(servers), 1)
    for number, server in enumerate(servers):
        found = {row[group]: row for row in rows if row["server"] == server and row.get(figure) is not None}
        aside = (number - (len(servers) - 1) / 2) * width
        places = [place + aside for place in range(len(groups)) if groups[place] in found]
        mine = [found[one] for one in groups if one in found]
        heights = [row[figure] for row in mine]
        spread = [
            [max(row[figure] - (row[figure + "_min"] or 0), 0) for row in mine],
            [max((row[figure + "_max"] or row[figure]) - row[figure], 0) for row in mine],
        ]
        axes.bar(places, heights, width, yerr=spread, color=COLORS[server], label=server, error_kw={"linewidth": 0.6})
    axes.set_xticks(range(len(groups)), [str(one) for one in groups])
    axes.set_title(title)
    axes.grid(axis="y", linewidth=0.3)


def lines(axes, rows, along, figure, title, logarithmic=False):
    for server in servers_of(rows):
        mine = [row for row in rows if row["server"] == server and row[figure] is not None]
        if mine:
            across = [row[along] for row in mine]
            up = [row[figure] for row in mine]
            axes.plot(across, up, "o-", markersize=3, linewidth=1, color=COLORS[server], label=server)
    if logarithmic:
        axes.set_yscale("log")
    axes.set_ylim(bottom=None if logarithmic else 0)
    axes.set_title(title)
    axes.grid(linewidth=0.3)


def draw(part, rows, folder):
    """Writes the plots of a measure; their files' names and titles."""
    makers = {
        "throughput": throughput,
        "small-files": small_files,
        "worker-time": worker_time,
        "memory": memory,
        "cold-file": cold_file,
        "starvation": starvation,
        "growth": growth,
    }
    drawn = []
    for name, title, figure in makers[part](rows):
        save(figure, f"{folder}/{name}.svg")
        plot.close(figure)
        drawn.append((f"{name}.svg", title))
    return drawn


def panels(count, height=2.8):
    figure, axes = plot.subplots(1, count, figsize=(4.2 * count, height), squeeze=False)
    return figure, axes[0]


def of(rows, **wanted):
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def throughput(rows):
    middle = sorted({row["clients"] for row in rows})[len({row["clients"] for row in rows}) // 2]
    for figure_name, what in (("cpu_s_per_gb", "CPU seconds per GB"), ("gb_per_s", "GB/s")):
        figure, axes = panels(2)
        for place, protocol in enumerate(("HTTP", "HTTPS")):
            mine = of(rows, protocol=protocol, clients=middle)
            bars(axes[place], mine, "size", figure_name, f"{protocol}: {what}, {middle} clients")
        yield f"throughput-{figure_name.replace('_', '-')}", what, figure


def small_files(rows):
    figure, axes = panels(2)
    for place, protocol in enumerate(("HTTP", "HTTPS")):
        bars(axes[place], of(rows, protocol=protocol), "size", "cpu_us", f"{protocol}: CPU of a request, µs")
        axes[place].set_yscale("log")
    yield "small-files", "CPU time of a request", figure


def worker_time(rows):
    figure, axes = panels(2)
    for place, protocol in enumerate(("HTTP", "HTTPS")):
        bars(axes[place], of(rows, protocol=protocol), "size", "p50_ms", f"{protocol}: a worker is held, ms")
        axes[place].set_yscale("log")
    yield "worker-time", "How long a worker is held", figure


def memory(rows):
    figure, axes = panels(2)
    bars(axes[0], rows, "protocol", "own_bytes", "Own bytes a download")
    axes[0].set_yscale("symlog", linthresh=100)
    bars(axes[1], rows, "protocol", "kernel_bytes", "Kernel's bytes a download")
    yield "memory", "Memory of a slow download", figure


def cold_file(rows):
    rows = [dict(row, with_cold="beside a cold file" if row["cold"] else "alone") for row in rows]
    figure, axes = panels(2)
    bars(axes[0], rows, "with_cold", "fast_gb_per_s", "Hot downloads, GB/s")
    bars(axes[1], rows, "with_cold", "fast_gap_ms", "Worst gap at full speed, ms")
    yield "cold-file", "A cold file beside hot downloads", figure


def starvation(rows):
    for figure_name, what, logarithmic in (
        ("streaming", "downloads that move", False),
        ("p99_ms", "page, 99th percentile, ms", True),
    ):
        figure, axes = panels(2)
        for place, protocol in enumerate(("HTTP", "HTTPS")):
            lines(axes[place], of(rows, protocol=protocol), "slow_clients", figure_name, f"{protocol}: {what}", logarithmic)
            axes[place].set_xlabel("slow downloads")
        yield f"starvation-{figure_name.replace('_', '-')}", what, figure


def growth(rows):
    figure, axes = panels(3)
    lines(axes[0], rows, "slow_clients", "streaming", "Downloads that move")
    lines(axes[1], rows, "slow_clients", "own_mb", "Own memory, MB", True)
    lines(axes[2], rows, "slow_clients", "p99_ms", "Page, 99th percentile, ms", True)
    yield "growth", "Growth", figure
