"""Both older virtual kubelets' configuration files, flags and credentials, against a server of the old contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet.nodestand import Kubelet, Site, condition, site, taints
from tests.kubelet.objects import pod
from tests.lab.controlplane.cluster import Cluster
from tests.lab.controlplane.plane import free_ports

pytestmark = pytest.mark.lab
MOCK = {"mock.interlink.eu/run": "1", "mock.interlink.eu/log": "said\n"}


@pytest.fixture
def here(cluster: Cluster, node_name: str, tmp_path: Path) -> Iterator[Site]:
    """A server whose own nodes play no part: a foreign one has none."""
    with site(cluster, f"{node_name}-server", tmp_path) as made:
        made.node = node_name
        yield made


def started(here: Site, argv: list[str], environ: dict[str, str]) -> Kubelet:
    """Start a kubelet with nothing but what an older one was given, and its own port."""
    directory = here.directory / "older"
    directory.mkdir()
    common = {"KUBELET_PORT": str(free_ports("kubelet")["kubelet"]), "KUBELET_URL": "127.0.0.1", "POD_IP": "127.0.0.1"}
    kubelet = Kubelet(directory, here.cluster.service_account, ["--self-signed", *argv], {**common, **environ})
    here.kubelets.append(kubelet)
    return kubelet


def runs_a_pod(here: Site, namespace: str, **more: Any) -> None:
    made = pod("p", restartPolicy="Never", nodeName=here.node, **more)
    made["metadata"]["annotations"] = MOCK
    path = f"/api/v1/namespaces/{namespace}/pods"
    here.cluster.create(path, made)
    here.cluster.wait_for(f"{path}/p", lambda found: found["status"]["phase"] == "Succeeded", 120)
    assert here.cluster.kubectl("logs", "-n", namespace, "p") == "said\n"
    here.cluster.delete(f"{path}/p")
    here.cluster.wait_gone(f"{path}/p")


def test_knocs_json_and_flags(here: Site, namespace: str) -> None:
    """As KNoC's manifests start it: flags of virtual-kubelet's CLI, the server by variables."""
    file = here.directory / "knoc-cfg.json"
    file.write_text(json.dumps({here.node: {"cpu": "7", "memory": "9Gi", "pods": "11"}}))
    flags = [f"--nodename={here.node}", "--provider=knoc", f"--provider-config={file}", "--startup-timeout", "60s"]
    flags += ["--klog.v", "4", "--klog.logtostderr", "--log-level", "debug", "--taint=virtual-node.knoc/no-schedule"]
    environ = {"INTERLINKURL": "http://127.0.0.1", "INTERLINKPORT": str(here.server.port)}
    started(here, flags, environ).start()
    node = here.ready()
    shown = node["status"]["capacity"]
    assert {name: shown[name] for name in ("cpu", "memory", "pods")} == {"cpu": "7", "memory": "9Gi", "pods": "11"}
    assert "virtual-node.knoc/no-schedule" in taints(node)
    assert next(item for item in node["spec"]["taints"] if "knoc" in item["key"])["value"] == "knoc"
    runs_a_pod(here, namespace)


def test_the_go_kubelets_yaml_and_variables(here: Site, namespace: str) -> None:
    """As the Helm chart starts it: no flag at all, $CONFIGPATH, $NODENAME, a token file, $KUBECONFIG."""
    token = here.directory / "vk-token"
    token.write_text("not-needed\n")
    file = here.directory / "InterLinkConfig.yaml"
    file.write_text(
        f"""
InterlinkURL: "http://127.0.0.1"
InterlinkPort: {here.server.port}
VerboseLogging: true
VKTokenFile: {token}
ServiceAccount: interlink
Namespace: interlink
Resources:
  CPU: "13"
  Memory: 17Gi
  Pods: 19
  Accelerators:
    - ResourceType: nvidia.com/gpu
      Model: a100
      Available: 3
NodeLabels: ["site=here"]
NodeTaints:
  - {{Key: site/maintenance, Value: soon, Effect: PreferNoSchedule}}
DisableCSR: true
"""
    )
    started(here, [], {"CONFIGPATH": str(file), "NODENAME": here.node}).start()
    node = here.ready()
    shown = node["status"]["capacity"]
    assert shown["nvidia.com/gpu"] == "3"
    told = json.loads(here.server.ask("POST", "/pinglink"))["resources"]  # wins over the file, where it says so
    assert shown["cpu"] == told["cpu"] != "13"
    assert (node["metadata"]["labels"]["site"], node["metadata"]["labels"]["nvidia-gpu-type"]) == ("here", "a100")
    assert {"site/maintenance", "virtual-node.interlink/no-schedule"} <= taints(node)
    assert condition(node, "InterlinkConnectivity")["status"] in (None, "True")
    runs_a_pod(here, namespace)


@pytest.mark.parametrize("variable", ["KUBECONFIG", "CUSTOMKUBECONF"])
def test_a_kubeconfig_by_variable(here: Site, variable: str) -> None:
    kubelet = started(here, [], {variable: str(here.cluster.service_account)})
    file = here.directory / "cfg.json"
    file.write_text(json.dumps({here.node: {"cpu": "1", "memory": "1Gi", "pods": "1"}}))
    server = f"--server=http://127.0.0.1:{here.server.port}"
    kubelet.argv = [
        "--kubeconfig=",
        "--self-signed",  # that is: none by flag
        f"--nodename={here.node}",
        f"--provider-config={file}",
        server,
    ]
    kubelet.start()
    here.ready()


def test_credentials_that_have_expired_are_called_so(here: Site, tmp_path: Path) -> None:
    """It goes on trying, for files are renewed, and says why it is refused."""
    ended = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2lnbmF0dXJl"  # exp 1: a second after the epoch
    config = json.loads(here.cluster.service_account.read_text())
    config["users"][0]["user"] = {"token": ended}
    file = tmp_path / "old.kubeconfig"
    file.write_text(json.dumps(config))
    kubelet = started(here, ["--startup-timeout=15s", f"--nodename={here.node}"], {})
    kubelet.kubeconfig = file
    kubelet.start()
    assert kubelet.process is not None
    assert kubelet.process.wait(150) != 0
    assert "401 Unauthorized" in kubelet.log
    assert "the token expired at 1970-01-01 00:00:01 UTC" in kubelet.log
    assert "Traceback" not in kubelet.log
