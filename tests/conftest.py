"""Fixtures for real parts; see tests/lab/__init__.py for what they are and how to use them by hand."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.lab import machine, place, process, shared
from tests.lab.controlplane import cluster as clusters
from tests.lab.controlplane import programs
from tests.lab.controlplane.cluster import Cluster
from tests.lab.controlplane.plane import ControlPlane, Options
from tests.lab.docker import Dockerd
from tests.lab.hosts import SshHost
from tests.lab.hpc.cluster import HpcCluster
from tests.lab.network import Namespace
from tests.lab.registry import Registry
from tests.lab.slurm import cluster as slurms
from tests.lab.sshd import Sshd

_numbers = itertools.count()

# How long one example takes says something about the machine, not about the code.
settings.register_profile("interlink", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("interlink")

# Whoever starts the tests in the background of a shell has SIGINT ignored, and so would what they interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# The broad and quick ones first: the sooner a mistake is seen, and the less is left out when time is short.
FIRST = ("unit", "run", "ssh", "docker", "hosts", "engines", "api", "deploy", "contract", "kubelet")
# These keep a machine busy for minutes: the others go before, and have it to themselves.
LAST = ("tests/bench/", "tests/docker/test_docker_many.py", "tests/docker/test_docker_races.py", "tests/kill/")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--until", type=float, help="begin no test after this time (seconds since 1970)")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    until: float | None = item.config.getoption("until")
    needed = item.get_closest_marker("minutes")
    if until is not None and time.time() + 60 * (needed.args[0] if needed else 0) > until:
        pytest.skip("no time left on this machine")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in order; mark what uses the lab, so that `-m "not lab"` can be trusted."""
    items.sort(key=_turn)
    for item in items:
        if isinstance(item, pytest.Function) and "lab_part" in item.fixturenames:
            item.add_marker(pytest.mark.lab)


def _turn(item: pytest.Item) -> int:
    if item.nodeid.startswith(LAST):
        return len(FIRST) + 1
    directory = item.nodeid.split("/")[1]
    return FIRST.index(directory) if directory in FIRST else len(FIRST)


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the developer's ~/.ssh, agent, engines, settings or proxies."""
    unwanted = (
        "SSH_",
        "DOCKER_",
        "CONTAINER",
        "INTERLINK",
        "SIDECAR",
        "VKTOKEN",
        "XDG_",
        "KUBE",
        "ANSIBLE_",
        "http_",
        "https_",
        "HTTP",
        "PG",
    )
    kept = ("INTERLINK_LAB", programs.ASSETS)
    with pytest.MonkeyPatch.context() as patch:
        for name in [key for key in os.environ if key.startswith(unwanted) and key not in kept]:
            patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


def require(part: str) -> None:
    """Go on only where a part can run: fail in CI and skip on a laptop, with what to install."""
    if why := machine.obstacle([part]):
        if os.environ.get("CI"):
            pytest.fail(f"{part}: {why}")
        pytest.skip(f"{part}: {why}")


@pytest.fixture(scope="session")
def lab_part() -> Iterator[Callable[[str], shared.Lab]]:
    """Start a part of the shared lab on first need; without it, fail in CI and skip on a laptop."""
    lab = shared.Lab()
    held: list[place.InUse] = []

    def need(part: str) -> shared.Lab:
        require(part)
        if not held:
            held.append(lab.use())
        lab.up(part)
        return lab

    yield need
    for use in held:
        use.close()


@pytest.fixture(scope="session")
def docker_host(lab_part: Callable[[str], shared.Lab]) -> SshHost:
    """The shared docker host; `docker_host.variables` are its inventory variables."""
    return lab_part("docker").docker_host


@pytest.fixture(scope="session")
def plain_host(docker_host: SshHost) -> SshHost:
    """The same machine by an account that may not talk to docker."""
    return docker_host.having(name="plain1", user="labuser", engine=None)


@pytest.fixture(scope="session")
def podman_host(lab_part: Callable[[str], shared.Lab]) -> SshHost:
    """The shared host with rootful podman."""
    return lab_part("podman").podman_host


@pytest.fixture(scope="session")
def registry(lab_part: Callable[[str], shared.Lab]) -> Registry:
    """The open registry; the engines find Docker Hub's names in it."""
    return lab_part("registry").registry


@pytest.fixture(scope="session")
def private_registry(lab_part: Callable[[str], shared.Lab]) -> Registry:
    """The registry that wants alice's password."""
    return lab_part("registry").private_registry


@pytest.fixture
def postgres_url(lab_part: Callable[[str], shared.Lab]) -> Iterator[str]:
    """SQLAlchemy's URL of an empty PostgreSQL database of the test's own."""
    postgres = lab_part("postgres").postgres
    name = f"t{os.getpid()}_{next(_numbers)}"
    yield postgres.create(name)
    postgres.drop(name)


@pytest.fixture
def private_directory(lab_part: Callable[[str], shared.Lab]) -> Iterator[Path]:
    """A short-named directory that any account may enter, removed afterwards with what still runs in it."""
    lab = lab_part("network")
    directory = lab.private_directory()
    yield directory
    lab.remove_private(directory)


@pytest.fixture
def namespace_factory(
    lab_part: Callable[[str], shared.Lab], private_directory: Path
) -> Iterator[Callable[[], Namespace]]:
    """Network namespaces of the test's own, whose packets it may drop."""
    network = lab_part("network").network
    record = private_directory / shared.NAMESPACES  # for whoever sweeps, should this process be killed
    made: list[Namespace] = []

    def make() -> Namespace:
        made.append(network.claim())
        record.write_text("".join(f"{namespace.name}\n" for namespace in made))
        return made[-1]

    yield make
    record.unlink(missing_ok=True)  # once they are deleted, these names may be another test's
    for namespace in made:
        namespace.delete()


@pytest.fixture
def sshd_factory(
    lab_part: Callable[[str], shared.Lab], namespace_factory: object, private_directory: Path
) -> Iterator[Callable[..., Sshd]]:
    """Servers of the test's own, to be frozen, killed and restarted: `sshd_factory(options={"MaxSessions": "2"})`.

    Takes what Sshd takes beside the directory; without a namespace it listens on a loopback address of this
    test process's own. It is started already unless `start=False`.
    """
    lab_part("sshd")
    made: list[Sshd] = []

    def make(*, start: bool = True, **arguments: object) -> Sshd:
        arguments.setdefault("address", place.loopback_address())
        arguments.setdefault("port", 2200 + next(_numbers) % 30000)
        server = Sshd(private_directory / f"sshd{len(made)}", **arguments)  # type: ignore[arg-type]
        made.append(server)
        return server.start() if start else server

    yield make
    for server in made:
        server.close()


@pytest.fixture
def second_dockerd(
    lab_part: Callable[[str], shared.Lab], namespace_factory: Callable[[], Namespace], private_directory: Path
) -> Iterator[Callable[..., Dockerd]]:
    """Docker daemons of the test's own, to be killed and restarted: `second_dockerd("--live-restore")`.

    Each is in a namespace of its own (`.namespace`), for an sshd beside it:
    `sshd_factory(namespace=dockerd.namespace, port=22, env=dockerd.ssh_env)`.
    """
    lab = lab_part("docker")
    made: list[Dockerd] = []

    def make(*options: str) -> Dockerd:
        directory = private_directory / f"d{len(made)}"
        dockerd = Dockerd(directory, namespace_factory(), lab.registry.address, options)
        made.append(dockerd)
        dockerd.start(lab.images)
        return dockerd

    yield make
    for dockerd in made:
        dockerd.close()


@pytest.fixture
def server_id(request: pytest.FixtureRequest, lab_part: Callable[[str], shared.Lab]) -> Iterator[str]:
    """A server id of the test's own; containers that carry it after the test are removed, and are an error."""
    name = f"t{os.getpid()}-{next(_numbers)}"
    yield name
    left = []
    for fixture in {"docker_host", "podman_host"} & set(request.fixturenames):
        engine = request.getfixturevalue(fixture).engine
        ids = engine.containers(f"label=interlink.eu/server={name}")
        left += [engine.run("inspect", "-f", "{{.Name}}", *ids)] if ids else []
        engine.remove(*ids)
    if left:
        raise process.LabError(f"the test left containers behind: {left}")


@pytest.fixture(scope="session")
def slurm(lab_part: Callable[[str], shared.Lab]) -> slurms.Cluster:
    """The shared Slurm cluster, which no test may hurt; `slurm.hosts` are its login nodes."""
    return lab_part("slurm").slurm


@pytest.fixture(scope="session")
def hpc(lab_part: Callable[[str], shared.Lab]) -> HpcCluster:
    """The shared cluster with a newer Slurm and Apptainer."""
    return lab_part("hpc").hpc


@pytest.fixture
def slurm_factory(
    lab_part: Callable[[str], shared.Lab], namespace_factory: Callable[[], Namespace], private_directory: Path
) -> Iterator[Callable[..., slurms.Cluster]]:
    """Slurm clusters of the test's own, to be hurt: `slurm_factory(Settings(min_job_age=5))`."""
    require("slurm")
    lab_part("sshd")
    made: list[slurms.Cluster] = []

    def make(settings: slurms.Settings | None = None) -> slurms.Cluster:
        computers = {name: namespace_factory() for name in slurms.COMPUTERS}
        made.append(slurms.Cluster(private_directory / f"s{len(made)}", computers, settings))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def cluster(lab_part: Callable[[str], shared.Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The shared Kubernetes control plane; tests bring their own nodes."""
    made = Cluster(lab_part("kubernetes").kubernetes, tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own in which pods can be made; removed afterwards, pods by force."""
    name = f"t{os.getpid()}-{next(_numbers)}"
    cluster.make_namespace(name)
    yield name
    cluster.remove_namespace(name)


@pytest.fixture
def node_name(cluster: Cluster) -> Iterator[str]:
    """A name for a node of the test's own, which is deleted afterwards."""
    name = f"n{os.getpid()}-{next(_numbers)}"
    yield name
    path = f"/api/v1/nodes/{name}"
    if cluster.exists(path):
        cluster.delete(path)


@pytest.fixture
def second_cluster(private_directory: Path, tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Control planes of the test's own, to be hurt: `second_cluster(apiserver=["--flag=value"])`."""
    require("kubernetes")
    made: list[Cluster] = []

    def make(**options: Sequence[str]) -> Cluster:
        plane = ControlPlane(private_directory / f"k{len(made)}", Options(**options))
        scratch = tmp_path / plane.directory.name
        scratch.mkdir()
        made.append(Cluster(plane, scratch))
        plane.start()
        clusters.prepare(made[-1])
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()
        cluster.plane.kill()
