"""A pod as files on the host: what step.sh reads to run it (see lib.sh for the directory); pure.

``plan.sh`` holds the pod's own variables and functions, ``c/<container>.sh`` one container: `IL_IMAGE`,
`IL_KEY`, `IL_PULL`, `IL_NONROOT`, `il_check` (what must hold before a launch) and `il_run`, the engine's command.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain

from interlink.bundle import care, checks, docker, fields, files, images, mounts, network, security, tar
from interlink.bundle import env as environment
from interlink.bundle.text import line
from interlink.drivers.docker import caring, hostpaths
from interlink.model.driver import VolumeFile, Volumes
from interlink.model.host import Host
from interlink.model.pod import Container, Pod, PodRef, PodRequest
from interlink.model.status import Kind
from interlink.remote import shell

PAUSE = docker.PAUSE
_OURS = frozenset(
    ("probes", "hooks", "terminationMessagePath", "terminationMessagePolicy")
)  # what our scripts do, not the engine


def grace(pod: PodRef) -> int:
    """Return the pod's own grace period in seconds, the default where we do not have its manifest."""
    return Pod(pod.raw).grace


def site(host: Host, server: str, engine: str) -> docker.Site:
    """Return what the engine's arguments depend on beside the pod."""
    return docker.Site(
        server=server,
        engine=engine,
        pause_image=str(host.get("interlink_pause_image")),
        dns=network.ClusterDns(tuple(host.get("interlink_dns"))),
        message=True,
    )


def features(host: Host) -> checks.Features:
    """Return what this driver can do on this host."""
    return checks.Features(
        supports=fields.ENGINE | _OURS | frozenset(host.get("interlink_allow")),
        hostpath_roots=tuple(host.get("interlink_hostpath_allow")),
        ignore=tuple(host.get("interlink_ignore")),
    )


def bundle(request: PodRequest, host: Host, where: docker.Site) -> tuple[tar.Entry, ...]:
    """Return the pod's bundle; InvalidPod or Unsupported, naming the field, for what cannot run."""
    return tuple(_Bundle(checks.admit(request, features(host)), where).entries())


def update(volumes: Volumes) -> tuple[str, bytes]:
    """Return the stamp and the tar of new contents of volumes, for il_update."""
    stamp = _stamp()
    entries = (tar.under(name, files.layout(listed, stamp)) for name, listed in volumes.items())
    return stamp, tar.pack(chain.from_iterable(entries))


def _stamp() -> str:
    return f"..{datetime.now(timezone.utc):%Y_%m_%d_%H_%M_%S.%f}"


@dataclass(frozen=True)
class _Bundle:
    request: PodRequest
    where: docker.Site

    @property
    def pod(self) -> Pod:
        return self.request.pod

    def entries(self) -> Iterator[tar.Entry]:
        volumes = files.volume_files(self.request)
        yield tar.Directory("state", 0o700)
        yield tar.Directory("message", 0o700)
        yield tar.File("skeleton.json", self._skeleton())
        yield tar.File("plan.sh", self._plan())
        if docker.needs_pause(self.pod):
            yield tar.File(f"c/{PAUSE}.sh", self._pause())
        yield from self._volumes(volumes)
        for container in self.pod.containers:
            yield from self._container(container, volumes)
        quoting = [c.name for c in self.pod.containers if c.quotes_log]
        if quoting:
            yield tar.File("fallback", f"{' '.join(quoting)}\n".encode())
        resolver = network.resolv_conf(self.pod, self.where.dns)
        if resolver is not None:
            yield tar.File("resolv.conf", resolver, 0o644)

    def _volumes(self, volumes: Mapping[str, Sequence[VolumeFile]]) -> Iterator[tar.Entry]:
        stamp = _stamp()
        group = self.pod.security.get("fsGroup") is not None
        for name, listed in volumes.items():
            yield tar.Directory(f"vol/{name}", 0o2755 if group else 0o755)
            yield from tar.under(f"vol/{name}", files.layout(listed, stamp, group=group))
        env = tuple(chain.from_iterable(environment.environment(self.request, c) for c in self.pod.containers))
        yield from mounts.missing(mounts.Scope(self.pod, volumes, env))
        if mounts.empty_dirs(self.pod, memory=False):
            yield tar.File("empty.tar", self._empty())

    def _empty(self) -> bytes:
        """Return the tar that gives the emptyDirs on disk their mode, and their group if there is an fsGroup."""
        group = self.pod.security.get("fsGroup")
        mode = 0o777 if group is None else 0o2777
        names = (str(volume["name"]) for volume in mounts.empty_dirs(self.pod, memory=False))
        return tar.pack((tar.Directory(name, mode) for name in names), owner=(0, int(group or 0)))

    def _skeleton(self) -> bytes:
        pod = self.pod
        containers = [_described(container) for container in pod.containers]
        about = {"namespace": pod.namespace, "name": pod.name, "policy": pod.restart_policy, "containers": containers}
        return (json.dumps(about) + "\n").encode()

    def _plan(self) -> bytes:
        pod, pause = self.pod, docker.needs_pause(self.pod)
        inits = [c for c in pod.containers if c.kind is not Kind.MAIN]
        sidecars = [c.name for c in inits if c.kind is Kind.SIDECAR]
        group = pod.security.get("fsGroup")
        on_disk = mounts.empty_dirs(pod, memory=False)
        cared = [container.name for container in pod.containers if care.of(container)]
        values = {
            "IL_POLICY": pod.restart_policy,
            "IL_DEADLINE": "" if pod.deadline is None else str(pod.deadline),
            "IL_GRACE": str(pod.grace),
            "IL_GROUP": "" if group is None else str(int(group)),
            "IL_PAUSE": "1" if pause else "",
            "IL_VOLUMES": "1" if mounts.empty_dirs(pod) else "",
            "IL_ON_DISK": "1" if on_disk else "",
            "IL_SUPERVISED": "1" if pause or pod.deadline is not None or cared else "",
            "IL_CARE": " ".join(cared),
            "IL_INITS": _names(inits),
            "IL_INITS_ONLY": _names(c for c in inits if c.kind is Kind.INIT),
            "IL_SIDECARS": " ".join(sidecars),
            "IL_SIDECARS_REVERSED": " ".join(reversed(sidecars)),
            "IL_MAINS": _names(c for c in pod.containers if c.kind is Kind.MAIN),
            "IL_ALL": " ".join([*([PAUSE] if pause else []), *(c.name for c in pod.containers)]),
            "IL_NEEDS_IP": "1" if pause and self._needs_address() else "",
        }
        lines = ["il_volumes() {", *self._volume_commands(), "    :", "}"]
        hosts = network.hosts_lines(pod, self.where.dns.domain) if network.needs_hosts(pod) else ()
        lines += [f"IL_HOSTS={'1' if hosts else ''}", "il_hosts() {"]
        lines += [f"    printf '%s\\n' {line(hosts)}" if hosts else "    :", "}", ""]
        return (shell.assignments(values) + "\n".join(lines)).encode()

    def _needs_address(self) -> bool:
        return network.needs_hosts(self.pod) or any(
            "status.podIP" in json.dumps(container.raw) for container in self.pod.containers
        )

    def _volume_commands(self) -> Iterator[str]:
        labels = {f"{docker.LABEL}server": self.where.server, f"{docker.LABEL}uid": self.pod.uid}
        for volume in mounts.empty_dirs(self.pod):
            words = mounts.create_volume(self.pod, volume, self.where.engine, labels)
            yield f'    "$IL_ENGINE" volume create {shell.join(words)} || return 1'

    def _pause(self) -> bytes:
        words = docker.pause(self.pod, self.where)
        image = words[-1]
        return _script(line([image]), "IfNotPresent", f'exec "$@" {line(words)}')

    def _container(self, container: Container, volumes: Mapping[str, Sequence[VolumeFile]]) -> Iterator[tar.Entry]:
        env = environment.environment(self.request, container)
        launch = docker.launch(self.pod, container, self.where, env, volumes)
        name = container.name
        if launch.env.file:
            yield tar.File(f"env/{name}", launch.env.file)
        if launch.env.unassigned:
            yield tar.File(f"environ/{name}", launch.env.unassigned)
        for number, config in enumerate(images.pull_configs(self.request, container.image)):
            yield tar.File(f"pull/{name}/{number}/config.json", config)
        if cared := care.of(container):
            yield tar.File(f"care/{name}.sh", caring.script(cared))
        who = security.identity(self.pod, container)
        image = images.normalized(container.image) if self.where.engine == "podman" else container.image
        tests = [
            *hostpaths.checks(mounts.host_paths(self.pod, container)),
            *self._sub_paths(mounts.Scope(self.pod, volumes, env), container),
        ]
        # `exec` only where nothing stands before it
        run = launch.command_line('"$@"' if launch.env.exported or launch.environ else 'exec "$@"')
        settings = {
            "IL_NONROOT": "1" if who.non_root and who.user is None else "",
            "IL_AS_ROOT": "1" if security.breaks_non_root(who) else "",
            "IL_USER": "ask" if who.user is None else "",
            "IL_VALID": "1" if images.is_valid(container.image) else "",
        }
        yield tar.File(f"c/{name}.sh", _script(shell.quote(image), container.pull_policy, run, tests, settings))

    def _sub_paths(self, scope: mounts.Scope, container: Container) -> Iterator[str]:
        for place in mounts.sub_paths(scope, container):
            words = [shell.quote(place.volume), line([place.path])]
            yield f"    il_sub_path {' '.join(words)} || return 1"
            yield f"    {place.variable.variable}=$IL_MOUNTPOINT"


def _described(container: Container) -> dict[str, object]:
    """Return what the statuses need of a container beside what runs."""
    cared = care.of(container).kinds
    about: dict[str, object] = {"name": container.name, "kind": container.kind.value, "image": container.image}
    return {**about, "care": cared} if cared else about


def _names(containers: Iterable[Container]) -> str:
    return " ".join(container.name for container in containers)


def _script(
    image: str, policy: str, run: str, checks: Sequence[str] = (), settings: Mapping[str, str] | None = None
) -> bytes:
    """Return one container's file; `image` is quoted already."""
    variables = {"IL_NONROOT": "", "IL_AS_ROOT": "", "IL_USER": "", "IL_VALID": "1", **(settings or {})}
    key = hashlib.sha256(image.encode()).hexdigest()[:16]  # names the image's files on the host
    lines = [
        f"IL_IMAGE={image}",
        f"IL_KEY={key}",
        f"IL_PULL={policy}",
        *(f"{name}={value}" for name, value in variables.items()),
    ]
    lines += ["il_check() {", *checks, "    :", "}", "il_run() {", f"    {run}", "}", ""]
    return "\n".join(lines).encode()
