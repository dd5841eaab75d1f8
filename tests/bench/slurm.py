"""Jobs by our REST API against the same jobs by sbatch on the login node, and what watching them asks of it.

The floor submits the very script and options that our driver made for such a pod, in a loop on the login node
itself, as the same user. Remote commands are counted by a squeue of our own in front of Slurm's.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from interlink.model.pod import PodRequest
from interlink.model.status import Phase
from tests.bench import pods
from tests.bench.measure import Row, Size, Target, in_turn, median_ratio, seconds, wait
from tests.bench.stand import PATIENCE, Served, in_parallel, serving
from tests.lab import shared
from tests.lab.hosts import SshHost
from tests.lab.slurm.cluster import Cluster
from tests.lab.sshd import PLAIN_USER

PARALLEL = (1, 4, 8)
CREATE = Target(">=", 0.9)
THROUGH = Target("<=", 1.15)
SAME = Target("<=", 1.1)
HOME = f"/home/{PLAIN_USER}"
COUNTING = '#!/bin/sh\necho >> "{home}/{name}"\nexec squeue "$@"\n'


@dataclass
class Stand:
    """The lab's Slurm with a server that drives it by one login node."""

    served: Served
    cluster: Cluster
    host: SshHost
    counter: str  # the file in the user's home that has a line for each squeue

    def asked(self) -> int:
        """Return how often the queue has been asked for."""
        return (self.cluster.home / self.counter).read_text().count("\n")

    def sbatch(self, count: int, threads: int, command: str) -> None:
        """Submit so many jobs on the login node itself, in `threads` loops side by side."""
        flags = ["--parsable", "--no-requeue", "--output=/dev/null", "--nodes=1", "--ntasks=1", f"--wrap={command}"]
        loop = f"for i in $(seq {count // threads}); do sbatch {shlex.join(flags)} || exit; done"
        argv = ["runuser", "-u", PLAIN_USER, "--", "env", f"SLURM_CONF={self.cluster.login_conf}", "sh", "-c", loop]
        inside = self.cluster.logins["login1"].namespace
        assert inside is not None
        in_parallel(lambda _: _run(inside.inside(*argv)), range(threads), threads)


def _run(argv: Sequence[str]) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def slurm_stand() -> Iterator[Stand]:
    """Have the lab's Slurm (started if need be) driven by a server of our own; nothing of it is left."""
    lab = shared.Lab()
    with contextlib.closing(lab.use()):
        lab.up("slurm")
        directory, host = lab.private_directory(), lab.slurm.login("login1")
        counter, squeue = f"asked-{uuid.uuid4()}", lab.slurm.home / f"squeue-{uuid.uuid4()}"
        squeue.write_text(COUNTING.format(home=HOME, name=counter))
        squeue.chmod(0o755)
        variables = {
            **host.variables,
            "interlink_runtime": "process",
            "interlink_pods": 2000,
            "interlink_root": f"{HOME}/bench-{uuid.uuid4()}",
            "interlink_squeue_path": f"{HOME}/{squeue.name}",
        }
        try:
            with serving(directory, {host.name: variables}) as served:
                yield Stand(served, lab.slurm, host, counter)
        finally:
            host.run("rm", "-rf", variables["interlink_root"], counter)
            squeue.unlink()
            lab.remove_private(directory)


def rows(size: Size) -> Iterator[Row]:
    with slurm_stand() as stand:
        for threads in PARALLEL:
            yield _creates(stand, size, threads)
        yield from _asked(stand, size)
        yield _through(stand, size.of(1000, 16))


def _creates(stand: Stand, size: Size, threads: int) -> Row:
    count = size.of(max(8, 4 * threads), threads)

    def ours() -> float:
        requests = [pods.pod(("true",)) for _ in range(count)]
        taken = seconds(lambda: stand.served.create_all(requests, threads))
        stand.served.delete_all(requests)
        return count / taken

    def floor() -> float:
        return count / seconds(lambda: stand.sbatch(count, threads, "true"))

    rates, floors = in_turn([ours, floor], size.rounds(5))
    what = f"job by REST against sbatch, {threads} at once"
    return Row(what, "jobs/s", median(rates), median(floors), median_ratio(rates, floors), CREATE)


def _asked(stand: Stand, size: Size) -> Iterator[Row]:
    """How often the queue is asked for in the same time, with few and with many jobs that wait."""
    span = float(size.of(60, 10))
    counts: list[tuple[int, float]] = []
    made: list[PodRequest] = []
    for jobs in (size.of(10, 2), size.of(1000, 12)):
        more = [pods.pod(("true",), annotations={"slurm-job.vk.io/flags": "--hold"}) for _ in range(jobs - len(made))]
        stand.served.create_all(more, 8)
        made += more
        before = stand.asked()
        time.sleep(span)
        counts.append((jobs, (stand.asked() - before) / span))
    (few, base), (many, loaded) = counts
    note = f"{few} and {many} held jobs, {span:.0f} s each"
    yield Row("commands that ask for the queue", "1/s", loaded, base, target=SAME, note=note)
    stand.served.delete_all(made)


def _through(stand: Stand, count: int) -> Row:
    """All the way to Succeeded, against the same jobs by sbatch until Slurm says that they have ended."""

    def ours() -> float:
        requests = [pods.pod(("true",)) for _ in range(count)]
        uids = {request.pod.uid for request in requests}

        def run() -> None:
            stand.served.create_all(requests, 8)
            wait(lambda: _succeeded(stand.served, uids) == count, "all have succeeded", PATIENCE + count, 0.5)

        taken = seconds(run)
        stand.served.delete_all(requests)
        return taken

    def floor() -> float:
        before = len(stand.cluster.history())

        def run() -> None:
            stand.sbatch(count, 8, "true")
            wait(lambda: len(stand.cluster.history()) - before >= count, "all have ended", PATIENCE + count, 0.5)

        return seconds(run)

    taken, raw = ours(), floor()
    return Row(f"{count} pods to Succeeded, against sbatch", "s", taken, raw, target=THROUGH)


def _succeeded(served: Served, uids: set[str]) -> int:
    found = [record for record in served.ours.pods() if record.uid in uids]
    return sum(record.status.phase is Phase.SUCCEEDED for record in found)
