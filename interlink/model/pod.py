"""Typed views over a pod manifest; the manifest itself stays a plain dict, so unknown fields survive."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from interlink.model.status import Kind

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Container:
    """One container of a pod, with the part it plays; `path` is its place in the manifest."""

    raw: Json
    kind: Kind
    path: str

    @property
    def name(self) -> str:
        return str(self.raw.get("name") or "")

    @property
    def image(self) -> str:
        return str(self.raw.get("image") or "")

    @property
    def command(self) -> list[str] | None:
        return self.raw.get("command") or None

    @property
    def args(self) -> list[str] | None:
        return self.raw.get("args") or None

    @property
    def env(self) -> list[Json]:
        return self.raw.get("env") or []

    @property
    def env_from(self) -> list[Json]:
        return self.raw.get("envFrom") or []

    @property
    def mounts(self) -> list[Json]:
        return self.raw.get("volumeMounts") or []

    @property
    def ports(self) -> list[Json]:
        return self.raw.get("ports") or []

    @property
    def message_path(self) -> str:
        """Where the container may leave a termination message; the default is the API server's."""
        return posixpath.join("/", str(self.raw.get("terminationMessagePath") or "dev/termination-log"))

    @property
    def quotes_log(self) -> bool:
        """The end of its log is its termination message if it fails without one."""
        return self.raw.get("terminationMessagePolicy") == "FallbackToLogsOnError"

    @property
    def requests(self) -> Json:
        """Requests as Kubernetes defaults them: an absent request equals the limit."""
        resources = self.raw.get("resources") or {}
        return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}

    @property
    def limits(self) -> Json:
        return (self.raw.get("resources") or {}).get("limits") or {}

    @property
    def security(self) -> Json:
        return self.raw.get("securityContext") or {}

    @property
    def pull_policy(self) -> str:
        """imagePullPolicy with Kubernetes' default: Always for `:latest` or no tag, else IfNotPresent."""
        if self.raw.get("imagePullPolicy"):
            return str(self.raw["imagePullPolicy"])
        rest = self.image.rsplit("/", 1)[-1]
        if "@" in rest:
            return "IfNotPresent"
        return "Always" if ":" not in rest or rest.endswith(":latest") else "IfNotPresent"


@dataclass(frozen=True)
class Pod:
    """A pod manifest, read through typed properties; defaults are the API server's."""

    raw: Json

    @property
    def metadata(self) -> Json:
        return self.raw.get("metadata") or {}

    @property
    def spec(self) -> Json:
        return self.raw.get("spec") or {}

    @property
    def uid(self) -> str:
        return str(self.metadata.get("uid") or "")

    @property
    def name(self) -> str:
        return str(self.metadata.get("name") or "")

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace") or "default")

    @property
    def labels(self) -> Json:
        return self.metadata.get("labels") or {}

    @property
    def annotations(self) -> Json:
        return self.metadata.get("annotations") or {}

    @property
    def node_name(self) -> str:
        return str(self.spec.get("nodeName") or "")

    @property
    def restart_policy(self) -> str:
        return str(self.spec.get("restartPolicy") or "Always")

    @property
    def grace(self) -> int:
        """terminationGracePeriodSeconds, in seconds."""
        value = self.spec.get("terminationGracePeriodSeconds")
        return 30 if value is None else int(value)

    @property
    def deadline(self) -> int | None:
        """activeDeadlineSeconds, in seconds."""
        value = self.spec.get("activeDeadlineSeconds")
        return None if value is None else int(value)

    @property
    def security(self) -> Json:
        return self.spec.get("securityContext") or {}

    @property
    def volumes(self) -> list[Json]:
        return self.spec.get("volumes") or []

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        """Init containers and native sidecars in the order of the spec, then the mains."""
        inits = self.spec.get("initContainers") or []
        mains = self.spec.get("containers") or []
        return (*(_init(c, i) for i, c in enumerate(inits)), *(_main(c, i) for i, c in enumerate(mains)))

    def container(self, name: str) -> Container | None:
        return next((c for c in self.containers if c.name == name), None)


@dataclass(frozen=True)
class PodRequest:
    """A pod with all that it refers to: what a create carries, on either contract.

    `configmaps` and `secrets` are whole Kubernetes objects; `projected` are synthetic ConfigMaps named
    after the projected or downwardAPI *volume*, file name to content (wire.md section 2).
    `job_script` replaces the compiled script of a batch driver when it is not empty. `resolved` says that
    the sender has expanded the values in env already: expanding them again would change `$$` and `$(X)`.
    `origin` names the cluster that the pod comes from, so that its kubelet knows its own among other pods.
    """

    pod: Pod
    configmaps: tuple[Json, ...] = ()
    secrets: tuple[Json, ...] = ()
    projected: tuple[Json, ...] = ()
    job_script: str = ""
    resolved: bool = False
    origin: str = ""

    def configmap(self, name: str) -> Json | None:
        return _named(self.configmaps, name)

    def secret(self, name: str) -> Json | None:
        return _named(self.secrets, name)

    def projection(self, volume: str) -> Json | None:
        return _named(self.projected, volume)


def _init(raw: Json, index: int) -> Container:
    kind = Kind.SIDECAR if raw.get("restartPolicy") == "Always" else Kind.INIT
    return Container(raw, kind, f"spec.initContainers[{index}]")


def _main(raw: Json, index: int) -> Container:
    return Container(raw, Kind.MAIN, f"spec.containers[{index}]")


def _named(objects: tuple[Json, ...], name: str) -> Json | None:
    return next((o for o in objects if (o.get("metadata") or {}).get("name") == name), None)


@dataclass(frozen=True)
class PodRef:
    """Which pod: the UID decides, names are for people. `raw` is the manifest if the caller sent one."""

    uid: str
    namespace: str = ""
    name: str = ""
    raw: Json = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, pod: Pod) -> PodRef:
        return cls(pod.uid, pod.namespace, pod.name, pod.raw)
