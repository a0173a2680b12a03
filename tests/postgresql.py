"""A PostgreSQL of the tests' own: a cluster in a temporary directory, never root's, that listens on loopback alone."""

import os
import secrets
import subprocess
import tempfile
from pathlib import Path

import psycopg

from ports import port_to_serve

PASSWORD = f"pg-{secrets.token_hex(8)}"  # a string that is nowhere else, so that it can be looked for


def _binaries():
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


class Cluster:
    """Started at once, stopped with `stop`. Nothing in it survives: it doesn't wait for the disk."""

    def __init__(self):
        # In memory, and in a directory of its own that its user may enter
        memory = Path("/dev/shm")
        self._directory = tempfile.TemporaryDirectory(prefix="lspg-", dir=memory if memory.is_dir() else None)
        self._root = Path(self._directory.name)
        self._root.chmod(0o755)
        self._user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        self._user = self._user if os.getuid() == 0 else []
        self._bin = _binaries()
        self._names = 0
        home = self._root / "home"
        home.mkdir()
        password = home / "password"
        password.write_text(PASSWORD)
        if self._user:
            subprocess.run(["chown", "-R", "postgres:", home], check=True)
        self._data = home / "data"
        self._run(
            "initdb", "--no-sync", "--auth=scram-sha-256", f"--pwfile={password}", "-U", "longshore", "-E", "UTF8"
        )
        self.port = port_to_serve()
        self.start()
        self.execute("postgres", "CREATE DATABASE empty")

    @property
    def log(self):
        return self._root / "home" / "log"

    def _run(self, program, *arguments):
        command = [*self._user, self._bin / program, "-D", self._data, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr

    def start(self):
        # A backend that waits for a lock dies with the server, too
        options = f"-h 127.0.0.1 -p {self.port} -k {self._root / 'home'} -c fsync=off -c max_connections=300"
        command = [*self._user, self._bin / "pg_ctl", "-D", self._data, "-l", self.log, "-w", "-o", options, "start"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60)

    def stop(self):
        self._run("pg_ctl", "stop", "-m", "immediate", "-w")

    def restart(self):
        self._run("pg_ctl", "stop", "-m", "fast", "-w")
        self.start()

    def remove(self):
        self.stop()
        self._directory.cleanup()

    def database(self):
        """Make a new, empty database and return its address."""
        self._names += 1
        name = f"test{self._names}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE empty")
        return f"postgresql+psycopg://longshore:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def processor_seconds(self):
        """Return the seconds of all of its processes, those that have ended too."""
        server = (self._data / "postmaster.pid").read_text().split()[0]
        total = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if path.parent.name == server:
                total += sum(map(int, fields[11:15]))  # its own, and that of children which it has waited for
            elif fields[1] == server:
                total += sum(map(int, fields[11:13]))
        return total / os.sysconf("SC_CLK_TCK")

    def query(self, url, statement):
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            return connection.execute(statement).fetchall()

    def execute(self, database, statement):
        address = f"postgresql://longshore:{PASSWORD}@127.0.0.1:{self.port}/{database}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)
