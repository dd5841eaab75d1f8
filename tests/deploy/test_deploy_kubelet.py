"""The virtual kubelet deployed, beside the server and in the cluster, against a real API server."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.site import Site
from tests.deploy.test_deploy_hosts import told
from tests.lab import process
from tests.lab.controlplane import programs
from tests.lab.controlplane.cluster import Cluster
from tests.lab.controlplane.plane import free_ports

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500), pytest.mark.xdist_group("deploy"), pytest.mark.minutes(15)]

ROOT = Path(__file__).parents[2]
DEPLOYMENT = "/apis/apps/v1/namespaces/interlink/deployments/interlink-kubelet"
PODS = "/api/v1/namespaces/interlink/pods"


@pytest.fixture(autouse=True)
def _kubectl_on_the_path(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
    monkeypatch.setenv("PATH", f"{programs.directory()}:{os.environ['PATH']}")


def wanting(kubeconfig: Path, **more: Any) -> dict[str, Any]:
    """Return the server's variables for a kubelet beside it."""
    return {
        "interlink_kubelet": "beside",
        "interlink_kubeconfig": str(kubeconfig),
        "interlink_kubelet_address": "127.0.0.1",
        **more,
    }


def echo(site: Site, namespace: str, node: str) -> dict[str, Any]:
    """Return a pod that says hello on a node."""
    container = {"name": "echo", "image": "busybox", "command": ["sh", "-c", "echo hello from $HOSTNAME"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "echo", "namespace": namespace},
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,  # the runtime process mounts nothing
            "containers": [container],
            "tolerations": [{"operator": "Exists"}],
        },
    }


def hears_it(cluster: Cluster, site: Site, namespace: str, node: str) -> None:
    """See a pod through, from kubectl to its log."""
    cluster.apply(echo(site, namespace, node))
    path = f"/api/v1/namespaces/{namespace}/pods/echo"
    cluster.wait_for(path, lambda pod: pod["status"]["phase"] == "Succeeded", 300)
    assert cluster.kubectl("logs", "-n", namespace, "echo").startswith("hello from")
    cluster.kubectl("delete", "-n", namespace, "pod", "echo", "--timeout=200s")


@pytest.fixture
def beside(site: Site, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """The variables of a kubelet with no more rights than rbac.yaml grants; stopped and forgotten in the end."""
    variables = wanting(cluster.service_account, interlink_kubelet_port=free_ports("kubelet")["kubelet"])
    yield variables
    assert site("kubelet.stop", **variables).returncode == 0
    forgotten = site.run("kubelet.forget", site.node, "--force", "--kubeconfig", str(cluster.kubeconfig))
    assert forgotten.returncode == 0, forgotten.stderr
    assert not cluster.exists(f"/api/v1/nodes/{site.node}")


def test_beside_the_server_with_the_rights_of_rbac_alone(
    site: Site, cluster: Cluster, namespace: str, beside: dict[str, Any]
) -> None:
    dry = site("kubelet.deploy", "--dry-run", **beside)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert not site.there(f"{site.base}/config/kubeconfig")
    assert not cluster.exists(f"/api/v1/nodes/{site.node}")

    first = site("kubelet.deploy", **beside)
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"Ready: {site.node}" in first.stdout
    secret = cluster.service_account.with_name("token").read_text()
    assert secret not in first.stdout + first.stderr
    hears_it(cluster, site, namespace, site.node)

    second = site("kubelet.deploy", "--diff", **beside)
    assert second.stdout.splitlines()[-1] == "nothing changed; all is well", second.stdout

    status = json.loads(site("kubelet.status", "--json", **beside).stdout)
    assert status["state"] == "active"
    assert site.node in site("kubelet.logs", **beside).stdout
    sound = site("doctor", **beside)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert f"Ready: {site.node}" in sound.stdout
    assert site("kubelet.stop", **beside).returncode == 0
    assert site("kubelet.status", **beside).returncode == 1
    assert site("kubelet.start", **beside).returncode == 0
    assert site("kubelet.status", **beside).returncode == 0


def test_a_cluster_that_says_no_or_nothing_is_told_with_its_cure(
    site: Site, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    token = cluster.token(name="default", namespace=namespace)
    poor = cluster.plane.write_kubeconfig(tmp_path / "poor", {"token": token})
    false = cluster.plane.write_kubeconfig(tmp_path / "false", {"token": "not.a.token"})
    silent = tmp_path / "silent"
    silent.write_text(poor.read_text().replace(cluster.url, "https://127.0.0.1:1"))
    wrong = tmp_path / "wrong"
    wrong.write_text("{]\n")
    custom = customised(site, tmp_path)
    before = site.there(f"{site.base}/config/kubeconfig") and site.read("config/kubeconfig")
    expected = {
        poor: ("may not get pods", "deploy/kustomizations/rbac.yaml"),
        false: ("refuses", "get a valid one"),
        silent: ("127.0.0.1", str(silent), "see that its API server runs"),
    }
    for kubeconfig, words in expected.items():
        done = site("kubelet.deploy", **wanting(kubeconfig))
        assert done.returncode == 1, done.stdout + done.stderr
        assert not [word for word in words if word not in done.stdout], done.stdout
        assert "Traceback" not in done.stdout + done.stderr
    for kubeconfig, word in {poor: "use an admin's kubeconfig", false: "get a valid one", silent: str(silent)}.items():
        done = site("kubelet.deploy", **in_cluster(kubeconfig, custom))
        assert done.returncode == 1, done.stdout + done.stderr
        assert word in done.stdout, done.stdout
        assert "Traceback" not in done.stdout + done.stderr
    for kubeconfig in (wrong, tmp_path / "absent"):
        done = site("kubelet.deploy", **wanting(kubeconfig))
        assert done.returncode in (1, 2), done.stdout + done.stderr
        assert str(kubeconfig) in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
    nothing = site("kubelet.deploy")
    assert "interlink_kubelet" in nothing.stderr, "the inventory wants none"
    after = site.there(f"{site.base}/config/kubeconfig") and site.read("config/kubeconfig")
    assert after == before, "nothing is left of what was refused"


def in_cluster(kubeconfig: Path, directory: Path) -> dict[str, Any]:
    return {
        "interlink_kubelet": "cluster",
        "interlink_kubeconfig": str(kubeconfig),
        "interlink_kustomization": str(directory),
    }


def customised(site: Site, directory: Path) -> Path:
    """Return a copy of deploy/kustomizations as a site makes it its own: where the server is."""
    custom = directory / "kustomizations"
    shutil.copytree(ROOT / "deploy/kustomizations", custom)
    file = custom / "InterLinkConfig.yaml"
    text = file.read_text().replace("http://interlink.example.org", "http://127.0.0.1").replace("3000", str(site.port))
    file.write_text(text)
    return custom


def test_in_the_cluster_by_a_kustomization(site: Site, second_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = second_cluster()
    custom = customised(site, tmp_path)
    said = cluster.kubectl("apply", "--dry-run=server", "-k", str(custom))
    assert "deployment.apps/interlink-kubelet created (server dry run)" in said
    variables = in_cluster(cluster.kubeconfig, custom)
    dry = site("kubelet.deploy", "--dry-run", "--diff", **variables)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert "+kind: Deployment" in dry.stdout
    assert not cluster.exists(DEPLOYMENT)

    first = site("kubelet.deploy", "--json", **variables)
    assert first.returncode == 0, first.stdout + first.stderr
    [row] = told(first).values()
    assert row["changed"] == 2, "the kustomization and the token"
    second = site("kubelet.deploy", **variables)
    assert second.stdout.splitlines()[-1] == "nothing changed; all is well", second.stdout
    again = cluster.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", str(custom))
    assert "deployment.apps/interlink-kubelet serverside-applied" in again

    [pod] = cluster.wait_for(PODS, lambda found: found["items"])["items"]
    as_a_node_would(cluster, site, pod, tmp_path)


def as_a_node_would(cluster: Cluster, site: Site, pod: dict[str, Any], directory: Path) -> None:
    """Run the kubelet of a pod that the cluster has made: its command, environment, files and service account.

    A lab has no node that could run its image; all else is what the cluster has.
    """
    spec = pod["spec"]
    [container] = spec["containers"]
    account = f"/api/v1/namespaces/interlink/serviceaccounts/{spec['serviceAccountName']}/token"
    token = cluster.create(account, {"spec": {}})["status"]["token"]
    kubeconfig = cluster.plane.write_kubeconfig(directory / "account", {"token": token})
    where = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    mounted = {where[v["name"]]: volume(cluster, v, directory) for v in spec["volumes"] if v["name"] in where}

    def inside(text: str) -> str:
        found = next((path for path in mounted if text == path or f"{path}/" in text), "")
        return text.replace(found, str(mounted[found]), 1) if found else text

    environ = {item["name"]: inside(item["value"]) for item in container["env"] if "value" in item}
    environ |= {"POD_IP": "127.0.0.1", "KUBECONFIG": str(kubeconfig)}
    words = [inside(word).replace("$(NODENAME)", environ["NODENAME"]) for word in container["args"]]
    port = free_ports("kubelet")["kubelet"]
    argv = [str(Path(sys.executable).with_name("interlink")), *words, f"--listen=127.0.0.1:{port}"]
    with (directory / "log").open("wb") as log:
        kubelet = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **environ})
    node = environ["NODENAME"]
    try:
        ready = {"type": "Ready", "status": "True"}.items()
        cluster.wait_for(
            f"/api/v1/nodes/{node}",
            lambda found: any(ready <= item.items() for item in found["status"].get("conditions") or []),
            200,
        )
        assert cluster.get(f"/api/v1/nodes/{node}")["status"]["capacity"]["cpu"] == "8", "as knoc-cfg.json says"
        hears_it(cluster, site, "default", node)
        assert kubelet.poll() is None
    except process.LabError as error:
        raise AssertionError(f"{error}\n{(directory / 'log').read_text()[-4000:]}") from None
    finally:
        kubelet.terminate()
        kubelet.wait(60)


def volume(cluster: Cluster, declared: dict[str, Any], directory: Path) -> Path:
    """Return a directory with what a volume of the pod holds."""
    made = directory / f"volume-{declared['name']}"
    made.mkdir()
    core = "/api/v1/namespaces/interlink"
    if "configMap" in declared:
        for name, text in cluster.get(f"{core}/configmaps/{declared['configMap']['name']}")["data"].items():
            (made / name).write_text(text)
    if "secret" in declared:
        for name, data in cluster.get(f"{core}/secrets/{declared['secret']['secretName']}")["data"].items():
            (made / name).write_bytes(base64.b64decode(data))
            (made / name).chmod(0o440)
    return made
