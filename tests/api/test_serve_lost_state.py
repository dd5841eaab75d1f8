"""A server that has lost all of its state takes its pods over from the hosts (`hosts.adopt`)."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from interlink.client import Client
from interlink.model.pod import Pod, PodRef, PodRequest
from tests.api.process import wait
from tests.api.test_serve_command import phases, run, served

INVENTORY = """
all:
  hosts:
    here: {{ansible_connection: local, interlink_driver: shell, interlink_runtime: process, interlink_root: {root}}}
"""


def pod(uid: str) -> PodRequest:
    container = {"name": "main", "image": "i", "command": ["sleep", "600"]}
    metadata = {"name": f"pod-{uid}", "namespace": "default", "uid": uid}
    return PodRequest(
        Pod({"metadata": metadata, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}})
    )


def test_pods_of_a_server_whose_state_is_lost_are_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory, state = tmp_path / "inventory.yaml", tmp_path / "state"
    inventory.write_text(INVENTORY.format(root=tmp_path / "root"))
    monkeypatch.setenv("INTERLINK_STATE", str(state))
    serve = ("serve", "-i", str(inventory), "--listen", "127.0.0.1:0")
    with served(tmp_path, *serve) as url, closing(Client(url)) as client:
        client.create(pod("one"))
        wait(lambda: phases(client) == {"one": "Running"}, "it runs")
    server_id = (state / "serve" / "server-id").read_text().strip()
    shutil.rmtree(state)

    adopt = ("hosts.adopt", "-i", str(inventory))
    assert f"here  {server_id}  1" in run(tmp_path, *adopt).stdout
    wrong = run(tmp_path, *adopt, "--server-id", "another")
    assert (wrong.returncode, wrong.stderr.strip()) == (
        2,
        f"interlink: no host has pods of the server id another; those that have any: {server_id}",
    )
    assert "1 pods" in run(tmp_path, *adopt, "--server-id", server_id).stdout

    with served(tmp_path, *serve) as url, closing(Client(url)) as client:
        wait(lambda: phases(client) == {"one": "Running"}, "it is known again")
        assert client.create(pod("one")).outcome == "existing"
        client.delete(PodRef.of(pod("one").pod))
        wait(lambda: not os.listdir(tmp_path / "root" / server_id / "pods"), "it is gone")
