"""The servers that are compared: each started from its template in tests/bench/peers, and ended again."""

import os
import pwd
import re
import resource
import signal
import socket
import subprocess
import time

import machine

PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
NGINX = "/usr/sbin/nginx"
LIGHTTPD = "/usr/sbin/lighttpd"
HTTPD = "/usr/sbin/apache2"
HTTPD_MODULES = "/usr/lib/apache2/modules"

OURS = ("embedded-prefork", "embedded-event", "service-prefork", "service-event")
STOCK = ("stock-prefork", "stock-event")
PEER_KINDS = ("nginx", "lighttpd") + STOCK


def installed(kind):
    program = {"nginx": NGINX, "lighttpd": LIGHTTPD, "sendfile": "/bin/sh"}.get(kind, HTTPD)
    return os.access(program, os.X_OK)


def chosen(run, kinds):
    """Those of these kinds that are installed and wanted in this run."""
    wanted = run.settings.kinds
    return [kind for kind in kinds if installed(kind) and (not wanted or kind in wanted)]


def descriptor_limit():
    """The hard one, which is then also what all that is started here has."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(hard, 1_000_000)


class Server:
    """One server, running. `workers`: of httpd; `processes`: of nginx and lighttpd, one a core if nothing else is
    said; `fast`: set up for few clients that are fast, and not for many that are slow."""

    count = 0

    def __init__(self, run, kind, workers=128, processes=None, min_size="64K", aio=False, buffered_logs=True, fast=False):
        Server.count += 1
        self.run = run
        self.kind = kind
        self.folder = run.folder(f"{kind}-{Server.count}")
        self.programs = []
        self.http_port = run.free_port()
        self.https_port = run.free_port()
        event_processes = max(2, -(-workers // 25))
        descriptors = descriptor_limit()
        cores = len(os.sched_getaffinity(0))
        self.values = {
            "RUN": self.folder,
            "ADDRESS": run.address,
            "HTTP_PORT": self.http_port,
            "HTTPS_PORT": self.https_port,
            "DOCUMENTS": run.documents,
            "CERTIFICATE": run.certificate,
            "KEY": run.key,
            "MODULES": HTTPD_MODULES,
            "MOD_DLHANDOFF": run.programs["mod_dlhandoff.so"],
            "ACCOUNT": run.account,
            "DESCRIPTORS": descriptors,
            "HALF_DESCRIPTORS": descriptors // 2,
            "PROCESSES": processes or ("auto" if kind == "nginx" else cores),
            "WORKERS": workers,
            "EVENT_PROCESSES": event_processes,
            "EVENT_WORKERS": event_processes * 25,
            "MANAGER": "embedded" if kind.startswith("embedded") else f"unix:{self.folder}/manager/manager.sock",
            "MIN_SIZE": min_size,
            "NOTE": "" if kind.startswith("stock") else "%{dlhandoff}n",
            "BUFFERED_LOGS": "On" if buffered_logs else "Off",
            "AIO_LINE": "aio threads;" if aio else "# Without threads for reading: all files are in the page cache.",
            "SSL_BUFFER": "64k" if fast else "16k",
            "USER_LINE": self.user_line(),
        }
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def user_line(self):
        if not self.run.as_root:
            return ""
        user, group = self.run.account, self.run.group
        if self.kind == "nginx":
            return f"user {user} {group};"
        if self.kind == "lighttpd":
            return f'server.username = "{user}"\nserver.groupname = "{group}"'
        return f"User {user}\nGroup {group}"

    def render(self, name):
        with open(f"{PEERS}/{name}", encoding="utf-8") as template:
            text = re.sub(r"@([A-Z_]+)@", lambda found: str(self.values.get(found[1], found[0])), template.read())
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def spawn(self, command, user=None):
        # A session of its own: Ctrl-C at the terminal is for the script, which then ends its servers. They go with it
        # if it is killed.
        prefix = ["setpriv", "--pdeathsig", "INT"]
        if user:
            prefix += [f"--reuid={user}", f"--regid={self.run.group}", "--init-groups"]
        with open(f"{self.folder}/console.log", "ab") as log:
            program = subprocess.Popen(
                prefix + ["--"] + command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.programs.append(program)
        return program

    def start(self):
        if self.kind == "nginx":
            configuration = self.render("nginx.conf")
            self.spawn([NGINX, "-c", configuration, "-e", f"{self.folder}/error.log"])
        elif self.kind == "lighttpd":
            if self.run.as_root:  # it opens its logs as the user it becomes
                owner = pwd.getpwnam(self.run.account)
                os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self.spawn([LIGHTTPD, "-D", "-f", self.render("lighttpd.conf")])
        elif self.kind == "sendfile":
            listen = f"{self.run.address}:{self.http_port}"
            self.spawn([self.run.programs["bench_load"], "serve", "--listen", listen, "--root", self.run.documents])
        else:
            self.start_httpd()
        self.wait_until_up(self.http_port)
        if self.kind != "sendfile":
            self.wait_until_up(self.https_port)
        if self.kind not in ("sendfile", "nginx", "lighttpd"):
            self.wait_for_children()

    def start_httpd(self):
        manager, mpm = self.kind.split("-")
        if manager == "service":
            self.start_service()
        self.render("httpd-common.conf")
        configuration = self.render(f"httpd-stock-{mpm}.conf")
        if manager != "stock":
            configuration = self.render(f"httpd-handoff-{mpm}.conf")
        self.spawn([HTTPD, "-f", configuration, "-DFOREGROUND"])

    def start_service(self):
        folder = self.run.folder(f"{os.path.basename(self.folder)}/manager")
        user = None
        if self.run.as_root:
            user = "nobody"
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(self.run.account).pw_gid)
        self.spawn([self.run.programs["dlmanagerd"], "--config", self.render("dlmanagerd.toml")], user)
        path = f"{folder}/manager.sock"
        self.wait_for(lambda: os.path.exists(path), "dlmanagerd does not listen")

    def wait_for(self, condition, otherwise, seconds=20):
        until = time.monotonic() + seconds
        while not condition():
            gone = [one for one in self.programs if one.poll() is not None]
            if gone or time.monotonic() > until:
                raise RuntimeError(f"{self.kind}: {otherwise}\n{self.logs()}")
            time.sleep(0.02)

    def logs(self):
        text = ""
        for name in ("console.log", "error.log"):
            if os.path.exists(f"{self.folder}/{name}"):
                text += machine.read(f"{self.folder}/{name}")[-2000:]
        return text

    def wait_until_up(self, port):
        def answers():
            try:
                socket.create_connection((self.run.address, port), timeout=1).close()
                return True
            except OSError:
                return False

        self.wait_for(answers, f"does not answer at {self.run.address}:{port}")

    def wait_for_children(self):
        """All of httpd's, so that none starts while something is measured."""
        expected = self.values["WORKERS"] if self.kind.endswith("prefork") else self.values["EVENT_PROCESSES"]
        httpd = self.programs[-1].pid
        self.wait_for(lambda: len(machine.children(httpd)) >= expected, "not all children have started", 60)
        if self.kind.endswith("event"):
            self.wait_for(
                lambda: all(len(os.listdir(f"/proc/{one}/task")) > 25 for one in machine.children(httpd)),
                "not all threads have started",
                60,
            )

    def pids(self):
        return [one.pid for one in self.programs]

    def address(self, https=False):
        return f"{self.run.address}:{self.https_port if https else self.http_port}"

    def access_log(self):
        return f"{self.folder}/access.log"

    def stop(self):
        for program in reversed(self.programs):
            if program.poll() is not None:
                continue
            everyone = machine.family([program.pid])
            # At once: to dlmanagerd, TERM means to finish its downloads first.
            is_manager = self.run.programs["dlmanagerd"] in program.args
            program.send_signal(signal.SIGINT if is_manager else signal.SIGTERM)
            try:
                program.wait(20)
            except subprocess.TimeoutExpired:
                for pid in everyone:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                program.wait(10)
        self.programs = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
