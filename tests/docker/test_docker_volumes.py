"""Volumes that only an engine can give: tmpfs with a size, parts of a volume, groups; files swapped in a live pod."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interlink.drivers.docker import DockerDriver
from interlink.model.driver import VolumeFile
from interlink.model.host import Host
from interlink.model.status import Phase
from interlink.remote.pool import Pool
from tests.contract.support import Box, Rig
from tests.docker.support import FEATURES, Place
from tests.lab.hosts import TEST_IMAGE, SshHost

pytestmark = pytest.mark.lab

CONFIG = {"metadata": {"name": "cm"}, "data": {"a": "0", "b": "0"}}


@pytest.fixture
def remote(docker_host: SshHost, server_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The driver over SSH, by an account that is not root."""
    host = Host(docker_host.name, vars=docker_host.variables)
    with Pool(tmp_path_factory.mktemp("ssh") / "known_hosts") as pool:
        connection = pool.connection(host)
        yield Rig(DockerDriver(host, connection, server_id), FEATURES, image=TEST_IMAGE)
        place = f"{host.root}/{server_id}"
        connection.run(f"cd {place} && {{ read -r pid rest < supervisor; kill -TERM -$pid; }}; rm -rf {place}")


def _mount(name: str, path: str, **more: object) -> dict[str, object]:
    return {"name": name, "mountPath": path, **more}


def test_memory_with_a_limit(place: Place) -> None:
    fill = "head -c 3000000 /dev/zero 2>/dev/null > /m/x"
    script = f"grep ' /m ' /proc/mounts | cut -d' ' -f3; {fill}; stat -c %s /m/x; cat /k/x | wc -c"
    mounts = {"volumeMounts": [_mount("m", "/m"), _mount("m", "/k", readOnly=True)]}
    volumes = [{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]
    with place.rig.run(Box(script, more=mounts), volumes=volumes) as run:
        run.ended()
        kind, *rest = run.log().decode().splitlines()
        assert (kind, rest) == ("tmpfs", ["1048576", "1048576"])


def test_memory_is_shared_and_outlives_a_container(place: Place) -> None:
    mounts = {"volumeMounts": [_mount("m", "/m")]}
    volumes = [{"name": "m", "emptyDir": {"medium": "Memory"}}]
    init = Box("echo kept > /m/x", name="i", more=mounts)
    with place.rig.run(Box("cat /m/x", more=mounts), inits=[init], volumes=volumes) as run:
        assert run.ended().phase is Phase.SUCCEEDED
        assert run.log() == b"kept\n"


def test_parts_of_volumes(place: Place) -> None:
    volumes = [{"name": "e", "emptyDir": {}}, {"name": "cm", "configMap": {"name": "cm"}}]
    init = Box("echo deep > /e/x/y/file", name="i", more={"volumeMounts": [_mount("e", "/e/x/y", subPath="x/y")]})
    mounts = [
        _mount("e", "/whole"),
        _mount("e", "/expr", subPathExpr="$(PART)/y"),
        _mount("cm", "/etc/one.conf", subPath="a"),
        _mount("cm", "/none", subPath="no-such-key"),
    ]
    more = {"volumeMounts": mounts, "env": [{"name": "PART", "value": "x"}]}
    script = "cat /whole/x/y/file /expr/file /etc/one.conf; stat -c ' %F %a' /none; ls /none"
    with place.rig.run(Box(script, more=more), inits=[init], volumes=volumes, configmaps=[CONFIG]) as run:
        run.ended()
        assert run.log() == b"deep\ndeep\n0 directory 777\n"


def test_group_by_an_account_that_is_not_root(remote: Rig) -> None:
    """Every container reads the secret, writes the emptyDir, and what it makes there is the group's."""
    volumes = [
        {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "e", "emptyDir": {}},
    ]
    mounts = {"volumeMounts": [_mount("s", "/s"), _mount("e", "/e")]}
    script = "cat /s/k && touch /e/$(id -u) && stat -c ' %g %A' /e && stat -c %g /e/$(id -u) && id -G | grep -c 4321"
    secret = {"metadata": {"name": "s"}, "data": {"k": "c2VjcmV0"}}
    boxes = [
        Box(script, name=name, more={**mounts, "securityContext": {"runAsUser": user}})
        for name, user in (("a", 1001), ("b", 1002))
    ]
    with remote.run(*boxes, volumes=volumes, secrets=[secret], securityContext={"fsGroup": 4321}) as run:
        run.ended()
        want = b"secret 4321 drwxrwsrwx\n4321\n1\n"
        assert (run.log("a"), run.log("b")) == (want, want)


def test_swapped_files_reach_a_live_pod_by_ssh(remote: Rig) -> None:
    """A reader that resolves `..data` once always sees files of one version, and at last the newest."""
    pair = "d=$(readlink /cm/..data) && a=$(cat /cm/$d/a) && b=$(cat /cm/$d/b) && echo $a $b"
    volumes = [{"name": "cm", "configMap": {"name": "cm"}}]
    box = Box(f"while :; do {pair}; done 2>/dev/null", more={"volumeMounts": [_mount("cm", "/cm")]})
    with remote.run(box, volumes=volumes, configmaps=[CONFIG], securityContext={"fsGroup": 4321}) as run:
        run.logged(b"0 0\n")
        for number in range(1, 6):
            text = str(number).encode()
            remote.driver.update(run.ref, {"cm": [VolumeFile(key, 0o640, text) for key in "ab"]})
        run.logged(b"5 5\n")
        assert all(len(set(line.split())) == 1 for line in run.log().splitlines()[:-1])
