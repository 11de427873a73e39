"""Measures this project side by side with nginx, lighttpd and Apache alone (scripts/compare)."""

import argparse
import json
import os
import signal
import sys
import time

import cold_file
import growth
import machine
import memory
import report
import servers
import settings
import small_files
import starvation
import throughput
import worker_time
from run_folder import RunFolder

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# The one that the others are least likely to disturb comes first.
PARTS = {
    "throughput": throughput,
    "small-files": small_files,
    "worker-time": worker_time,
    "memory": memory,
    "cold-file": cold_file,
    "starvation": starvation,
    "growth": growth,
}


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/compare",
        description="Measures mod_dlhandoff side by side with nginx, lighttpd and Apache alone, on 127.0.0.0/8, and "
        "writes docs/benchmarks.md. Takes under 30 minutes; leaves nothing behind, also when it is interrupted.",
    )
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("--quick", action="store_true", help="less of everything, under 5 minutes; docs stay")
    how_much.add_argument("--self-test", action="store_true", help="hardly anything, to see that it works; docs stay")
    parts = ", ".join(PARTS)
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=f"of {parts}; again for more")
    parser.add_argument("--rounds", type=int, help="instead of 5, or 2 for long measures")
    parser.add_argument("--output", metavar="FOLDER", help="for the report: docs, or build/release/compare if not all of it")
    parser.add_argument("--report-only", action="store_true", help="write the report anew from the last compare.json")
    parser.add_argument("--build", default=f"{TOP}/build/release", help=argparse.SUPPRESS)
    return parser.parse_args()


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt(*_):
    """Once: what has been started is ended then, and a second Ctrl-C must not disturb that."""
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def measure_all(asked, how, results):
    run = RunFolder(asked.build, how)
    try:
        run.fill()
        for name in asked.only or how.parts or PARTS:
            began = time.monotonic()

            def say(what, name=name, began=began):
                print(f"[{time.monotonic() - began:4.0f} s] {name}: {what}", file=sys.stderr, flush=True)

            rows = PARTS[name].measure(run, say)
            results["measures"][name] = {
                "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
                "seconds": round(time.monotonic() - began),
                "machine": machine.describe(),
                "settings": vars(how),
                "rows": rows,
            }
            report.print_table(name, results["measures"][name])
    finally:
        run.remove()


def main():
    asked = arguments()
    how = settings.QUICK if asked.quick else settings.SELF_TEST if asked.self_test else settings.FULL
    if asked.rounds:
        how.rounds = how.long_rounds = asked.rounds
    for one in SIGNALS:
        signal.signal(one, interrupt)
    work = f"{asked.build}/compare"
    os.makedirs(work, exist_ok=True)
    results_file = f"{work}/compare{'' if how is settings.FULL else '-' + how.name}.json"
    # A part measured alone takes its place among the others of the last run.
    results = read_json(results_file) if asked.only or asked.report_only else {}
    results.setdefault("measures", {})
    results["versions"] = machine.versions(servers.HTTPD)
    if not asked.report_only:
        measure_all(asked, how, results)
        with open(results_file, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    # The documents' report is never replaced by one of some parts alone.
    whole = how is settings.FULL and all(name in results["measures"] for name in PARTS)
    output = asked.output or (f"{TOP}/docs" if whole else work)
    report.write(results, output, f"{TOP}/docs/benchmarks-notes.md")
    print(f"\nWritten: {results_file}, {output}/benchmarks.md")


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
except RuntimeError as error:
    sys.exit(f"compare: {error}")
