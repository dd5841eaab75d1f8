"""What a supervised bundle depends on beside the pod: the host's variables, and what annotations chose of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from interlink.bundle.network import ClusterDns
from interlink.model.host import Host

_INDEX = re.compile(r"\[[^]]*\]")


@dataclass(frozen=True)
class Site:
    """How containers are started on a host; `program` is the runtime's own name where it is empty.

    `options` are more arguments of the runtime's start command. `image_prefix` stands before an image that is
    neither a path nor has a scheme. `image_cache` is a directory of the host, beside the bundles if empty.
    `resources` and `ignore` are those of `checks.Features`.
    """

    runtime: str = "process"
    program: str = ""
    options: tuple[str, ...] = ()
    image_prefix: str = ""
    image_cache: str = ""
    image_cache_bytes: int = 0  # 0: no limit
    hostpath_roots: tuple[str, ...] = ()
    resources: frozenset[str] = frozenset()
    ignore: tuple[str, ...] = ()
    dns: ClusterDns = field(default_factory=ClusterDns)

    def ignores(self, path: str) -> bool:
        """Say whether a field, such as `spec.containers[0].volumeMounts[1]`, shall be ignored."""
        wanted = _plain(path)
        return any(wanted == item or wanted.startswith(f"{item}.") for item in map(_plain, self.ignore))

    @classmethod
    def of(cls, host: Host) -> Site:
        """Return what the host's variables say."""
        return cls(
            runtime=str(host.get("interlink_runtime")),
            program=str(host.get("interlink_runtime_path")),
            options=tuple(host.get("interlink_runtime_options")),
            image_prefix=str(host.get("interlink_image_prefix")),
            image_cache=str(host.get("interlink_image_cache")),
            image_cache_bytes=int(host.get("interlink_image_cache_size")),
            hostpath_roots=tuple(host.get("interlink_hostpath_allow")),
            ignore=tuple(str(path) for path in host.get("interlink_ignore")),
            dns=ClusterDns(tuple(host.get("interlink_dns"))),
        )


def _plain(path: str) -> str:
    return _INDEX.sub("", path).removeprefix("spec.")
