"""The invoke tasks that the command `interlink` and the checkout's `inv` share."""

from __future__ import annotations

from typing import Any

from invoke.collection import Collection
from invoke.tasks import Task

from interlink.tasks import adopting, deploying, doctoring, hosts, images, kubelet, nodes, operating, pods, server
from interlink.tasks.run import run


def namespace() -> Collection:
    """Return all tasks of the product as one collection."""
    root = Collection()
    root.add_task(run)
    root.add_task(deploying.deploy)
    root.add_task(doctoring.doctor)
    root.add_task(images.build)
    root.add_task(images.push)
    root.add_task(server.serve)
    root.add_task(server.sidecar)
    root.add_collection(_group("server", server.ready, deploying.deploy_server, *_operations()))
    root.add_collection(_group("kubelet", kubelet.serve, kubelet.drain, kubelet.forget, *_kubelet_operations()))
    known = (hosts.list_hosts, hosts.ping, hosts.facts, hosts.trust)
    root.add_collection(_group("hosts", *known, adopting.adopt, deploying.prepare))
    root.add_collection(_group("nodes", nodes.list_nodes))
    root.add_collection(_group("pods", pods.list_pods, pods.show, pods.logs, pods.delete))
    return root


def _operations() -> tuple[Task[Any], ...]:
    return (
        operating.start,
        operating.stop,
        operating.restart,
        operating.status,
        operating.logs,
        operating.rollback,
    )


def _kubelet_operations() -> tuple[Task[Any], ...]:
    return (
        deploying.deploy_kubelet,
        operating.start_kubelet,
        operating.stop_kubelet,
        operating.kubelet_status,
        operating.kubelet_logs,
    )


def _group(name: str, *tasks: Task[Any]) -> Collection:
    group = Collection(name)
    for task in tasks:
        group.add_task(task)
    return group
