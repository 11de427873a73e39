"""A folder for one run: documents, a certificate, and copies of the programs, so that other users may enter and a
rebuild meanwhile does no harm."""

import grp
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile


class RunFolder:
    def __init__(self, build, settings):
        self.settings = settings
        self.path = tempfile.mkdtemp(prefix="dlhandoff-compare.", dir="/var/tmp")  # on a disk, as downloads are
        os.chmod(self.path, 0o755)
        self.documents = self.folder("documents")
        self.certificate = f"{self.path}/certificate.pem"
        self.key = f"{self.path}/key.pem"
        # As the tests do: an address of this process's own, so that two runs never meet.
        pid = os.getpid()
        self.address = f"127.{1 + (pid >> 16 & 0x7f)}.{pid >> 8 & 0xff}.{pid & 0xff}"
        self.as_root = os.geteuid() == 0
        who = pwd.getpwnam("www-data") if self.as_root else pwd.getpwuid(os.geteuid())
        self.account = who.pw_name
        self.group = grp.getgrgid(who.pw_gid).gr_name
        self.programs = {}
        for name, where in {
            "mod_dlhandoff.so": "mod_dlhandoff/mod_dlhandoff.so",
            "dlmanagerd": "dlmanagerd/dlmanagerd",
            "bench_load": "tests/bench/bench_load",
            "bench_throttled_disk": "tests/bench/bench_throttled_disk",
        }.items():
            if os.path.exists(f"{build}/{where}"):
                self.programs[name] = shutil.copy(f"{build}/{where}", f"{self.path}/{name}")

    def folder(self, name):
        path = f"{self.path}/{name}"
        os.makedirs(path, mode=0o755, exist_ok=True)
        return path

    def fill(self):
        self.make_certificate()
        with open(f"{self.documents}/ready", "w", encoding="ascii") as page:
            page.write("ready\n")
        for size in {**self.settings.file_sizes, **self.settings.small_sizes}.values():
            self.document(size)
        # Of holes: what slow clients ask for, and never come to the end of.
        with open(f"{self.documents}/big", "wb") as big:
            big.truncate(10**9)
        with open(f"{self.documents}/big", "rb") as big:
            while big.read(1 << 20):
                pass  # so that it is in the page cache as the others are

    def document(self, size):
        """In the page cache, since it has just been written; the path to ask for."""
        name = f"file-{size}"
        path = f"{self.documents}/{name}"
        if not os.path.exists(path):
            block = secrets.token_bytes(1 << 20)
            with open(path, "wb") as file:
                for done in range(0, size, len(block)):
                    file.write(block[: min(len(block), size - done)])
                file.flush()
                os.fsync(file.fileno())  # so that writing back doesn't go on while something is measured
        return f"/{name}"

    def make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            + ["-days", "2", "-subj", "/CN=main.test", "-keyout", self.key, "-out", self.certificate],
            check=True,
            capture_output=True,
        )
        os.chmod(self.key, 0o600)

    def free_port(self):
        with socket.socket() as probe:
            probe.bind((self.address, 0))
            return probe.getsockname()[1]

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
