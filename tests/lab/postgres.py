"""One PostgreSQL server, run by the user that its package made; tests get databases of their own."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

from tests.lab import process
from tests.lab.network import Namespace

ACCOUNT = "postgres"
PORT = 5432
AS_ACCOUNT = ("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups", "--")


class Postgres:
    """PostgreSQL without fsync and with trust for the lab's network: fast, and nothing for real data."""

    def __init__(self, directory: Path, namespace: Namespace) -> None:
        self.directory = directory
        self._namespace = namespace
        self._daemon = process.Daemon("postgres", directory)

    @property
    def alive(self) -> bool:
        return self._daemon.alive

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://{ACCOUNT}@{self._namespace.address}:{PORT}/{database}"

    def start(self) -> None:
        """Make the cluster if needed and start it; does nothing if it runs."""
        if self.alive:
            return
        programs = newest_programs()
        data = self.directory / "data"
        if not (data / "PG_VERSION").exists():
            data.mkdir(parents=True, exist_ok=True)
            shutil.chown(data, ACCOUNT, ACCOUNT)
            options = ["-A", "trust", "-U", ACCOUNT, "--no-sync", "-E", "UTF8", "--locale=C"]
            _run([*AS_ACCOUNT, f"{programs}/initdb", "-D", str(data), *options])
            network = f"{self._namespace.address.rpartition('.')[0]}.0/24"
            with (data / "pg_hba.conf").open("a") as file:
                file.write(f"host all all {network} trust\n")
        (data / "postmaster.pid").unlink(missing_ok=True)  # its pid is surely not alive, whoever has that number now
        settings = {
            "listen_addresses": self._namespace.address,
            "port": PORT,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 200,
        }
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self._daemon.start(
            self._namespace.inside(*AS_ACCOUNT, f"{programs}/postgres", "-D", str(data), *flags), env={"HOME": "/"}
        )
        self._daemon.wait_ready(self._answers)

    def stop(self) -> None:
        """SIGINT: disconnect everybody and end."""
        self._daemon.signal(signal.SIGINT)
        self._daemon.stop()

    def create(self, database: str) -> str:
        """Make an empty database and return its URL."""
        self._psql(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._psql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _psql(self, statement: str) -> None:
        address = ["-h", self._namespace.address, "-p", str(PORT), "-U", ACCOUNT]
        _run([f"{newest_programs()}/psql", "-X", "-q", *address, "-d", "postgres", "-c", statement])

    def _answers(self) -> bool:
        try:
            self._psql("SELECT 1")
        except process.LabError:
            return False
        return True


def newest_programs() -> Path:
    """The directory of the newest server's programs."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max(versions, key=lambda path: int(path.parts[-3])).parent


def _run(argv: list[str]) -> None:
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env=process.clean_environment(), timeout=120, cwd="/"
    )
    if done.returncode:
        raise process.LabError(f"{' '.join(argv)}: {done.stderr.strip()}")
