"""The images built, and the composition of deploy/compose.yaml brought up, by a docker daemon of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import bases, images, process
from tests.lab.docker import Dockerd
from tests.lab.registry import Registry

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500), pytest.mark.minutes(5)]

ROOT = Path(__file__).parents[2]
INTERLINK = Path(sys.executable).with_name("interlink")


@pytest.fixture
def dockerd(second_dockerd: Callable[..., Dockerd]) -> Dockerd:
    """A daemon that has images to build on."""
    made = second_dockerd()
    made.engine.run("load", stdin=images.archive([bases.python(), bases.host()]))
    return made


class Composition:
    """`docker-compose` on deploy/compose.yaml, and commands where its ports are."""

    def __init__(self, dockerd: Dockerd, directory: Path) -> None:
        self.dockerd, self.directory = dockerd, directory
        self.environ = {
            **os.environ,
            **dockerd.env,
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_PROJECT_NAME": "interlink",
            "DOCKER_SOCKET": str(dockerd.socket),
            "BASE": bases.PYTHON_BASE,
            "HOST_BASE": bases.HOST_BASE,
        }

    def __call__(self, *arguments: str) -> str:
        """Run docker-compose; shows the containers' logs where it fails."""
        argv = ["docker-compose", "-f", str(ROOT / "deploy/compose.yaml"), *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=900, env=self.environ)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def interlink(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `interlink` on the machine whose docker this is."""
        argv = self.dockerd.namespace.inside(str(INTERLINK), *arguments)
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=280, cwd=self.directory)

    def logs(self) -> str:
        return self("logs", "--no-color", "--tail=40")


@pytest.fixture
def composition(dockerd: Dockerd, tmp_path: Path) -> Iterator[Composition]:
    made = Composition(dockerd, tmp_path)
    yield made
    made("down", "-v", "--timeout", "5")
    shutil.rmtree("/tmp/interlink-demo", ignore_errors=True)


def in_checkout(composition: Composition, *arguments: str) -> None:
    done = subprocess.run(
        [str(INTERLINK), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        cwd=ROOT,
        env=composition.environ,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_images_are_published_and_a_pod_runs_through_the_composition(
    composition: Composition, dockerd: Dockerd, registry: Registry
) -> None:
    where = ["--registry", f"{registry.address}/tried", "--tag", str(os.getpid())]
    in_checkout(composition, "build", "--base", bases.PYTHON_BASE, *where)
    in_checkout(composition, "push", *where)
    for image in ("server", "kubelet"):
        name = f"{registry.address}/tried/interlink-{image}:{os.getpid()}"
        dockerd.engine.run("image", "rm", name)
        dockerd.engine.run("pull", "-q", name)
        [found] = json.loads(dockerd.engine.run("image", "inspect", name))
        assert found["Config"]["User"] == "10001:10001", "not root"
        said = dockerd.engine.run("run", "--rm", "--network=none", "--read-only", name, "--version")
        assert said.startswith("interlink ")

    composition("up", "-d", "--build")
    token = composition.directory / "token"

    def answers() -> bool:
        done = subprocess.run(
            ["docker-compose", "-f", str(ROOT / "deploy/compose.yaml"), "exec", "-T", "server", "cat", "/keys/token"],
            capture_output=True,
            check=False,
            env=composition.environ,
            timeout=120,
        )
        if done.returncode or not done.stdout:
            return False
        token.touch(mode=0o600)
        token.write_bytes(done.stdout)
        return composition.interlink("server.ready", *server).returncode == 0

    server = ["--server", "http://127.0.0.1:3000", "--token-file", str(token)]
    try:
        process.wait_until(answers, 240, "the composition to answer")
    except process.LabError:
        raise AssertionError(composition.logs()) from None
    ran = composition.interlink("run", str(ROOT / "examples/busyecho_k8s.yaml"), *server)
    assert ran.returncode == 0, ran.stderr + composition.logs()
    assert "hello from busyecho" in ran.stdout
