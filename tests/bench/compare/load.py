"""The clients: bench_load's processes."""

import json
import subprocess
import time


def run_to_end(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def fast(run, server, path, clients, https=False, close=False, warm_up=None, window=None):
    """So many clients that ask for one file again and again: what bench_load measures of them."""
    settings = run.settings
    command = [run.programs["bench_load"], "fast", "--server", server.address(https), "--path", path]
    command += ["--clients", str(clients)]
    command += ["--warm-up", str(int((warm_up or settings.warm_up) * 1000))]
    command += ["--window", str(int((window or settings.window) * 1000))]
    command += ["--process", ",".join(map(str, server.pids()))]
    command += ["--https"] if https else []
    command += ["--close"] if close else []
    return run_to_end(command)


def probe(run, server, https=False, seconds=None):
    command = [run.programs["bench_load"], "probe", "--server", server.address(https), "--path", "/ready"]
    command += ["--seconds", str(seconds or run.settings.probe_seconds)]
    return run_to_end(command + (["--https"] if https else []))


class SlowClients:
    """So many slow downloads, of one process or several, until they are stopped. More can be added."""

    a_process = 12500
    """Its descriptors, and the ports of one address, are enough for so many."""

    def __init__(self, run, server, https=False, path="/big", **options):
        self.run = run
        self.server = server
        self.https = https
        self.path = path
        self.options = options
        self.processes = []
        self.count = 0

    def add(self, count, connects):
        """`connects`: new ones a second. Returns when all have sent their request, or should have."""
        starts = time.monotonic()
        left = count
        parts = -(-count // self.a_process)
        while left > 0:
            some = min(left, -(-count // parts))
            self.start(some, max(1, connects // parts))
            left -= some
        self.count += count
        # A server that is busy with handshakes is given time; one that takes nobody any more is not.
        until = starts + count / connects + 3
        last = 0
        while time.monotonic() < until:
            time.sleep(0.1)
            asked = self.now()["asked"]
            if asked >= self.count:
                break
            if asked > last:
                until = max(until, min(time.monotonic() + 3, starts + count / connects + 60))
            last = asked

    def start(self, count, connects):
        number = len(self.processes) + 1
        command = [self.run.programs["bench_load"], "slow", "--server", self.server.address(self.https)]
        command += ["--path", self.path, "--clients", str(count), "--connects", str(connects)]
        command += ["--source", f"127.0.1.{number}"] + (["--https"] if self.https else [])
        for name, value in self.options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        self.processes.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        )

    def now(self):
        """The sums of what each process says of its clients; of gaps, the worst."""
        for one in self.processes:
            one.stdin.write("?\n")
            one.stdin.flush()
        total = {}
        for one in self.processes:
            line = one.stdout.readline()
            if not line:
                raise RuntimeError("slow clients have ended by themselves")
            for name, value in json.loads(line).items():
                total[name] = max(total.get(name, 0), value) if name.startswith("worst") else total.get(name, 0) + value
        return total

    def stop(self):
        for one in self.processes:
            one.stdin.close()
        for one in self.processes:
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
