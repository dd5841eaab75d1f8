"""A site's InterLinkConfig.yaml and variables start our server in front of a plugin, and our sidecar as one."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.request
from pathlib import Path

import pytest

from interlink.client import ContractClient
from interlink.model.driver import LogQuery
from interlink.model.pod import PodRef
from tests.api.process import wait
from tests.api.test_serve_command import inventory, request, run, served

MANIFEST = """\
apiVersion: v1
kind: Pod
metadata:
  name: p
  annotations: {mock.interlink.eu/run: "1", mock.interlink.eu/code: "3", mock.interlink.eu/log.main: "hello\\n"}
spec:
  restartPolicy: Never
  containers: [{name: main, image: i}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_server_and_sidecar_find_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin, server = free_port(), free_port()
    config = tmp_path / "InterLinkConfig.yaml"
    config.write_text(f'InterlinkPort: "1"\nSidecarURL: http://127.0.0.1\nSidecarPort: "{plugin}"\n')
    monkeypatch.setenv("INTERLINKCONFIGPATH", str(config))
    monkeypatch.setenv("INTERLINKPORT", str(server))
    monkeypatch.setenv("INTERLINK_STATE", str(tmp_path / "state"))
    hosts = str(inventory(tmp_path, "one"))
    with served(tmp_path, "sidecar", "mock", "-i", hosts) as sidecar, served(tmp_path, "serve") as url:
        assert (sidecar, url) == (f"http://127.0.0.1:{plugin}", f"http://127.0.0.1:{server}")
        client = ContractClient(url)
        asked = request("3f0c3b1e-1b1f-4c59-9a0e-2d7f6f6e1c11", run="0.1", **{"log.main": "hello\n"})
        ref = PodRef.of(asked.pod)
        assert client.create(asked).uid == asked.pod.uid
        wait(lambda: [s.phase.value for s in client.status([ref])] == ["Succeeded"], "the plugin's pod has ended")
        with contextlib.closing(client.logs(LogQuery(ref, "main"))) as log:
            assert b"".join(log) == b"hello\n"
        client.delete(ref)
        wait(lambda: client.status([ref]) == [], "the plugin's pod is gone")
        with urllib.request.urlopen(f"{url}/readyz", timeout=20) as answer:
            assert json.load(answer)["ok"] is True
        client.close()
        manifest = tmp_path / "pod.yaml"
        manifest.write_text(MANIFEST)
        ran = run(tmp_path, "run", str(manifest), "--server", url)
        assert (ran.returncode, ran.stdout) == (3, "main | hello\n"), ran.stderr
        assert f"placed on {url}" in ran.stderr
        listed = run(tmp_path, "pods.list", "--server", url)
        assert (listed.returncode, "passes its pods on to a plugin" in listed.stderr) == (1, True), listed.stderr
