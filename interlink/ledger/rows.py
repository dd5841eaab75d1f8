"""A pod's row as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from interlink.ledger.codec import dump_status, load_status
from interlink.model.pod import Pod
from interlink.model.status import Kind, PodStatus

Target = Literal["run", "deleted"]


@dataclass(frozen=True)
class ContainerRow:
    """What the ledger keeps of a container's manifest: nothing that could be a secret."""

    name: str
    kind: Kind
    image: str
    requests: Mapping[str, str] = field(default_factory=dict)
    restart_policy: str = ""


@dataclass(frozen=True)
class PodRow:
    """The skeleton of an accepted pod, its target, its placement and its last observed status.

    Times are seconds since the epoch. `host` is set before the first remote command; `launched_at` when the
    host has confirmed the launch, `refused_at` when it was refused for good, `confirmed_at` when nothing of
    a deleted pod is left. `final` says that `status` is the last one there will be.
    """

    uid: str
    namespace: str
    name: str
    node: str
    restart_policy: str
    grace: int
    deadline: int | None
    containers: tuple[ContainerRow, ...]
    accepted_at: float
    target: Target = "run"
    delete_grace: int | None = None
    deleted_at: float | None = None
    host: str | None = None
    jid: str = ""
    launched_at: float | None = None
    refused_at: float | None = None
    confirmed_at: float | None = None
    status: PodStatus | None = None
    final: bool = False
    origin: str = ""
    revision: int = 0

    @classmethod
    def accepted(cls, pod: Pod, *, node: str, host: str | None, now: float, origin: str = "") -> PodRow:
        """Return the row of a pod that is accepted now, placed on `host` or not yet placed."""
        return cls(
            uid=pod.uid,
            namespace=pod.namespace,
            name=pod.name,
            node=node,
            restart_policy=pod.restart_policy,
            grace=pod.grace,
            deadline=pod.deadline,
            containers=tuple(
                ContainerRow(
                    c.name,
                    c.kind,
                    c.image,
                    {str(k): str(v) for k, v in c.requests.items()},
                    str(c.raw.get("restartPolicy") or ""),
                )
                for c in pod.containers
            ),
            accepted_at=now,
            host=host,
            origin=origin,
        )

    @classmethod
    def found(cls, status: PodStatus, *, node: str, host: str, now: float) -> PodRow:
        """Return the row of a pod that was found on a host: what its status tells, and Kubernetes' defaults.

        Its restart policy is not known; "Never" claims nothing of what will follow.
        """
        return cls(
            uid=status.uid,
            namespace=status.namespace,
            name=status.name,
            node=node,
            restart_policy="Never",
            grace=30,
            deadline=None,
            containers=tuple(ContainerRow(c.name, c.kind, c.image) for c in status.containers),
            accepted_at=now,
            host=host,
            jid=status.jid,
            launched_at=now,
        )

    def to_delete(self, grace: int | None, now: float) -> PodRow | None:
        """Return the row with the delete recorded; None if it changes nothing.

        `grace` in seconds, None for the pod's own. A repeated delete can only shorten it.
        """
        if self.target == "run":
            return replace(self, target="deleted", delete_grace=grace, deleted_at=now)
        current = self.grace if self.delete_grace is None else self.delete_grace
        if self.confirmed_at is None and grace is not None and grace < current:
            return replace(self, delete_grace=grace)
        return None

    def columns(self) -> dict[str, Any]:
        """Return the row as the table holds it, without its revision."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "revision"}
        values["containers"] = [
            {
                "name": c.name,
                "kind": c.kind.value,
                "image": c.image,
                "requests": dict(c.requests),
                "restartPolicy": c.restart_policy,
            }
            for c in self.containers
        ]
        values["status"] = dump_status(self.status) if self.status else None
        return values


def from_columns(columns: Mapping[str, Any]) -> PodRow:
    """Return the row that `PodRow.columns` wrote."""
    values = {name: value for name, value in columns.items() if name != "writer"}
    values["containers"] = tuple(
        ContainerRow(
            c["name"], Kind(c["kind"]), c.get("image", ""), c.get("requests") or {}, c.get("restartPolicy", "")
        )
        for c in columns["containers"]
    )
    values["status"] = load_status(columns["status"]) if columns["status"] else None
    return PodRow(**values)
