"""A cold file on a slow disk beside hot downloads: what it costs them. The disk is a FUSE file system that sleeps."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import load
import turns
from servers import OURS, Server, chosen

RATE = 1_000_000
DELAY_MS = 100


@contextmanager
def slow_disk(run):
    """Mounted among the documents."""
    where = run.folder("documents/slow")
    disk = subprocess.Popen(
        [run.programs["bench_throttled_disk"], "--delay-ms", str(DELAY_MS), where],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 5
        while not os.path.ismount(where):
            if disk.poll() is not None or time.monotonic() > until:
                raise OSError("it could not be mounted")
            time.sleep(0.02)
        yield "/slow"
    finally:
        unmount = ["umount", "-l"] if run.as_root else ["fusermount3", "-u", "-z"]
        subprocess.run(unmount + [where], check=False, capture_output=True)
        try:
            disk.wait(5)
        except subprocess.TimeoutExpired:
            disk.kill()
            disk.wait()


@contextmanager
def cold_download(run, server, path):
    """One download of a cold file, or none."""
    if not path:
        yield None
        return
    with load.SlowClients(run, server, path=path, rate=100_000_000, pause=10, receive_buffer=262_144) as clients:
        clients.add(1, 100)
        time.sleep(0.3)  # what was read ahead at once has been sent
        yield clients


def beside(run, server, cold_path):
    """What hot downloads get: paced ones, with the longest that one of them got nothing, and a visitor's page; then as
    fast as they can."""
    settings = run.settings
    seconds = max(1, round(settings.cold_seconds))
    with load.SlowClients(run, server, rate=RATE, pause=10, receive_buffer=32768) as clients:
        clients.add(settings.hot_clients, 1000)
        time.sleep(0.5)
        with cold_download(run, server, cold_path) as cold:
            before = clients.now()  # and forgets gaps
            began = time.monotonic()
            page = load.probe(run, server, seconds=seconds)
            after = clients.now()
            took = time.monotonic() - began
            came = cold.now()["bytes"] / 1e3 if cold else None
    # The hot ones come first: a process that waits for the disk already would not accept them.
    with ThreadPoolExecutor(1) as other:
        hot = other.submit(
            load.fast, run, server, "/big", settings.hot_clients, warm_up=1, window=settings.cold_seconds
        )
        time.sleep(0.4)
        with cold_download(run, server, cold_path and cold_path + "-again"):
            fast = hot.result()
    return {
        "hot_mb_per_s": (after["bytes"] - before["bytes"]) / took / 1e6,
        "worst_gap_ms": after["worst_gap_ms"],
        "fast_gb_per_s": fast["bytes"] / fast["seconds"] / 1e9,
        "fast_gap_ms": fast["worst_gap_ms"],
        "p99_ms": page["p99_ms"],
        "cold_kb": came,
    }


def measure(run, say):
    if "bench_throttled_disk" not in run.programs:
        say("left out: built without libfuse3 (libfuse3-dev)")
        return []
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        say("left out: /dev/fuse is not usable")
        return []
    rows = turns.Rows(("server", "cold"))
    kinds = chosen(run, ("nginx", "lighttpd", "stock-event") + OURS)
    try:
        with slow_disk(run) as folder:
            for number, kind in turns.in_turns(kinds, run.settings.long_rounds):
                # nginx with threads for reading, its means against this.
                with Server(run, kind, workers=128, aio=True) as server:
                    say(kind)
                    for cold in (False, True):
                        path = f"{folder}/{kind}-{number}" if cold else None
                        rows.add((kind, cold), beside(run, server, path))
    except OSError as error:
        say(f"left out: {error}")
    return rows.summary()
