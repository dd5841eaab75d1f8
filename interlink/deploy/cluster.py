"""The cluster as a deployment sees it: does it answer, may we, are the nodes there; and kubectl for whole manifests."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from interlink.deploy.steps import Difference, Finding
from interlink.errors import (
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    HostUnreachable,
    InputError,
    InterlinkError,
    Unavailable,
)

if TYPE_CHECKING:
    from interlink.kubelet.kube import Kube

T = TypeVar("T")

NODES_SECONDS = 120.0
_KUBECTL_SECONDS = 120.0


@dataclass(frozen=True)
class Cluster:
    """One cluster by its kubeconfig; "" for kubectl's own choice."""

    kubeconfig: str

    def look(self, *, may: bool) -> Finding:
        """See whether the cluster answers and, if we `may` have to, allows what a kubelet does."""
        from interlink.kubelet import rights  # most commands do without the cluster's libraries, which load slowly

        version = self._ask(rights.version)
        if may and (missing := self._ask(rights.missing)):
            raise InputError(
                f"the kubeconfig {self.kubeconfig or 'in use'} may not {', '.join(map(str, missing))}: use one of the"
                " service account that deploy/kustomizations/rbac.yaml makes (docs/operations.md), or an admin's"
            )
        return Finding(f"Kubernetes {version}")

    def nodes(self, names: Sequence[str], patience: float = NODES_SECONDS) -> Finding:
        """See whether all nodes are registered and Ready, with some patience."""
        until = time.monotonic() + patience
        while True:
            away = {name: why for name in names if (why := self._ask(_of(name)))}
            if not away:
                return Finding(f"Ready: {', '.join(names)}" if names else "the inventory names no node")
            if time.monotonic() > until:
                said = "; ".join(f"node {name}: {why}" for name, why in away.items())
                raise Unavailable(f"{said}; look at: interlink kubelet.logs, interlink doctor")
            time.sleep(1)

    def _ask(self, question: Callable[[Kube], Awaitable[T]]) -> T:
        from interlink.kubelet.kube import ApiError, Kube

        async def ask() -> T:
            async with await Kube.connect(self.kubeconfig or None) as kube:
                return await question(kube)

        try:
            return asyncio.run(ask())
        except ApiError as error:
            if error.status in (401, 403):
                raise InputError(
                    f"the cluster refuses {self.kubeconfig or 'our kubeconfig'}: {error.message}; get a valid one"
                ) from error
            raise
        except (HostUnreachable, ConnectionLost, DeadlineExceeded) as error:  # as such they would be a host's over SSH
            raise Unavailable(
                f"the cluster of {self.kubeconfig or 'our kubeconfig'}: {error}; see that its API server runs, and that"
                " `server` in the kubeconfig is its address as seen from here"
            ) from error
        except InterlinkError as error:
            raise type(error)(f"the cluster of {self.kubeconfig or 'our kubeconfig'}: {error}") from error

    # --- kubectl

    def diff(self, directory: Path) -> Finding:
        """See what applying a kustomization would change."""
        done = self._kubectl("diff", "--server-side", "--force-conflicts", "-k", str(directory))
        if done.returncode == 0:
            return Finding(str(directory))
        if done.returncode != 1 or not done.stdout:
            said = done.stderr.strip()
            if 'namespaces "' in said and "not found" in said:  # nothing of ours is there yet
                return Finding(differences=(Difference(f"kustomization {directory}: all of it"),))
            raise _failed("diff", done)
        return Finding(differences=(Difference(f"kustomization {directory}", "", done.stdout),))

    def apply(self, directory: Path) -> None:
        """Apply a kustomization; the API server merges, so that repeating it changes nothing."""
        done = self._kubectl("apply", "--server-side", "--force-conflicts", "-k", str(directory))
        if done.returncode:
            raise _failed("apply", done)

    def secret(self, namespace: str, name: str, key: str) -> bytes | None:
        """Return one value of a Secret; None if it is not there."""
        path = f"jsonpath={{.data.{key}}}"
        done = self._kubectl("get", "secret", name, "-n", namespace, "--ignore-not-found", "-o", path)
        if done.returncode:
            raise _failed("get secret", done)
        return base64.b64decode(done.stdout) if done.stdout else None

    def apply_object(self, manifest: Mapping[str, Any]) -> None:
        """Apply one object, which travels on stdin."""
        done = self._kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(manifest))
        if done.returncode:
            raise _failed("apply", done)

    def _kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        program = shutil.which("kubectl")
        if program is None:
            raise InputError("there is no kubectl here: install it (https://kubernetes.io/docs/tasks/tools)")
        access = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        try:
            return subprocess.run(
                [program, *access, *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=_KUBECTL_SECONDS,
                input=stdin,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"kubectl {arguments[0]} gave no answer in {_KUBECTL_SECONDS:g} s") from None


def _failed(verb: str, done: subprocess.CompletedProcess[str]) -> CommandFailed:
    """Return kubectl's complaint, with what mends it where that is known."""
    said = done.stderr.strip()
    cure = "; use an admin's kubeconfig: a kubelet's own account may not set itself up" * ("forbidden" in said.lower())
    return CommandFailed(f"kubectl {verb}: {said}{cure}", code=done.returncode, stderr=said)


def _of(name: str) -> Callable[[Kube], Awaitable[str]]:
    from interlink.kubelet import rights

    return lambda kube: rights.ready(kube, name)
