"""The lab's HPC cluster: Apptainer finds every image in the lab's registries, in a job and without one."""

from __future__ import annotations

import os

import pytest

from tests.lab import images
from tests.lab.hosts import SshHost
from tests.lab.hpc.cluster import HpcCluster
from tests.lab.registry import PASSWORD, USER, Registry
from tests.lab.slurm.test_slurm_smoke import ends, submit, text

pytestmark = pytest.mark.lab


@pytest.fixture
def workstation(hpc: HpcCluster) -> SshHost:
    return hpc.workstation


def run(host: SshHost, command: str) -> str:
    done = host.run(command, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_docker_hub_name_runs_unchanged(workstation: SshHost) -> None:
    assert run(workstation, "apptainer -q exec --containall docker://busybox:1.36 echo hello") == "hello\n"


def test_root_of_a_container_can_be_writable(workstation: SshHost) -> None:
    command = "apptainer -q exec --containall --writable-tmpfs docker://busybox:1.36 sh -c 'echo x > /new; cat /new'"
    assert run(workstation, command) == "x\n"


def test_pushed_image_is_found_by_a_registrys_name(workstation: SshHost, registry: Registry) -> None:
    name = f"lab/hpc-{os.getpid()}:1"
    registry.push(images.Image(images.layer(images.busybox_files()), {"Cmd": ["echo", "new"]}, (name,)))
    assert run(workstation, f"apptainer -q run --containall docker://registry.lab/{name}") == "new\n"


def test_private_registry_wants_its_password(workstation: SshHost) -> None:
    command = "apptainer -q exec docker://private.lab/lab/busybox:1 true"
    assert workstation.run(command).returncode != 0
    run(workstation, f"APPTAINER_DOCKER_USERNAME={USER} APPTAINER_DOCKER_PASSWORD={PASSWORD} {command}")


def test_container_runs_in_a_job(hpc: HpcCluster) -> None:
    job = submit(hpc.login("login2"), 'apptainer -q exec --containall docker://busybox:1.36 sh -c "exit 5"')
    ends(hpc, job, "FAILED")
    job = submit(hpc.login("login2"), "apptainer -q exec --containall docker://busybox:1.36 hostname", "--gres=gpu:1")
    ends(hpc, job, "COMPLETED")
    assert text(hpc, job).strip() in {computer.name for computer in hpc.computers.values()}
