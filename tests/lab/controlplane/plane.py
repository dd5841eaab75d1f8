"""etcd, API server, controller manager and scheduler on loopback ports, as four daemons of one directory."""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import process
from tests.lab.controlplane import programs
from tests.lab.controlplane.pki import Pair, Pki

PORTS = range(20000, 30000)  # below the kernel's own choice, so that no outgoing connection takes one meanwhile
SERVICES = "10.96.0.0/16"


@dataclass(frozen=True)
class Options:
    """More flags for the programs, which win over ours."""

    apiserver: Sequence[str] = ()
    controllers: Sequence[str] = ()
    scheduler: Sequence[str] = ()


@dataclass(frozen=True)
class Component:
    """One program of the control plane; may be hurt and started again with the same flags and port."""

    daemon: process.Daemon
    command: Callable[[], list[str]]
    ready: Callable[[], object] = field(default=lambda: True)

    @property
    def alive(self) -> bool:
        return self.daemon.alive

    def start(self, wait: bool = True) -> None:
        """Start it unless it runs; returns when it answers."""
        if not self.alive:
            self.daemon.start(self.command())
        if wait:
            self.daemon.wait_ready(self.ready, 300)

    def stop(self) -> None:
        """SIGTERM, then wait for the end."""
        self.daemon.stop()

    def kill(self) -> None:
        """SIGKILL: every connection breaks at once."""
        self.daemon.kill()

    def restart(self) -> None:
        """Kill and start."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stop its clock: connections stay open and nothing is answered."""
        self.daemon.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo pause()."""
        self.daemon.signal(signal.SIGCONT)


class ControlPlane:
    """One Kubernetes control plane without nodes; `start()` and `stop()` may be called by any process."""

    def __init__(self, directory: Path, options: Options | None = None) -> None:
        self.directory = directory
        self.pki = Pki(directory / "pki")
        self._options = options or Options()

        def component(name: str, command: Callable[[], list[str]], ready: Callable[[], object]) -> Component:
            return Component(process.Daemon(name, directory), command, ready)

        self.etcd = component("etcd", self._etcd_command, self._etcd_answers)
        self.apiserver = component("apiserver", self._apiserver_command, self._apiserver_answers)
        self.controllers = component("controllers", self._controllers_command, lambda: True)
        self.scheduler = component("scheduler", self._scheduler_command, lambda: True)

    @property
    def components(self) -> tuple[Component, ...]:
        return self.etcd, self.apiserver, self.controllers, self.scheduler

    @property
    def alive(self) -> bool:
        return all(component.alive for component in self.components)

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self._port('apiserver')}"

    @property
    def etcd_url(self) -> str:
        return f"http://127.0.0.1:{self._port('etcd')}"

    @property
    def admin(self) -> Path:
        """The kubeconfig of a cluster administrator."""
        return self.directory / "admin.kubeconfig"

    def start(self) -> None:
        """Start what does not run: all of it anew, with an empty store, if etcd does not."""
        if not self.etcd.alive:
            self.stop()
            self._prepare()
        self.etcd.start(wait=False)  # the API server waits for it
        self.apiserver.start()
        self.controllers.start()
        self.scheduler.start()

    def stop(self) -> None:
        """Stop everything that runs."""
        for component in reversed(self.components):
            component.stop()

    def kill(self) -> None:
        """End everything at once; the store is worth nothing."""
        for component in reversed(self.components):
            component.kill()

    def compact(self) -> None:
        """Drop etcd's history: continued lists, and watches that the API server's cache cannot serve, get 410.

        Its cache serves watches until it is restarted, and pages unless started with the feature gate
        ListFromCacheSnapshot=false.
        """
        revision = self._etcd("kv/range", {"key": "AA==", "limit": 1})["header"]["revision"]
        self._etcd("kv/compaction", {"revision": revision, "physical": True})

    def write_kubeconfig(self, path: Path, user: dict[str, str]) -> Path:
        """A kubeconfig of this cluster for a user, as in `users[].user`."""
        cluster = {"server": self.url, "certificate-authority": str(self.pki.ca.certificate)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "user"}}],
            "current-context": "lab",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=1))
        return path

    def _prepare(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.directory.chmod(0o700)
        self.pki.make()
        (self.directory / "ports").write_text(json.dumps(free_ports("etcd", "peer", "apiserver")))
        for name in ("admin", "controllers", "scheduler"):
            self.write_kubeconfig(self.directory / f"{name}.kubeconfig", user_of(self.pki.pair(name)))

    def _port(self, name: str) -> int:
        ports: dict[str, int] = json.loads((self.directory / "ports").read_text())
        return ports[name]

    def _etcd_command(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._port('peer')}"
        return [
            str(_beside("etcd")),
            "--name=lab",
            f"--data-dir={self.directory / 'etcd-data'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={self.etcd_url}",
            f"--advertise-client-urls={self.etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=lab={peer}",
        ]

    def _apiserver_command(self) -> list[str]:
        server, kubelets = self.pki.pair("apiserver"), self.pki.pair("kubelet-client")
        return [
            str(_beside("kube-apiserver")),
            f"--etcd-servers={self.etcd_url}",
            f"--secure-port={self._port('apiserver')}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={server.certificate}",
            f"--tls-private-key-file={server.key}",
            f"--client-ca-file={self.pki.ca.certificate}",
            f"--kubelet-client-certificate={kubelets.certificate}",
            f"--kubelet-client-key={kubelets.key}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.pki.tokens.certificate}",
            f"--service-account-signing-key-file={self.pki.tokens.key}",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",
            "--profiling=false",
            *self._options.apiserver,
        ]

    def _controllers_command(self) -> list[str]:
        return [
            str(_beside("kube-controller-manager")),
            f"--kubeconfig={self.directory / 'controllers.kubeconfig'}",
            f"--service-account-private-key-file={self.pki.tokens.key}",
            f"--root-ca-file={self.pki.ca.certificate}",
            "--use-service-account-credentials",
            f"--cluster-signing-cert-file={self.pki.ca.certificate}",
            f"--cluster-signing-key-file={self.pki.ca.key}",
            *BACKGROUND,
            *self._options.controllers,
        ]

    def _scheduler_command(self) -> list[str]:
        kubeconfig = f"--kubeconfig={self.directory / 'scheduler.kubeconfig'}"
        return [str(_beside("kube-scheduler")), kubeconfig, *BACKGROUND, *self._options.scheduler]

    def _etcd(self, call: str, body: dict[str, object]) -> dict[str, dict[str, str]]:
        request = urllib.request.Request(f"{self.etcd_url}/v3/{call}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=120) as answer:
            result: dict[str, dict[str, str]] = json.load(answer)
        return result

    def _etcd_answers(self) -> bool:
        return _answers(f"{self.etcd_url}/health")

    def _apiserver_answers(self) -> bool:
        return _answers(f"{self.url}/readyz", self.pki.ca.certificate)


BACKGROUND = ("--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0")


def user_of(pair: Pair) -> dict[str, str]:
    """A kubeconfig's user by certificate."""
    return {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}


def free_ports(*names: str) -> dict[str, int]:
    """Ports of 127.0.0.1 that nobody listens on, one a name."""
    held: dict[str, socket.socket] = {}
    try:
        for name in names:
            held[name] = _hold()
        return {name: listener.getsockname()[1] for name, listener in held.items()}
    finally:
        for listener in held.values():
            listener.close()


def _hold() -> socket.socket:
    for port in random.sample(PORTS, 100):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that rests after its use is free
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        return listener
    raise process.LabError("no free port")


def _beside(name: str) -> Path:
    """A program by its absolute path; etcd may be a Debian package's."""
    found = programs.directory()
    if found and (found / name).exists():
        return found / name
    return Path(process.find(name))


def _answers(url: str, ca: Path | None = None) -> bool:
    context = ssl.create_default_context(cafile=str(ca)) if ca else None
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:  # an answer, and one to be closed
        error.close()
        return False
    except OSError:
        return False
