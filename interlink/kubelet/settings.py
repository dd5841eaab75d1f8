"""All settings of a kubelet process, checked; `interlink.config.kubelet` makes them of flags, environment and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from interlink.kubelet import taints
from interlink.model.driver import NodeRecord, Taint

Protocol = Literal["v1", "contract"]


@dataclass(frozen=True)
class Peer:
    """The interLink server. `protocol` is /v1 for ours, the existing contract for any other."""

    url: str = "http://127.0.0.1:3000"
    protocol: Protocol = "v1"
    token_file: Path | None = None
    ca_file: Path | None = None
    ca_text: str = ""  # PEM
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False  # do not check the server's certificate


@dataclass(frozen=True)
class Serving:
    """The kubelet API: the first node listens on `port`, the next ones on the next free ones.

    `address` is what the API server dials, "" for this machine's own towards it. The certificate is given by
    files, else signed by the cluster's `signer`, self-signed where `signer` is "".
    """

    listen: str = "0.0.0.0"  # noqa: S104  the API server is another machine
    port: int = 10250
    address: str = ""
    cert_file: Path | None = None
    key_file: Path | None = None
    signer: str = "kubernetes.io/kubelet-serving"


@dataclass(frozen=True)
class JobAccess:
    """How the Kubernetes API is reached from where the pods run, and what pods are not given."""

    host: str = ""
    port: str = ""
    ca: str = ""  # PEM
    projected_volumes: bool = True


@dataclass(frozen=True)
class Settings:
    """`node` is the one of a configuration file; without it the server's nodes are served, of `only` if that is given.

    Durations in seconds. `not_ready_after`: an outage of the server longer than that makes the nodes NotReady, so
    that Kubernetes evicts their pods; None never does. `wait` bounds the start.
    """

    peer: Peer = field(default_factory=Peer)
    serving: Serving = field(default_factory=Serving)
    jobs: JobAccess = field(default_factory=JobAccess)
    state_dir: Path = Path("/var/lib/interlink")
    kubeconfig: str | None = None
    node: NodeRecord | None = None
    fixed: bool = False  # the file alone says what the node has, whatever the server's pings say
    only: tuple[str, ...] = ()
    taint: Taint | None = taints.NO_SCHEDULE
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""  # "" for all
    not_ready_after: float | None = None
    wait: float | None = None
    log_level: str = "INFO"
