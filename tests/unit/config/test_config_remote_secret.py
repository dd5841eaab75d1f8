"""The machine that KNoC's secret names, as an inventory of one; and kubeconfigs made whole."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
import yaml

from interlink.config import inventory, kubeconfig, remotesecret, settings
from interlink.errors import ConfigError

SECRET = {
    "REMOTE_HOST": "192.0.2.9",
    "REMOTE_USER": "ada",
    "REMOTE_PORT": "2222",
    "REMOTE_KEY": "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----",
    "REMOTE_KNOWN_HOSTS": "[192.0.2.9]:2222 ssh-ed25519 AAAA",
}


def test_a_server_without_an_inventory_takes_the_secret(tmp_path: Path) -> None:
    found = settings.load({"state_dir": str(tmp_path / "s")}, {**SECRET, "HOME": "/"}, server=True)
    [host] = inventory.load(found.inventory).hosts.values()
    assert (host.get("ansible_host"), host.get("ansible_port"), host.get("ansible_user")) == ("192.0.2.9", 2222, "ada")
    for name in ("ansible_ssh_private_key_file", "interlink_known_hosts"):
        assert stat.S_IMODE(Path(host.get(name)).stat().st_mode) == 0o600
    named = settings.load({"inventory": "a,b", "state_dir": str(tmp_path)}, {**SECRET, "HOME": "/"}, server=True)
    assert named.inventory == ("a,b",), "an inventory that is named wins"


@pytest.mark.parametrize(
    ("missing", "said"),
    [("REMOTE_KNOWN_HOSTS", "ssh-keyscan"), ("REMOTE_KEY", "not complete"), ("REMOTE_USER", "not complete")],
)
def test_an_incomplete_secret_is_told(missing: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        remotesecret.inventory({name: value for name, value in SECRET.items() if name != missing}, tmp_path)
    assert f"${missing}" in str(error.value)


def test_a_wrong_port_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\$REMOTE_PORT: 'ssh' is wrong"):
        remotesecret.inventory({**SECRET, "REMOTE_PORT": "ssh"}, tmp_path)


@pytest.fixture
def kubeconfig_file(tmp_path: Path) -> Path:
    (tmp_path / "ca.crt").write_text("CA")
    (tmp_path / "token").write_text("secret\n")
    content = {
        "current-context": "lab",
        "contexts": [
            {"name": "other", "context": {"cluster": "x", "user": "y"}},
            {"name": "lab", "context": {"cluster": "c", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://c:6443", "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": {"tokenFile": "token"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_kubeconfig_is_made_whole(kubeconfig_file: Path) -> None:
    whole = yaml.safe_load(kubeconfig.flatten(kubeconfig_file))
    [cluster], [user] = whole["clusters"], whole["users"]
    assert cluster["cluster"]["server"] == "https://c:6443"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"CA"
    assert user["user"] == {"token": "secret"}
    assert [context["name"] for context in whole["contexts"]] == [whole["current-context"]]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("current-context: lab", "current-context: ''", "use-context"),
        ("current-context: lab", "current-context: away", "'away'"),
        ("certificate-authority: ca.crt", "certificate-authority: gone.crt", "cannot be read"),
        ("tokenFile: token", "exec: {command: login}", "service account's token"),
    ],
)
def test_what_cannot_be_carried_is_told(kubeconfig_file: Path, old: str, new: str, said: str) -> None:
    kubeconfig_file.write_text(kubeconfig_file.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=said):
        kubeconfig.flatten(kubeconfig_file)
