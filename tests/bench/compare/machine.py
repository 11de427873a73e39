"""What the kernel says of this machine and of processes: proc(5)."""

import os
import platform
import re
import subprocess
import time

PAGE = os.sysconf("SC_PAGE_SIZE")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def children(pid):
    """Of all threads of a process: those that are alive."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, read(f"/proc/{pid}/task/{task}/children").split())
    except OSError:
        pass
    return found


def family(pids):
    """Processes, and all that descend from them."""
    everyone = []
    waiting = list(pids)
    while waiting:
        one = waiting.pop()
        everyone.append(one)
        waiting += children(one)
    return everyone


def memory(pids, with_files=True):
    """Bytes (PSS: shared pages are divided among those who share them) of processes and all their descendants.
    `with_files`: also pages of files, programs and libraries, whose share changes when any other process comes or goes,
    and shared memory, which is of a fixed size (a cache of TLS sessions, say) and only counts as it is first used."""
    total = 0
    names = "Pss" if with_files else "Pss_Anon"
    for pid in family(pids):
        try:
            found = re.findall(rf"^(?:{names}):\s+(\d+) kB", read(f"/proc/{pid}/smaps_rollup"), re.M)
            total += sum(map(int, found)) * 1024
        except OSError:
            pass  # it has just ended
    return total


def cpu(pids):
    """Seconds, to the nanosecond, of all threads of processes and all their descendants that are alive."""
    total = 0
    for pid in family(pids):
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                total += int(read(f"/proc/{pid}/task/{task}/schedstat").split()[0])
        except OSError:
            pass
    return total * 1e-9


def kernel_tcp_memory():
    """Bytes of all TCP sockets of the machine."""
    return int(re.search(r"^TCP:.* mem (\d+)", read("/proc/net/sockstat"), re.M)[1]) * PAGE


def settled_tcp_memory():
    """The same once it changes no more: what connections that have ended held is given back bit by bit."""
    until = time.monotonic() + 3
    last, same = kernel_tcp_memory(), 0
    while same < 5 and time.monotonic() < until:
        time.sleep(0.1)
        now = kernel_tcp_memory()
        same = same + 1 if abs(now - last) < 1_000_000 else 0
        last = now
    return last


def output_of(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def describe():
    info = read("/proc/cpuinfo")
    total = int(re.search(r"MemTotal:\s+(\d+)", read("/proc/meminfo"))[1]) * 1024
    model = re.search(r"^model name\s*:\s*(.*)$", info, re.M)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "memory_gb": round(total / 1e9, 1),
        "kernel_tls": os.path.exists("/proc/net/tls_stat"),
        "load_before": os.getloadavg()[0],
    }


def first_match(pattern, text):
    found = re.search(pattern, text)
    return found[1] if found else None


def versions(httpd):
    return {
        "nginx": first_match(r"nginx/(\S+)", output_of(["/usr/sbin/nginx", "-v"])),
        "lighttpd": first_match(r"lighttpd/(\S+)", output_of(["/usr/sbin/lighttpd", "-v"])),
        "Apache": first_match(r"Apache/(\S+)", output_of([httpd, "-v"])),
        "OpenSSL": first_match(r"OpenSSL (\S+)", output_of(["openssl", "version"])),
    }
