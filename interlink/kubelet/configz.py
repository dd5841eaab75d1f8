"""What /configz shows: the node's settings in the words of a real kubelet's configuration; pure.

Conformance tests and tools read durations, capacity and authentication there. Fields that have no meaning for a
virtual node are left out rather than made up.
"""

from __future__ import annotations

from typing import Any

from interlink.kubelet import auth, certs, events, lease, node
from interlink.kubelet.nodeobject import Identity
from interlink.kubelet.settings import Serving
from interlink.kubelet.taints import to_json
from interlink.model import quantity
from interlink.model.driver import NodeRecord


def configuration(identity: Identity, record: NodeRecord | None, given: Serving) -> dict[str, Any]:
    """Return the KubeletConfiguration of a node; nothing secret, no paths of keys."""
    pods = (record.capacity if record else {}).get("pods")
    return {
        "address": given.listen,
        "port": identity.port,
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True, "cacheTTL": _duration(auth.TOKEN_SECONDS)},
            "x509": {},  # by the cluster's own authority, which is read from it
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {
                "cacheAuthorizedTTL": _duration(auth.ALLOW_SECONDS),
                "cacheUnauthorizedTTL": _duration(auth.DENY_SECONDS),
            },
        },
        "serverTLSBootstrap": not given.cert_file and given.signer == certs.SIGNER,
        "registerNode": True,
        "registerWithTaints": [to_json(identity.taint)] if identity.taint else [],
        "providerID": f"external:///{identity.name}",
        "nodeStatusUpdateFrequency": _duration(node.LOOK_SECONDS),
        "nodeStatusReportFrequency": _duration(node.STATUS_SECONDS),
        "nodeLeaseDurationSeconds": lease.DURATION_SECONDS,
        "staticPodPath": "",
        "eventRecordQPS": events.PER_SECOND,
        "eventBurst": events.AT_ONCE,
        "enableServer": True,
        "enableDebuggingHandlers": True,
        **({"maxPods": int(quantity.parse(pods))} if pods else {}),
    }


def _duration(seconds: float) -> str:
    """Write a duration as Go does.

    >>> _duration(300.0), _duration(10.0), _duration(90.0), _duration(3600.0)
    ('5m0s', '10s', '1m30s', '1h0m0s')
    """
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{left}s" if hours else f"{minutes}m{left}s" if minutes else f"{left}s"
