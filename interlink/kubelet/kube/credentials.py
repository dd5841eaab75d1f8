"""Who we are to the API server: kubeconfig with its plugins, or a pod's own service account."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import kube_config, load_incluster_config, load_kube_config

from interlink.errors import ConfigError
from interlink.kubelet.kube import faults

REFRESH_SECONDS = 60.0  # tokens in files are replaced long before they expire
SOONEST_SECONDS = 10.0  # between two renewals, however often the server says 401
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tls:
    """What a TLS context is made of, by content: files are replaced under the same name."""

    ca: bytes | None
    certificate: bytes | None
    key: bytes | None = field(repr=False)
    verify: bool


@dataclass(frozen=True)
class Access:
    """How to reach the API server and what to show it."""

    url: str
    context: ssl.SSLContext
    authorization: str = field(repr=False)
    server_name: str | None = None
    proxy: str | None = None
    certificate: bytes | None = field(default=None, repr=False)

    @property
    def remark(self) -> str:
        """Say why the server may not accept what we show, as far as that can be seen here."""
        return faults.expired(self.certificate, self.authorization.partition(" ")[2])


class Credentials:
    """Access that stays valid: what is in files, and what exec plugins give, is read again in time.

    `kubeconfig` is a path, or several joined by a colon as in $KUBECONFIG; None: the pod's own service account.
    """

    def __init__(self, kubeconfig: str | None) -> None:
        self._kubeconfig = kubeconfig
        self._lock = asyncio.Lock()
        self._access: Access | None = None
        self._tls: Tls | None = None
        self._read = self._due = 0.0

    async def access(self) -> Access:
        """Return what holds now; ConfigError if there is none yet and none can be read."""
        if self._access is None or time.monotonic() >= self._due:
            async with self._lock:
                if self._access is None or time.monotonic() >= self._due:
                    await self._renew()
        assert self._access is not None
        return self._access

    async def refused(self, shown: Access) -> bool:
        """Take note of a 401; returns whether other credentials have been found since `shown`."""
        async with self._lock:
            if self._access is shown and time.monotonic() >= self._read + SOONEST_SECONDS:
                await self._renew()
        now = self._access or shown
        return (now.authorization, now.context) != (shown.authorization, shown.context)

    async def _renew(self) -> None:
        """Read everything anew; what cannot be read leaves the old access in force for a while."""
        self._read, self._due = time.monotonic(), time.monotonic() + SOONEST_SECONDS
        try:
            configuration, lifetime = await self._load()
            self._use(configuration)
        except Exception as error:  # the library's plugins raise what they like
            if self._access is None:
                raise ConfigError(self._fault(error), file=self._kubeconfig) from error
            _log.warning("credentials for Kubernetes cannot be renewed, the old ones are kept: %s", error)
        else:
            self._due = self._read + lifetime
        finally:
            _drop_copies()

    def _fault(self, error: Exception) -> str:
        """Say in one line why there are no credentials, by what can be seen where the library only stumbles."""
        said = " ".join(str(error).split()) or type(error).__name__
        if self._kubeconfig is None:
            return f"no credentials for Kubernetes: this pod's service account cannot be used: {said}; {faults.HOW}"
        return f"no credentials for Kubernetes: {_fault_of(self._kubeconfig) or said}"

    def _use(self, configuration: Any) -> None:
        tls, authorization = _tls(configuration), _authorization(configuration.api_key)
        if self._access and self._access.authorization and not authorization and not tls.certificate:
            raise ConfigError("the plugin gave nothing")  # the library has logged why
        context = self._access.context if self._access and tls == self._tls else _context(tls, configuration)
        self._tls = tls
        self._access = Access(
            configuration.host.rstrip("/"),
            context,
            authorization,
            configuration.tls_server_name,
            configuration.proxy,
            tls.certificate,
        )

    async def _load(self) -> tuple[Any, float]:
        """Return the library's Configuration and for how many seconds it may be used."""
        configuration = Configuration()
        if self._kubeconfig is None:
            load_incluster_config(client_configuration=configuration)
            return configuration, REFRESH_SECONDS
        if fault := _fault_of(self._kubeconfig):  # some of them the library takes for granted
            raise ConfigError(fault)
        loader = await load_kube_config(
            config_file=self._kubeconfig, client_configuration=configuration, persist_config=False
        )
        expiry = getattr(loader, "exec_plugin_expiry", None)
        if expiry is None:
            return configuration, REFRESH_SECONDS
        return configuration, max(expiry.timestamp() - time.time() - REFRESH_SECONDS, SOONEST_SECONDS)


def find(kubeconfig: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The kubeconfig to use: the given one, $KUBECONFIG's, none in a pod, else the user's own."""
    if kubeconfig:
        return kubeconfig
    if environment.get("KUBECONFIG"):
        return environment["KUBECONFIG"]
    return None if environment.get("KUBERNETES_SERVICE_HOST") else str(Path.home() / ".kube/config")


def _fault_of(paths: str) -> str:
    return faults.of_files(paths) or faults.of_content(_merged(paths), _home(paths))


def _merged(paths: str) -> object:
    """Return what the kubeconfigs say together; None for what is no YAML, or no mapping."""
    merged: dict[str, Any] = {}
    try:
        contents = kube_config.KubeConfigMerger(paths).config_files.values()
        for content in contents:
            for key, value in content.items():
                merged[key] = [*(merged.get(key) or []), *value] if isinstance(value, list) else value
    except Exception:  # whatever it is, it is the file's; the message says what would be right
        return None
    return merged


def _home(paths: str) -> Path | None:
    """Return where relative paths begin; None if there are several files, each with its own."""
    return None if os.pathsep in paths else Path(paths).expanduser().parent


def _authorization(api_key: Mapping[str, str]) -> str:
    """The header's value; the library leaves a token file's line end in, and spells the scheme in two ways."""
    scheme, _, token = api_key.get("BearerToken", "").strip().partition(" ")
    return f"{scheme.capitalize()} {token.strip()}" if token.strip() else ""


def _tls(configuration: Any) -> Tls:
    def content(path: str | None) -> bytes | None:
        return Path(path).read_bytes() if path else None

    return Tls(
        content(configuration.ssl_ca_cert),
        content(configuration.cert_file),
        content(configuration.key_file),
        configuration.verify_ssl,
    )


def _context(tls: Tls, configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # many clusters' authorities lack what only Python 3.13 asks for
    if tls.certificate:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _drop_copies() -> None:
    """Remove the library's temporary files: keys that stand in a kubeconfig are not to lie elsewhere too."""
    remove = getattr(kube_config, "_cleanup_temp_files", None)
    if remove:
        remove()
