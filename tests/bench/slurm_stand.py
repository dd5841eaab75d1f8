"""The lab's Slurm with a real `interlink serve` before it, and the same jobs by sbatch itself.

The floor submits the very script and options that our driver makes for such a pod, in a loop on the login node
itself, as the same user; the pods' bundles lie there before the clock starts.
"""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlink.bundle import job, slurmflags, slurmimages, slurmjob, tar
from interlink.bundle.site import Site
from interlink.bundle.slurmsite import SlurmSite
from interlink.model.host import Host
from interlink.model.pod import PodRequest
from interlink.remote.shell import join
from tests.bench.measure import wait
from tests.bench.stand import PATIENCE, Served, in_parallel, serving
from tests.lab import shared
from tests.lab.slurm.cluster import Cluster
from tests.lab.sshd import PLAIN_USER

INTERVAL = 2  # seconds between two looks at the queue, whatever is expected; sites have ten and more
HOME = f"/home/{PLAIN_USER}"
FLOOR = f"bench-floor-{os.getpid()}"  # the name of all jobs of the floor
COUNTING = '#!/bin/sh\necho >>"{place}/asked"\nexec squeue "$@"\n'


@dataclass
class Stand:
    """The lab's Slurm with a server that drives it by one login node."""

    served: Served
    cluster: Cluster
    host: Host
    directory: str  # below the user's home

    def asked(self) -> int:
        """Return how often the queue has been asked for."""
        return (self.cluster.home / self.directory / "asked").read_text().count("\n")

    def place(self, name: str) -> tuple[str, Path]:
        """Make a directory; return its path as the cluster has it, and as we have it."""
        self._as_user(f"mkdir {HOME}/{self.directory}/{name}")
        return f"{HOME}/{self.directory}/{name}", self.cluster.home / self.directory / name

    def unpack(self, request: PodRequest) -> str:
        """Have a pod's bundle at its place, as our driver would; return the command that submits it."""
        site = SlurmSite.of(self.host)
        batch = slurmjob.compile_job(request, site)
        entries = (*job.compile_pod(request, slurmimages.site_of(request.pod, Site.of(self.host), site)), *batch.files)
        place = f"{self.directory}/floor/pods/{request.pod.uid}"
        owner = pwd.getpwnam(PLAIN_USER)
        content = tar.pack(entries, owner=(owner.pw_uid, owner.pw_gid))
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(self.cluster.home / place, filter="tar")
        os.chown(self.cluster.home / place, owner.pw_uid, owner.pw_gid)
        own = ["--parsable", "--no-requeue", f"--job-name={FLOOR}", f"--chdir={HOME}/{place}", "--output=job.out"]
        return join(["sbatch", *own, *slurmflags.arguments(batch.options), f"{HOME}/{place}/job.sh"])

    def sbatch(self, commands: Sequence[str], threads: int) -> None:
        """Submit on the login node itself, in `threads` loops side by side."""
        loops = [" && ".join(commands[number::threads]) for number in range(threads)]
        in_parallel(self._as_user, loops, threads)

    def _as_user(self, script: str) -> None:
        inside = self.cluster.logins["login1"].namespace
        assert inside is not None
        argv = inside.inside("runuser", "-u", PLAIN_USER, "--", "env", f"SLURM_CONF={self.cluster.login_conf}", "sh")
        subprocess.run(argv, check=True, input=script.encode(), stdout=subprocess.DEVNULL)

    def cancel_floor(self) -> None:
        """End what the floor has left in the queue."""
        self.cluster.run("scancel", f"--name={FLOOR}")
        wait(
            lambda: not any(one.state == "PENDING" for one in self.cluster.jobs(FLOOR)), "they are gone", PATIENCE, 0.2
        )


@contextlib.contextmanager
def slurm_stand() -> Iterator[Stand]:
    """Have the lab's Slurm (started if need be) driven by a server of our own; nothing of it is left."""
    lab = shared.Lab()
    with contextlib.closing(lab.use()):
        lab.up("slurm")
        account, files = lab.slurm.login("login1"), lab.private_directory()
        directory = f"bench-{uuid.uuid4()}"
        account.run("mkdir", "-p", f"{directory}/floor/pods", f"{directory}/floor/gone")
        squeue = lab.slurm.home / directory / "squeue"
        squeue.write_text(COUNTING.format(place=f"{HOME}/{directory}"))
        squeue.chmod(0o755)
        variables = {
            **account.variables,
            "interlink_runtime": "process",
            "interlink_pods": 2000,
            "interlink_root": f"{HOME}/{directory}/root",
            "interlink_squeue_path": f"{HOME}/{directory}/squeue",
            "interlink_poll_seconds": INTERVAL,
            "interlink_poll_min_seconds": INTERVAL,
        }
        try:
            with serving(files, {account.name: variables}) as served:
                yield Stand(served, lab.slurm, Host(account.name, vars=variables), directory)
        finally:
            lab.slurm.run("scancel", f"--name={FLOOR}")
            account.run("rm", "-rf", directory)
            lab.remove_private(files)
