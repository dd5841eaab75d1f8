"""What deploy/ holds, taken by the tools that it is for: kubectl, systemd, docker-compose, a shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlink.config import kubelet as kubelet_config
from interlink.tasks import kubelet as kubelet_command

DEPLOY = Path(__file__).parents[2] / "deploy"


def run(*argv: str, **options: Any) -> str:
    if shutil.which(argv[0]) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {argv[0]} here")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def rendered(directory: str) -> dict[tuple[str, str], dict[str, Any]]:
    documents = yaml.safe_load_all(run("kubectl", "kustomize", str(DEPLOY / directory)))
    return {(found["kind"], found["metadata"]["name"]): found for found in documents}


def test_the_kustomization_fits_together_and_the_kubelet_reads_it(tmp_path: Path) -> None:
    objects = rendered("kustomizations")
    [config] = [found for (kind, _), found in objects.items() if kind == "ConfigMap"]
    pod = objects["Deployment", "interlink-kubelet"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["serviceAccountName"] == objects["ServiceAccount", "interlink"]["metadata"]["name"]
    mounted = next(volume for volume in pod["volumes"] if volume["name"] == "config")
    assert mounted["configMap"]["name"] == config["metadata"]["name"], "kustomize put the hash into both"
    for name, text in config["data"].items():
        (tmp_path / name).write_text(text)
    environ = {item["name"]: item["value"] for item in container["env"] if "value" in item}
    arguments = [word.replace("$(NODENAME)", environ["NODENAME"]) for word in container["args"]]
    arguments = [word.replace("/etc/interlink/", f"{tmp_path}/") for word in arguments]
    assert arguments.pop(0) == "kubelet"
    settings = kubelet_config.load(kubelet_command.parse(arguments), {**environ, "HOME": str(tmp_path)})
    assert settings.node is not None
    assert (settings.node.name, settings.node.capacity["cpu"]) == ("interlink", "8")
    assert settings.peer.url == "http://interlink.example.org:3000"
    assert str(settings.peer.token_file) == "/etc/interlink-token/token"


def test_the_variant_for_one_machine_has_server_and_kubelet_in_one_pod() -> None:
    pod = rendered("remote")["Deployment", "interlink-kubelet"]["spec"]["template"]["spec"]
    containers = {container["name"]: container for container in pod["containers"]}
    assert set(containers) == {"server", "kubelet"}
    secrets = {
        item["name"]: item["valueFrom"]["secretKeyRef"]["key"]
        for item in containers["server"]["env"]
        if "secretKeyRef" in item.get("valueFrom", {})
    }
    assert secrets == {
        "REMOTE_KEY": "ssh-privatekey",
        "REMOTE_USER": "remote_user",
        "REMOTE_HOST": "host",
        "REMOTE_PORT": "port",
        "REMOTE_KNOWN_HOSTS": "known_hosts",
    }


def test_units_are_valid(tmp_path: Path) -> None:
    for unit in (DEPLOY / "systemd").glob("*.service"):
        lines = unit.read_text().splitlines()
        lines = ["ExecStart=/bin/true" if line.startswith("ExecStart=") else line for line in lines]
        (tmp_path / unit.name).write_text("\n".join(lines) + "\n")
    said = run("systemd-analyze", "verify", *map(str, tmp_path.glob("*.service")))
    assert said == "", said


def test_compose_is_valid() -> None:
    services = yaml.safe_load(run("docker-compose", "-f", str(DEPLOY / "compose.yaml"), "config"))["services"]
    assert set(services) == {"host", "docker", "server"}


def test_scripts_and_samples_parse() -> None:
    run("sh", "-n", str(DEPLOY / "compose/host.sh"))
    json.loads((DEPLOY / "kustomizations/knoc-cfg.json").read_text())
    for path in DEPLOY.rglob("*.yaml"):
        assert list(yaml.safe_load_all(path.read_text())), path
