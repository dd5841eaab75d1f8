"""The lab itself: each part does the thing that the tests rely on."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy

from tests.lab import images, process
from tests.lab.docker import Dockerd
from tests.lab.hosts import PAUSE_IMAGE, TEST_IMAGE, SshHost
from tests.lab.network import Namespace
from tests.lab.registry import Registry
from tests.lab.sshd import Sshd

pytestmark = pytest.mark.lab


@pytest.fixture(params=["docker_host", "podman_host"])
def engine_host(request: pytest.FixtureRequest) -> SshHost:
    """Each engine's host in turn."""
    host: SshHost = request.getfixturevalue(request.param)
    return host


def run(host: SshHost, *command: str) -> str:
    done = host.run(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_container_runs_by_ssh(engine_host: SshHost) -> None:
    assert engine_host.engine
    assert run(engine_host, engine_host.engine.name, "run", "--rm", TEST_IMAGE, "echo", "hello") == "hello\n"


def test_show_image_tells_how_it_was_started(engine_host: SshHost) -> None:
    assert engine_host.engine
    lines = run(engine_host, engine_host.engine.name, "run", "--rm", "lab/show:1").splitlines()
    assert lines[:3] == ["args: from cmd", "cwd: /work", "user: 1000:2000"]
    assert "FROM_IMAGE=yes" in lines


def test_pause_image_ends_on_a_signal(docker_host: SshHost) -> None:
    assert docker_host.engine
    name = f"pause-{os.getpid()}"
    docker_host.engine.run("run", "-d", "--name", name, PAUSE_IMAGE)
    docker_host.engine.run("stop", "-t", "60", name, timeout=30)
    docker_host.engine.remove(name)


def test_published_port_is_at_the_hosts_address(docker_host: SshHost) -> None:
    assert docker_host.engine
    container = docker_host.engine.run("run", "-d", "-p", "80", TEST_IMAGE, "httpd", "-f", "-h", "/etc").strip()
    try:
        port = docker_host.engine.run("port", container, "80").split()[0].rpartition(":")[2]
        with urllib.request.urlopen(f"http://{docker_host.address}:{port}/group", timeout=10) as answer:
            assert answer.read().startswith(b"root:x:0:")
    finally:
        docker_host.engine.remove(container)


def test_plain_account_may_not_talk_to_docker(plain_host: SshHost) -> None:
    done = plain_host.run("docker", "ps")
    assert done.returncode != 0
    assert "permission denied" in done.stderr


def test_docker_hub_names_come_from_the_registry(engine_host: SshHost) -> None:
    assert engine_host.engine
    run(engine_host, engine_host.engine.name, "pull", "-q", "alpine:3.19")


def test_private_registry_wants_its_password(
    docker_host: SshHost, private_registry: Registry, private_directory: Path
) -> None:
    assert docker_host.engine
    image = f"{private_registry.address}/lab/busybox:1"
    with pytest.raises(process.LabError, match="no basic auth credentials"):
        docker_host.engine.run("pull", image)
    (private_directory / "config.json").write_text(json.dumps(private_registry.docker_config))
    docker_host.engine.run("--config", str(private_directory), "pull", image)
    docker_host.engine.run("rmi", image)


def test_new_image_can_be_pushed(registry: Registry, docker_host: SshHost) -> None:
    assert docker_host.engine
    name = f"lab/only-{os.getpid()}:1"
    registry.push(images.Image(images.layer(images.busybox_files()), {"Cmd": ["echo", "new"]}, (name,)))
    assert docker_host.engine.run("run", "--rm", f"{registry.address}/{name}") == "new\n"
    docker_host.engine.run("rmi", f"{registry.address}/{name}")


def test_postgres_database_is_empty(postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url, poolclass=sqlalchemy.NullPool)
    assert sqlalchemy.inspect(engine).get_table_names() == []


def test_private_sshd_freezes_and_comes_back(sshd_factory: Callable[..., Sshd]) -> None:
    server = sshd_factory()
    host = server.host("frozen", "labuser")
    assert run(host, "echo one") == "one\n"
    server.pause()
    with pytest.raises(subprocess.TimeoutExpired):
        host.run("echo two", timeout=2)
    server.resume()
    assert run(host, "echo three") == "three\n"
    server.kill()
    assert host.run("echo four").returncode == 255
    server.start()
    assert run(host, "echo five") == "five\n"


def test_private_sshd_shows_what_its_sessions_leave_behind(sshd_factory: Callable[..., Sshd]) -> None:
    server = sshd_factory()
    run(server.host("leaky", "labuser"), "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo started")
    process.wait_until(lambda: [stat.comm for stat in server.commands()] == ["sleep"], 30, "setsid to become sleep")
    assert server.connections() == []
    server.close()
    assert server.commands() == []


def test_changed_host_key_is_refused(sshd_factory: Callable[..., Sshd]) -> None:
    server = sshd_factory()
    server.kill()
    server.new_host_key()
    done = server.start().host("impostor", "labuser").run("true")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_dropped_packets_hang_a_host_until_they_pass(
    sshd_factory: Callable[..., Sshd], namespace_factory: Callable[[], Namespace]
) -> None:
    namespace = namespace_factory()
    host = sshd_factory(namespace=namespace, port=22).host("dropped", "labuser")
    namespace.drop_packets()
    with pytest.raises(subprocess.TimeoutExpired):
        host.run("true", timeout=2)
    namespace.pass_packets()
    run(host, "true")


def test_second_dockerd_survives_its_death(
    second_dockerd: Callable[..., Dockerd], sshd_factory: Callable[..., Sshd]
) -> None:
    dockerd = second_dockerd("--live-restore")
    server = sshd_factory(namespace=dockerd.namespace, port=22, env=dockerd.ssh_env)
    host = server.host("docker2", "labdock", dockerd.engine)
    container = run(host, f"docker run -d {TEST_IMAGE} sleep 1000").strip()
    dockerd.kill()
    assert host.run("docker ps -q").returncode != 0
    dockerd.start()
    assert run(host, "docker ps -q --no-trunc").split() == [container]


def test_home_and_environment_are_not_the_developers() -> None:
    assert not (Path.home() / ".ssh").exists()
    assert not [name for name in os.environ if name.startswith(("DOCKER_", "SSH_"))]
