"""What /configz says of a node, in the words of a real kubelet's configuration."""

from __future__ import annotations

from pathlib import Path

from interlink.kubelet.configz import configuration
from interlink.kubelet.nodeobject import Identity
from interlink.kubelet.settings import Serving
from interlink.model.driver import NodeRecord


def record(**capacity: str) -> NodeRecord:
    return NodeRecord("vk-1", capacity, capacity, {}, (), ())


def test_it_tells_how_the_node_is_served_and_kept() -> None:
    said = configuration(Identity("vk-1", port=10251), record(pods="1k", cpu="4"), Serving(listen="192.0.2.1"))
    assert (said["address"], said["port"], said["readOnlyPort"]) == ("192.0.2.1", 10251, 0)
    assert said["maxPods"] == 1000
    assert said["providerID"] == "external:///vk-1"
    assert said["authentication"]["anonymous"] == {"enabled": False}
    assert said["authorization"]["webhook"] == {"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"}
    assert (said["nodeStatusUpdateFrequency"], said["nodeLeaseDurationSeconds"]) == ("10s", 40)
    assert said["serverTLSBootstrap"] is True
    taint = {"key": "virtual-node.interlink/no-schedule", "value": "true", "effect": "NoSchedule"}
    assert said["registerWithTaints"] == [taint]


def test_what_is_not_known_or_not_so_is_not_said() -> None:
    files = Serving(cert_file=Path("/secret/cert.pem"), key_file=Path("/secret/key.pem"))
    said = configuration(Identity("vk-1", taint=None), None, files)
    assert "maxPods" not in said
    assert said["serverTLSBootstrap"] is False
    assert said["registerWithTaints"] == []
    assert "secret" not in str(said)
    assert configuration(Identity("vk-1"), None, Serving(signer=""))["serverTLSBootstrap"] is False
