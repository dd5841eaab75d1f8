"""A host whose engine does not let us in says so, with what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlink.drivers.docker import DockerDriver
from interlink.errors import EngineUnavailable
from interlink.model.host import Host
from interlink.remote.local import LocalConnection
from interlink.remote.pool import Pool
from tests.contract.support import Box, Rig
from tests.docker.support import FEATURES
from tests.lab.hosts import TEST_IMAGE, SshHost

pytestmark = pytest.mark.lab


def test_an_account_without_the_right_to_use_docker(plain_host: SshHost, server_id: str, tmp_path: Path) -> None:
    host = Host(plain_host.name, vars=plain_host.variables)
    with Pool(tmp_path / "known_hosts") as pool:
        driver = DockerDriver(host, pool.connection(host), server_id)
        rig = Rig(driver, FEATURES, image=TEST_IMAGE)
        for call in (driver.prepare, driver.ping, driver.listing, lambda: driver.create(rig.pod(Box("true")))):
            with pytest.raises(EngineUnavailable) as caught:
                call()
            said = str(caught.value)
            assert said.startswith(f"{plain_host.name}: ")
            assert "permission denied" in said
            assert "usermod -aG docker labuser" in said
        pool.connection(host).run(f"rm -rf {host.root}/{server_id}")


def test_an_engine_that_is_not_installed(tmp_path: Path, server_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(_tools(tmp_path / "bin")))
    host = Host("bare", vars={"interlink_root": str(tmp_path / "il"), "interlink_engine": "podman"})
    connection = LocalConnection("bare")
    with pytest.raises(EngineUnavailable, match="podman is not installed"):
        DockerDriver(host, connection, server_id).prepare()
    connection.close()


def _tools(directory: Path) -> Path:
    """A PATH with what this machine has, but no engine."""
    directory.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if tool.name not in ("docker", "podman"):
            (directory / tool.name).symlink_to(tool)
    return directory
