"""The settings of `interlink kubelet`: flags over environment over file over default (wire.md 5.3 and 5.4).

Without a configuration file the kubelet serves the nodes that our own server names. With one, `--provider-config`
(KNoC's JSON) or `--configpath` (the Go virtual kubelet's YAML), it serves the one node that this file describes,
against whatever interLink server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from interlink.config import settings as common
from interlink.config import vkfile
from interlink.config.vkfile import VkFile
from interlink.errors import ConfigError
from interlink.kubelet import taints
from interlink.kubelet.settings import JobAccess, Peer, Protocol, Serving, Settings
from interlink.model import kinds
from interlink.model.driver import NodeRecord, Taint

T = TypeVar("T")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_SPELLINGS = {"trace": "DEBUG", "warn": "WARNING", "fatal": "ERROR", "panic": "ERROR"}  # the older flag's words


@dataclass(frozen=True)
class Flags:
    """What the command line says; "" and None are not given."""

    nodename: tuple[str, ...] = ()
    server: str = ""
    protocol: str = ""
    token_file: str = ""
    ca_file: str = ""
    kubeconfig: str = ""
    configpath: str = ""
    provider: str = ""
    provider_config: str = ""
    namespace: str = ""
    taint: str = ""
    disable_taint: bool = False
    address: str = ""
    listen: str = ""
    cert_file: str = ""
    key_file: str = ""
    self_signed: bool = False
    not_ready_after: str = ""
    startup_timeout: str = ""
    state_dir: str = ""
    config_file: str = ""
    log_level: str = ""


class _Source:
    """Flags and environment, each value checked where it was said."""

    def __init__(self, flags: Flags, environ: Mapping[str, str]) -> None:
        self._flags = {item.name: getattr(flags, item.name) for item in fields(flags)}
        self._environ = environ

    def get(self, flag: str, variables: tuple[str, ...], kind: Callable[[Any], T]) -> T | None:
        """Return a value by a flag ("" for none), else by the first variable that is set."""
        if value := self._flags.get(flag):
            return _checked(f"--{flag.replace('_', '-')}", value, kind)
        for name in variables:
            if value := self._environ.get(name):
                return _checked(f"${name}", value, kind)
        return None


def load(flags: Flags, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; ConfigError says what is wrong and where it stands."""
    source = _Source(flags, environ)
    base = common.load({name: getattr(flags, name) for name in ("state_dir", "config_file", "token_file")}, environ)
    names = _names(flags, source)
    file = _file(source, environ, names)
    return Settings(
        peer=_peer(source, base, file),
        serving=_serving(source, file),
        jobs=file.jobs if file else JobAccess(),
        state_dir=base.state_dir,
        kubeconfig=source.get("kubeconfig", ("KUBECONFIG", "CUSTOMKUBECONF"), str),
        node=_node(file, names),
        fixed=file.fixed if file else False,
        only=names,
        taint=_own_taint(flags, environ),
        namespace=flags.namespace,
        not_ready_after=source.get("not_ready_after", ("INTERLINK_NOT_READY_AFTER",), duration),
        wait=source.get("startup_timeout", (), duration),
        log_level=_level(flags, file),
    )


def duration(value: Any) -> float | None:
    """A duration as Go writes it ("10s", "1m30s"), or a number of seconds; 0 for none."""
    text, total = str(value).strip(), 0.0
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    try:
        return float(text) or None
    except ValueError:
        pass
    while text:
        number = text[: len(text) - len(text.lstrip("0123456789."))]
        unit = next((unit for unit in units if text[len(number) :].startswith(unit)), None)
        if unit is None or number.strip(".") == "":
            raise ValueError("write a duration such as 10s or 1m30s")
        total += float(number) * units[unit]
        text = text[len(number) + len(unit) :]
    return total or None


def _names(flags: Flags, source: _Source) -> tuple[str, ...]:
    if flags.nodename:
        return tuple(_checked("--nodename", name, kinds.node_name) for name in flags.nodename)
    name = source.get("", ("NODENAME",), kinds.node_name)
    return (name,) if name else ()


def _file(source: _Source, environ: Mapping[str, str], names: tuple[str, ...]) -> VkFile | None:
    """Read the files that are named; KNoC's JSON has the say on capacity, the YAML on all else."""
    path = source.get("configpath", ("CONFIGPATH", "INTERLINKCONFIGPATH"), Path)
    yaml = vkfile.go(path.expanduser()) if path else None
    named = source.get("provider_config", ("VK_CONFIG_PATH",), Path)
    json = named or (Path(yaml.provider_config) if yaml and yaml.provider_config else None)
    if json is None:
        return yaml
    knoc = vkfile.knoc(json.expanduser(), names[0] if names else "virtual-kubelet")
    if yaml is None:
        return knoc
    values = {item.name: getattr(yaml, item.name) for item in fields(yaml)}
    return VkFile(**{**values, "capacity": knoc.capacity, "fixed": knoc.fixed})


def _node(file: VkFile | None, names: tuple[str, ...]) -> NodeRecord | None:
    if file is None:
        return None
    if len(names) > 1:
        raise ConfigError("a configuration file describes one node; give --nodename once")
    return file.record(names[0] if names else "virtual-kubelet")


def _peer(source: _Source, base: common.Settings, file: VkFile | None) -> Peer:
    url = source.get("server", (), kinds.text)
    if url is None:
        stated = source.get("", ("INTERLINKURL",), kinds.text) or (file.url if file else "")
        port = source.get("", ("INTERLINKPORT",), kinds.integer(1, 65535)) or (file.port if file else None)
        url = joined(stated, port) if stated or port else _listening(base.listen)
    protocol = source.get("protocol", (), kinds.choice("v1", "contract")) or ("contract" if file else "v1")
    tls = file.tls if file else {}
    token = source.get("token_file", ("VKTOKENFILE",), str) or (file.token_file if file else "") or base.token_file
    return Peer(
        url=url,
        protocol=_protocol(protocol),
        token_file=_path(token),
        ca_file=_path(source.get("ca_file", (), str) or tls.get("ca_file")),
        ca_text=file.ca_text if file else "",
        cert_file=_path(tls.get("cert_file")),
        key_file=_path(tls.get("key_file")),
        insecure=file.insecure if file else False,
    )


def joined(url: str, port: int | None) -> str:
    """Join an address without port, as the older settings have it, and a port.

    >>> joined("http://192.0.2.1", 3000), joined("http://192.0.2.1:8080", 3000), joined("", 3000)
    ('http://192.0.2.1:3000', 'http://192.0.2.1:8080', 'http://127.0.0.1:3000')
    """
    url = (url or "http://127.0.0.1").rstrip("/")
    scheme, mark, rest = url.rpartition("://")
    if scheme == "unix":
        return url
    base = url if mark else f"http://{rest}"
    host = rest.partition("/")[0].rpartition("]")[2]  # behind an IPv6 address
    return base if port is None or ":" in host else f"{base}:{port}"


def _listening(listen: str) -> str:
    return listen if listen.startswith("unix:") else f"http://{listen}"


def _serving(source: _Source, file: VkFile | None) -> Serving:
    cert = source.get("cert_file", ("APISERVER_CERT_LOCATION",), str) or (file.kubelet_cert if file else "")
    key = source.get("key_file", ("APISERVER_KEY_LOCATION",), str) or (file.kubelet_key if file else "")
    if bool(cert) != bool(key):
        raise ConfigError("a certificate needs its key, and the other way round: give both files or none")
    default = Serving()
    host, port = source.get("listen", (), _listen) or (None, None)
    return Serving(
        listen=host or source.get("", ("KUBELET_URL",), _host) or default.listen,
        port=port or source.get("", ("KUBELET_PORT",), kinds.integer(1, 65535)) or default.port,
        address=source.get("address", ("POD_IP", "VKUBELET_POD_IP"), kinds.address) or "",
        cert_file=_path(cert),
        key_file=_path(key),
        signer="" if source.get("self_signed", (), bool) else (file.signer if file else default.signer),
    )


def _own_taint(flags: Flags, environ: Mapping[str, str]) -> Taint | None:
    """Return the taint that keeps pods away which do not tolerate it; `--taint` gives its key."""
    if flags.disable_taint:
        return None
    key = flags.taint or environ.get("VKUBELET_TAINT_KEY", "")
    if not key:
        return taints.NO_SCHEDULE
    key, _, effect = key.partition(":")
    key, _, value = key.partition("=")
    value = value or environ.get("VKUBELET_TAINT_VALUE") or flags.provider
    effect = effect or environ.get("VKUBELET_TAINT_EFFECT") or "NoSchedule"
    [found] = _checked("--taint", [{"key": key, "value": value, "effect": effect}], kinds.taints)
    return Taint(**found)


def _level(flags: Flags, file: VkFile | None) -> str:
    if flags.log_level:
        word = flags.log_level.lower()
        level = _SPELLINGS.get(word, word.upper())
        if level not in LEVELS:
            raise ConfigError(f"--log-level: {flags.log_level!r} is wrong: write debug, info, warning or error")
        return level
    if file and file.errors_only:
        return "ERROR"
    return "DEBUG" if file and file.verbose else "INFO"


def _listen(value: Any) -> tuple[str, int]:
    host, mark, port = kinds.text(value).rpartition(":")
    if not mark:
        raise ValueError("write HOST:PORT")
    return host.strip("[]") or Serving().listen, kinds.integer(1, 65535)(port)


def _host(value: Any) -> str:
    """An address to listen on; older settings write it as a URL."""
    return kinds.text(value).rpartition("://")[2].rstrip("/")


def _protocol(word: str) -> Protocol:
    return "contract" if word == "contract" else "v1"


def _path(value: str | Path | None) -> Path | None:
    return Path(value).expanduser() if value else None


def _checked(where: str, value: Any, kind: Callable[[Any], T]) -> T:
    try:
        return kind(value)
    except ValueError as error:
        raise ConfigError(f"{where}: {value!r} is wrong: {error}") from error
