"""The variables that tell a container of its namespace's services; pure.

Source: `FromServices` of the kubelet's envvars package and `getServiceEnvVarMap`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from interlink.model.pod import Json, Pod


def variables(pod: Pod, services: Iterable[Json]) -> dict[str, str]:
    """Return the variables for a pod from services of its own and of the namespace `default`.

    Those of the namespace come unless enableServiceLinks is false; default/kubernetes always, unless the
    namespace has a service of that name. Headless and external services have none.
    """
    links = pod.spec.get("enableServiceLinks") is not False
    chosen: dict[str, Json] = {}
    for service in services:
        metadata, address = service["metadata"], service.get("spec", {}).get("clusterIP")
        if address in (None, "", "None"):
            continue
        name = str(metadata["name"])
        if links and metadata["namespace"] == pod.namespace:
            chosen[name] = service
        elif (metadata["namespace"], name) == ("default", "kubernetes"):
            chosen.setdefault(name, service)
    return {key: value for _, service in sorted(chosen.items()) for key, value in _of(service)}


def _of(service: Json) -> Iterator[tuple[str, str]]:
    name, address = _upper(service["metadata"]["name"]), str(service["spec"]["clusterIP"])
    ports = service["spec"].get("ports") or []
    if not ports:
        return
    yield f"{name}_SERVICE_HOST", address
    yield f"{name}_SERVICE_PORT", str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            yield f"{name}_SERVICE_PORT_{_upper(port['name'])}", str(port["port"])
    host = f"[{address}]" if ":" in address else address
    for index, port in enumerate(ports):
        protocol, number = str(port.get("protocol") or "TCP"), str(port["port"])
        url = f"{protocol.lower()}://{host}:{number}"
        prefix = f"{name}_PORT_{number}_{protocol.upper()}"
        if index == 0:
            yield f"{name}_PORT", url
        yield prefix, url
        yield f"{prefix}_PROTO", protocol.lower()
        yield f"{prefix}_PORT", number
        yield f"{prefix}_ADDR", address


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
