"""A pod compiled for the runtime podman: what podman is called with, by a stand-in that writes it down."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from interlink.bundle import job
from interlink.bundle.site import Site
from interlink.errors import Unsupported
from interlink.model.pod import PodRequest
from tests.unit.bundle import standin
from tests.unit.bundle.standin import flags, pod


def bundle_of(path: Path, request: PodRequest, **site: Any) -> standin.Bundle:
    """Return a bundle whose image is ready."""
    return standin.Bundle(path, request, "podman", {"id": "abc123", "user": "65534", "cgroups": "disabled"}, **site)


def test_a_container_is_called_for_its_attempt_and_ends_with_podman(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, pod({"command": ["a b", "$(X)"], "args": ["c"], "env": [{"name": "X", "value": "x"}]}))
    argv = bundle.started()
    assert argv[:2] == ["run", "--rm"]
    assert flags(argv, "--name") == ["il-u-1-main-2"]
    assert flags(argv, "--cgroups") == ["disabled"]
    assert flags(argv, "--network") == ["host"]
    assert flags(argv, "--hostname") == ["p"]
    assert flags(argv, "--user") == ["65534"]
    assert argv[argv.index("--") :] == ["--", "abc123", "x", "c"]
    assert flags(argv, "--entrypoint") == ['["a b"]']
    assert "IL_CONTAINER=u-1/main/2" in flags(argv, "--env")
    assert not [item for item in bundle.environ if item.startswith("IL_CONTAINER=")], "podman itself must outlive it"


def test_values_are_in_files_or_in_the_environment_and_not_in_arguments(tmp_path: Path) -> None:
    env = [
        {"name": "A", "value": "s3cret"},
        {"name": "B", "value": "two\ns3cret"},
        {"name": "a.conf", "value": "s3cret"},
    ]
    bundle = bundle_of(tmp_path, pod({"env": env}))
    argv = bundle.started()
    assert not [word for word in argv if "s3cret" in word]
    assert flags(argv, "--env-file") == [f"{bundle.path}/env/main"]
    assert (bundle.path / "env/main").read_text() == "A=s3cret\na.conf=s3cret\n"
    assert "B=two\ns3cret" in bundle.environ
    with pytest.raises(Unsupported, match=r"'a\.conf'"):
        job.compile_pod(pod({"env": [{"name": "a.conf", "value": "x\ny"}]}), Site(runtime="podman"))


def test_volumes_are_the_bundles_own_directories(tmp_path: Path) -> None:
    mounts = [{"name": "d", "mountPath": "/d"}, {"name": "m", "mountPath": "/m", "subPath": "x"}]
    volumes = [{"name": "d", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}]
    bundle = bundle_of(tmp_path, pod({"volumeMounts": mounts}, volumes=volumes))
    (bundle.path / "memory/m").mkdir(parents=True)
    found = flags(bundle.started(), "--mount")
    assert f'type=bind,"source={bundle.path}/volumes/d",target=/d' in found
    assert f'type=bind,"source={bundle.path}/memory/m/x",target=/m' in found
    assert f'type=bind,"source={bundle.path}/box/main/hosts",target=/etc/hosts' in found
    assert (bundle.path / "memory/m/x").is_dir()


def test_who_a_container_runs_as_is_the_manifests_to_say(tmp_path: Path) -> None:
    security = {"runAsUser": 7, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}, "readOnlyRootFilesystem": True}
    spec = {"securityContext": {"runAsGroup": 8, "supplementalGroups": [9]}, "hostNetwork": True, "hostPID": True}
    argv = bundle_of(tmp_path, pod({"securityContext": security}, **spec)).started()
    assert (flags(argv, "--user"), flags(argv, "--group-add"), flags(argv, "--pid")) == (["7:8"], ["9"], ["host"])
    assert (flags(argv, "--cap-drop"), flags(argv, "--cap-add"), "--read-only" in argv) == (["ALL"], ["CHOWN"], True)
    assert not flags(argv, "--hostname")


def test_each_device_that_the_job_was_given_is_handed_over(tmp_path: Path) -> None:
    limits = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
    bundle = bundle_of(tmp_path, pod(limits), resources=frozenset({"nvidia.com/gpu"}), options=("--log-level", "error"))
    argv = bundle.started(IL_GPUS="0,GPU-5")
    assert flags(argv, "--device") == ["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-5"]
    assert flags(argv, "--log-level") == ["error"]
    assert not flags(bundle_of(tmp_path / "none", pod()).started(IL_GPUS="0"), "--device")


def test_an_image_that_is_not_ready_is_no_start(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, pod())
    (bundle.path / "image/main.id").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        bundle.started()
    assert (bundle.path / "start/main.refused").read_text() == "the image is not ready\n"
