"""The kubelet's settings: older files of both kinds, environment, flags, and who has the say."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from interlink.config import kubelet
from interlink.config.kubelet import Flags
from interlink.errors import ConfigError
from interlink.kubelet import taints
from interlink.model.driver import Taint

CURRENT = """\
InterlinkURL: "http://192.0.2.1"
InterlinkPort: "3000"
VerboseLogging: true
ServiceAccount: interlink
Namespace: interlink
VKTokenFile: /tmp/vk-token
Resources:
  CPU: "8"
  memory: 49Gi
  Accelerators:
    - ResourceType: nvidia.com/gpu
      Model: a100
      Available: 2
NodeLabels: ["example.org/site=bonn", "rack=7"]
NodeTaints:
  - Key: example.org/gpu
    Value: "yes"
    Effect: NoExecute
TLS: {Enabled: true, CertFile: /c, KeyFile: /k, CACertFile: /ca}
KubernetesApiAddr: 192.0.2.9
KubernetesApiPort: 6443
DisableProjectedVolumes: true
DisableCSR: true
Tpyo: 1
"""


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("interlink.config.settings.SYSTEM_DIRECTORY", tmp_path / "etc")


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def load(environ: dict[str, str] | None = None, **flags: Any) -> kubelet.Settings:
    return kubelet.load(Flags(**flags), environ or {})


def test_without_a_file_the_nodes_are_our_servers() -> None:
    found = load()
    assert (found.node, found.peer.url, found.peer.protocol) == (None, "http://127.0.0.1:3000", "v1")
    assert (found.serving.port, found.serving.listen, found.taint) == (10250, "0.0.0.0", taints.NO_SCHEDULE)


def test_knocs_json(tmp_path: Path) -> None:
    text = json.dumps({"vk-knoc": {"cpu": "2", "memory": "32Gi", "pods": "128"}})
    found = load(nodename=("vk-knoc",), provider="knoc", provider_config=write(tmp_path / "knoc-cfg.json", text))
    assert found.node is not None
    assert (found.node.name, found.node.capacity) == ("vk-knoc", {"cpu": "2", "memory": "32Gi", "pods": "128"})
    assert found.peer.protocol == "contract"


@pytest.mark.parametrize(("node", "warned"), [("vk", "no entry for the node vk"), ("half", "")])
def test_what_knocs_json_leaves_out_has_defaults(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, node: str, warned: str
) -> None:
    file = write(tmp_path / "knoc-cfg.json", '{"half": {"CPU": 4}}')
    found = load(nodename=(node,), provider_config=file)
    assert found.node is not None
    assert found.node.capacity == {"cpu": "20" if node == "vk" else "4", "memory": "100Gi", "pods": "20"}
    assert warned in caplog.text


def test_the_go_kubelets_yaml(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write(tmp_path / "InterLinkConfig.yaml", CURRENT)
    found = load({"CONFIGPATH": file, "NODENAME": "vk", "POD_IP": "192.0.2.5", "KUBELET_PORT": "10255"})
    node = found.node
    assert node is not None
    assert node.capacity == {"cpu": "8", "memory": "49Gi", "pods": "10000", "nvidia.com/gpu": "2"}
    assert node.labels == {"nvidia-gpu-type": "a100", "example.org/site": "bonn", "rack": "7"}
    assert node.taints == (taints.NO_SCHEDULE, Taint("example.org/gpu", "yes", "NoExecute"))
    assert found.peer.url == "http://192.0.2.1:3000"
    assert found.peer.token_file == Path("/tmp/vk-token")
    assert (found.peer.ca_file, found.peer.cert_file, found.peer.key_file) == (Path("/ca"), Path("/c"), Path("/k"))
    assert (found.serving.address, found.serving.port, found.serving.signer) == ("192.0.2.5", 10255, "")
    assert (found.jobs.host, found.jobs.port, found.jobs.projected_volumes) == ("192.0.2.9", "6443", False)
    assert found.log_level == "DEBUG"
    told = [line for line in caplog.messages if "does nothing" in line]
    assert [line.removeprefix(f"{file}:").split(" ")[1] for line in told] == ["ServiceAccount", "Namespace", "Tpyo"]
    assert told[0].startswith(f"{file}:4: ")


def test_environment_over_file_and_flags_over_both(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", CURRENT)
    environ = {"INTERLINKURL": "http://198.51.100.1", "INTERLINKPORT": "8080", "VKTOKENFILE": "/env", "NODENAME": "e"}
    found = load(environ, configpath=file)
    assert (found.peer.url, found.peer.token_file) == ("http://198.51.100.1:8080", Path("/env"))
    found = load(environ, configpath=file, server="https://s", token_file="/flag", nodename=("f",), protocol="v1")
    assert (found.peer.url, found.peer.token_file, found.peer.protocol) == ("https://s", Path("/flag"), "v1")
    assert found.node is not None
    assert found.node.name == "f"


def test_the_json_gives_the_capacity_where_the_yaml_names_it(tmp_path: Path) -> None:
    json_file = write(tmp_path / "knoc.json", '{"vk": {"cpu": "3"}}')
    file = write(tmp_path / "c.yaml", f"InterlinkURL: http://s\nVKConfigPath: {json_file}\n")
    found = load(configpath=file, nodename=("vk",))
    assert found.node is not None
    assert found.node.capacity["cpu"] == "3"
    assert found.peer.url == "http://s"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("Resources: {CPU: lots}\n", ":1: Resources.CPU: 'lots' is wrong"),
        ("\nInterlinkPort: 99999\n", ":2: InterlinkPort: '99999' is wrong"),
        ("NodeLabels: [a]\n", ":1: NodeLabels: "),
        ("NodeTaints:\n- {Effect: NoSchedule}\n", ":2: NodeTaints: Key is missing"),
        ("NodeTaints:\n- {Key: a, Effect: Never}\n", ":2: NodeTaints.Effect: 'Never' is wrong"),
        ("Resources:\n  Accelerators: 3\n", ":2: Resources.Accelerators: a list is needed"),
        ("HTTP: {CaCert: MIIB}\n", ":1: HTTP.CaCert: 'MIIB' is wrong"),
        ("TLS: yes\n", ":1: TLS: a mapping is needed"),
        ("a: 1\na: 2\n", ":2: the key 'a' comes a second time"),
        ("- 1\n", "a mapping"),
    ],
)
def test_a_mistake_is_shown_where_it_stands(tmp_path: Path, text: str, where: str) -> None:
    file = write(tmp_path / "c.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load(configpath=file, nodename=("n",))
    assert str(caught.value).startswith(file)
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "flags", "message"),
    [
        ({"INTERLINKPORT": "x"}, {}, r"\$INTERLINKPORT: 'x' is wrong"),
        ({"POD_IP": "here"}, {}, r"\$POD_IP"),
        ({}, {"nodename": ("Big",)}, "--nodename"),
        ({}, {"startup_timeout": "soon"}, "--startup-timeout"),
        ({}, {"log_level": "loud"}, "--log-level"),
        ({}, {"cert_file": "/c"}, "needs its key"),
        ({}, {"taint": "a b"}, "--taint"),
        ({}, {"protocol": "grpc"}, "--protocol"),
        ({}, {"listen": "10250"}, "--listen"),
    ],
)
def test_a_wrong_flag_or_variable_is_named(environ: dict[str, str], flags: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(environ, **flags)


@pytest.mark.parametrize(
    ("flags", "environ", "taint"),
    [
        ({"disable_taint": True}, {}, None),
        (
            {"taint": "virtual-kubelet.io/provider", "provider": "knoc"},
            {},
            Taint("virtual-kubelet.io/provider", "knoc"),
        ),
        ({"taint": "a=b:NoExecute"}, {}, Taint("a", "b", "NoExecute")),
        ({}, {"VKUBELET_TAINT_KEY": "k", "VKUBELET_TAINT_EFFECT": "NoExecute"}, Taint("k", "", "NoExecute")),
        ({"provider": "knoc"}, {}, taints.NO_SCHEDULE),
    ],
)
def test_our_taint(flags: dict[str, Any], environ: dict[str, str], taint: Taint | None) -> None:
    assert load(environ, **flags).taint == taint


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("1m30s", 90), ("0", None), ("500ms", 0.5), ("2h", 7200), ("7", 7), ("0s", None)]
)
def test_durations_are_gos(text: str, seconds: float | None) -> None:
    assert kubelet.duration(text) == seconds


@pytest.mark.parametrize(
    ("url", "port", "expected"),
    [
        ("http://h", 80, "http://h:80"),
        ("h", 80, "http://h:80"),
        ("http://h:1/", 80, "http://h:1"),
        ("http://[::1]", 80, "http://[::1]:80"),
        ("unix:///run/x.sock", 80, "unix:///run/x.sock"),
        ("https://h", None, "https://h"),
    ],
)
def test_an_address_and_a_port_become_one_url(url: str, port: int | None, expected: str) -> None:
    assert kubelet.joined(url, port) == expected


def test_kubeconfig_of_the_earliest_versions() -> None:
    assert load({"CUSTOMKUBECONF": "/a"}).kubeconfig == "/a"
    assert load({"CUSTOMKUBECONF": "/a", "KUBECONFIG": "/b"}).kubeconfig == "/b"
    assert load({"KUBECONFIG": "/b"}, kubeconfig="/c").kubeconfig == "/c"


@pytest.fixture(autouse=True)
def _told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
