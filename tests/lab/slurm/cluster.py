"""One Slurm cluster: its computers, its daemons, its login nodes, and what can go wrong with them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import leftovers, process
from tests.lab.hosts import SshHost
from tests.lab.network import Namespace
from tests.lab.slurm import settings as texts
from tests.lab.slurm.computer import Computer, hosts_file
from tests.lab.slurm.service import Service
from tests.lab.slurm.settings import COMPUTERS, CONTROLLER, LOGINS, NODES, Settings
from tests.lab.sshd import PLAIN_USER, Sshd, authorize, make_key

MEMORY_CGROUP = Path("/sys/fs/cgroup/memory")


def enforces_memory() -> bool:
    """True where Slurm 22.05 can limit a job's memory without systemd: version 1 of cgroups."""
    return (MEMORY_CGROUP / "memory.limit_in_bytes").exists()


@dataclass(frozen=True)
class Job:
    """A job as the controller, or the record of ended jobs, tells it."""

    id: int
    name: str
    state: str


class Cluster:
    """`namespaces` are by the roles in COMPUTERS, which name them here too; they share one /home."""

    def __init__(self, directory: Path, namespaces: Mapping[str, Namespace], settings: Settings | None = None) -> None:
        self.directory = directory
        self.settings = settings or Settings()
        self.computers = {name: self._computer(space) for name, space in namespaces.items()}
        nodes = self.computers
        conf = {"SLURM_CONF": str(self.conf)}
        self.munge = self._munged("munge", nodes[CONTROLLER])
        self.login_munge = self._munged("login-munge", nodes[LOGINS[0]])
        self.controller = Service("slurmctld", directory, nodes[CONTROLLER], ["slurmctld", "-D"], conf)
        self.slurmd = {
            name: Service(f"slurmd-{name}", directory, nodes[name], ["slurmd", "-D", "-N", nodes[name].name], conf)
            for name in NODES
        }
        login_conf = {"SLURM_CONF": str(self.login_conf)}
        self.logins = {name: Sshd(directory / name, namespace=nodes[name], env=login_conf) for name in LOGINS}

    def _computer(self, space: Namespace) -> Computer:
        return Computer(space.name, space.address, self.directory)

    @property
    def limits_memory(self) -> bool:
        """True where a job that uses more memory than it asked for is killed."""
        return enforces_memory()

    @property
    def conf(self) -> Path:
        return self.directory / "slurm.conf"

    @property
    def login_conf(self) -> Path:
        """The login nodes' own, which names their own munged."""
        return self.directory / "login" / "slurm.conf"

    def _munged(self, name: str, namespace: Namespace) -> Service:
        base = self.directory / name
        argv = [
            "munged",
            "--foreground",
            "--force",
            f"--key-file={self.directory}/munge.key",
            f"--socket={base}/sock",
            f"--pid-file={base}/own",
            f"--seed-file={base}/seed",
            f"--log-file={base}/own.log",
        ]
        return Service("munged", base, namespace, argv)

    @property
    def daemons(self) -> list[Service]:
        return [self.munge, self.login_munge, self.controller, *self.slurmd.values()]

    @property
    def alive(self) -> bool:
        return all(part.alive for part in [*self.daemons, *self.logins.values()])

    def start(self) -> None:
        """Start what does not run and return when jobs would."""
        if self.alive:
            return
        self._write()
        for daemon in self.daemons:
            daemon.start()
        self._start_logins()
        process.wait_until(self._ready, 60, f"Slurm to be ready, see {self.directory}/*.log")

    def _write(self) -> None:
        """Every file of the configuration; a login node's differs by the munged that it asks."""
        for path in (
            "munge",
            "login-munge",
            "login",
            "state",
            f"home/{PLAIN_USER}",
            *(f"spool/{self.computers[name].name}" for name in NODES),
        ):
            (self.directory / path).mkdir(parents=True, exist_ok=True)
        key = self.directory / "munge.key"
        if not key.exists():
            key.touch(mode=0o400)
            key.write_bytes(os.urandom(1024))
        for number in range(texts.GPUS):
            device = self.directory / f"gpu{number}"
            if not device.exists():
                os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # as /dev/null
        (self.directory / "jobcomp.txt").touch()
        addresses = {computer.name: computer.address for computer in self.computers.values()}
        (self.directory / "hosts").write_text(hosts_file(addresses))
        for base, munge in ((self.directory, self.munge), (self.directory / "login", self.login_munge)):
            socket, limited = munge.directory / "sock", self.limits_memory
            conf = texts.slurm_conf(self.directory, self.computers, socket, self.settings, cgroups=limited)
            (base / "slurm.conf").write_text(conf)
            (base / "gres.conf").write_text(texts.gres_conf(self.directory, self.computers))
            (base / "cgroup.conf").write_text(self._cgroup_conf)

    @property
    def _cgroup_conf(self) -> str:
        return texts.CGROUP_CONF if self.limits_memory else ""

    @property
    def home(self) -> Path:
        """The user's home directory, as seen from outside the cluster."""
        return self.directory / "home" / PLAIN_USER

    def _start_logins(self) -> None:
        """One key pair of the user opens every login node; a second one, in the home, does so from within."""
        keys = [make_key(self.directory / "keys" / name) for name in ("id", "inner")]
        for login in self.logins.values():
            login.directory.mkdir(parents=True, exist_ok=True)
            shutil.copy(keys[0], login.key)
            shutil.copy(keys[0].with_suffix(".pub"), login.key.with_suffix(".pub"))
            authorize(login.authorized_keys, [key.with_suffix(".pub") for key in keys])
            login.start()
        self._write_home(keys[1])

    def _write_home(self, key: Path) -> None:
        account = pwd.getpwnam(PLAIN_USER)
        ssh = self.home / ".ssh"
        ssh.mkdir(parents=True, exist_ok=True)
        shutil.copy(key, ssh / "id_ed25519")
        lines = [
            login.known_hosts_line.replace(login.address, f"{login.address},{self.computers[name].name}", 1)
            for name, login in self.logins.items()
        ]
        (ssh / "known_hosts").write_text("".join(lines))
        for path in (self.home, ssh, *ssh.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
            path.chmod(0o700)

    def _ready(self) -> bool:
        try:
            lines = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %t").splitlines()
        except (process.LabError, subprocess.TimeoutExpired):
            return False
        return sorted(line for line in lines if line.split()[1] in ("idle", "mix", "alloc")) == sorted(lines)

    def run(self, *argv: str, timeout: float = 240) -> str:
        """Run a Slurm client as root, with the controller's own munge; LabError with its message if it fails."""
        env = {**process.clean_environment(), "SLURM_CONF": str(self.conf)}
        done = subprocess.run(
            self.computers[CONTROLLER].inside(*argv),
            capture_output=True,
            text=True,
            check=False,
            env=env,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise process.LabError(f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def scontrol(self, *arguments: str) -> str:
        return self.run("scontrol", *arguments)

    def jobs(self, name: str = "") -> list[Job]:
        """What the controller knows, ended jobs too for MinJobAge; those of one name if it is given."""
        chosen = [f"--name={name}"] if name else []
        lines = self.run("squeue", "-h", "-a", "-r", "-t", "all", "-o", "%A|%T|%j", *chosen).splitlines()
        parts = [line.split("|", 2) for line in lines]
        return [Job(int(number), own, state) for number, state, own in parts]

    def history(self, name: str = "") -> list[Job]:
        """Every job that has ended, in the order of their ends; a requeued one appears once for each run."""
        found = []
        for line in (self.directory / "jobcomp.txt").read_text().splitlines():
            pairs = dict(pair.split("=", 1) for pair in line.split(" ") if "=" in pair)
            if not name or pairs["Name"] == name:
                found.append(Job(int(pairs["JobId"]), pairs["Name"], pairs["JobState"]))
        return found

    def node_state(self, name: str) -> str:
        return self.run("sinfo", "-h", "-N", "-p", "main", "-n", self.computers[name].name, "-o", "%t").strip()

    def down(self, name: str) -> None:
        """Let the administrator declare a node down: its jobs end at once with NODE_FAIL."""
        self.scontrol("update", f"nodename={self.computers[name].name}", "state=down", "reason=lab")

    def up(self, name: str) -> None:
        """Undo down(), or a death of slurmd (which has to run again)."""
        self.scontrol("update", f"nodename={self.computers[name].name}", "state=resume")

    def login(self, name: str, user: str = PLAIN_USER) -> SshHost:
        """The inventory's view of one login node."""
        return self.logins[name].host(name, user, None, **self.variables)

    @property
    def variables(self) -> dict[str, Any]:
        """What the inventory says of every login node; the lab's controller does not mind being asked often."""
        return {
            "interlink_driver": "slurm",
            "interlink_cluster": "lab",
            "interlink_poll_seconds": 2,
            "interlink_poll_min_seconds": 0.5,
        }

    @property
    def hosts(self) -> list[SshHost]:
        return [self.login(name) for name in LOGINS]

    def close(self) -> None:
        """End every job and daemon and delete all files, whatever state they are in."""
        for login in self.logins.values():
            login.close()
        for daemon in self.daemons:
            daemon.resume()
        if self.controller.alive and self.munge.alive:
            with contextlib.suppress(process.LabError, subprocess.TimeoutExpired):  # what is left is killed below
                self.run("scancel", "-f", "--user", PLAIN_USER, timeout=10)
        for daemon in reversed(self.daemons):
            daemon.stop()
        for computer in self.computers.values():
            computer.empty()
        leftovers.remove_cgroups([f"slurm_{self.computers[name].name}" for name in NODES])
        leftovers.sweep(self.directory)


__all__ = ["COMPUTERS", "Cluster", "Job", "Settings", "enforces_memory"]
