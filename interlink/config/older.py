"""The settings of interLink servers that came before (wire.md 5.1): InterLinkConfig.yaml and its variables.

Environment over file, as there. A key that does nothing here is warned of, a wrong one is an error with its line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from interlink.config import keys
from interlink.config.folded import Section
from interlink.errors import ConfigError
from interlink.model import kinds

T = TypeVar("T")

log = logging.getLogger(__name__)

DEFAULT = Path("/etc/interlink/InterLinkConfig.yaml")
PORTS = {"docker": 4000, "slurm": 4001}
_PORT = kinds.integer(1, 65535)
_SERVICE = kinds.choice(*PORTS)
_KNOWN = ("InterlinkAddress", "InterlinkPort", "SidecarURL", "SidecarPort", "SidecarService", "VKTokenFile")
_KUBELETS = (
    *("interlinkurl", "vkconfigpath", "serviceaccount", "namespace", "podip", "resources", "nodelabels", "nodetaints"),
    *("kubernetesapiaddr", "kubernetesapiport", "kubernetesapicacrt", "disableprojectedvolumes", "http", "kubelethttp"),
    *("kubeletcertfile", "kubeletkeyfile", "kubeletcsrsignername", "disablecsr", "podcidr", "network"),
    *("skipdownwardapiresolution", "jobscriptbuilderurl"),
)
_IDLE = {
    **dict.fromkeys(_KUBELETS, "the virtual kubelet's"),
    **dict.fromkeys(("sbatchpath", "scancelpath", "squeuepath", "sinfopath", "bashpath"), "the inventory's affair"),
    **dict.fromkeys(
        ("commandprefix", "tsocks", "tsockspath", "tsocksloginnode", "tsocksconfig"), "the inventory's affair"
    ),
    **dict.fromkeys(("exportpoddata", "datarootfolder"), "volumes are always there, below interlink_root on the host"),
    **dict.fromkeys(("jobscripttemplate", "jobscriptbuildconfig"), "job scripts are made by the driver"),
    **dict.fromkeys(("pprof",), "there is nothing like it here"),
}


@dataclass(frozen=True)
class Older:
    """What such a file and such variables say; "" and None where they say nothing."""

    address: str = ""
    port: int | None = None
    sidecar_url: str = ""
    sidecar_port: int | None = None
    sidecar_service: str = ""
    token_file: str = ""

    def settings(self) -> dict[str, str]:
        """Return them as settings of ours."""
        found: dict[str, str] = {}
        if self.address or self.port:
            found["listen"] = _listen(self.address, self.port)
        if self.sidecar_url:
            found["sidecar"] = _joined(self.sidecar_url, self._port_of_sidecar)
        if self.token_file:
            found["token_file"] = self.token_file
        return found

    @property
    def _port_of_sidecar(self) -> int | None:
        """An explicit port wins over the service's usual one."""
        return self.sidecar_port or PORTS.get(self.sidecar_service)

    def sidecar_listen(self, driver: str) -> str:
        """Return where a sidecar of this driver listens."""
        return f"127.0.0.1:{self.sidecar_port or PORTS.get(driver, PORTS['docker'])}"


def looks_like_it(path: Path) -> bool:
    """Tell such a file from ours: by its first known key, in whatever case."""
    names = {name.lower() for name, _ in Section.load(path).unread()} if path.is_file() else set()
    return bool(names & {name.lower() for name in (*_KNOWN, *_IDLE, "VerboseLogging", "ErrorsOnlyLogging")})


def load(path: Path | None, environ: Mapping[str, str]) -> Older:
    """Read the file, if there is one, and the variables over it."""
    file = Section.load(path) if path else None
    found = Older(
        address=_value(file, environ, "InterlinkAddress", "INTERLINKURL", _url) or "",
        port=_value(file, environ, "InterlinkPort", "INTERLINKPORT", _PORT),
        sidecar_url=_value(file, environ, "SidecarURL", "SIDECARURL", _url) or "",
        sidecar_port=_value(file, environ, "SidecarPort", "SIDECARPORT", _PORT),
        sidecar_service=_value(file, environ, "SidecarService", "SIDECARSERVICE", _SERVICE) or "",
        token_file=_value(file, environ, "VKTokenFile", "VKTOKENFILE", kinds.text) or "",
    )
    if file is not None:
        _level(file)
        _refuse_tls(file)
        for name, place in file.unread():
            why = _IDLE.get(name.lower()) or f"there is no such key{keys.nearest(name, _KNOWN)}"
            log.warning("%s:%s: %s does nothing here: %s", place.file, place.line, name, why)
    return found


def _value(
    file: Section | None, environ: Mapping[str, str], key: str, variable: str, kind: Callable[[Any], T]
) -> T | None:
    """Return a value by the variable, else by the file's key; both are checked where they stand."""
    stated = file.get(key, kind) if file is not None else None
    text = environ.get(variable)
    if not text:
        return stated
    try:
        return kind(text)
    except ValueError as error:
        raise ConfigError(f"${variable}: {text!r} is wrong: {error}") from error


def _level(file: Section) -> None:
    """The two keys of the log's level."""
    verbose = file.get("VerboseLogging", kinds.boolean)
    quiet = file.get("ErrorsOnlyLogging", kinds.boolean)
    if verbose or quiet:
        logging.getLogger("interlink").setLevel(logging.ERROR if quiet else logging.DEBUG)


def _refuse_tls(file: Section) -> None:
    tls = file.section("TLS")
    enabled = tls.get("Enabled", kinds.boolean)
    for key in ("CertFile", "KeyFile", "CACertFile"):
        tls.get(key, kinds.text)
    if enabled:
        raise tls.place("Enabled").error(
            "TLS.Enabled: this server speaks no TLS itself; set it to false, and put a proxy with TLS in front of it"
        )


def _url(value: Any) -> str:
    """An address without a port, as the older settings have it: a URL, or a bare host."""
    text = kinds.text(value).rstrip("/")
    scheme, mark, _ = text.partition("://")
    if mark and scheme not in ("http", "https", "unix"):
        raise ValueError("write http://HOST, https://HOST or unix:///PATH")
    return text


def _listen(address: str, port: int | None) -> str:
    """Return address and port as our own setting `listen`.

    >>> _listen("http://0.0.0.0", 3000), _listen("", 30002), _listen("unix:///run/il.sock", 3000), _listen("::1", None)
    ('0.0.0.0:3000', '127.0.0.1:30002', 'unix:///run/il.sock', '[::1]:3000')
    """
    scheme, mark, rest = address.partition("://")
    if scheme == "unix":
        return address
    host = (rest if mark else address) or "127.0.0.1"
    bare = host.rpartition("]")[2] if host.startswith("[") else host
    if ":" in bare and bare.count(":") == 1:
        return host if port is None else f"{host.rpartition(':')[0]}:{port}"
    host = f"[{host}]" if bare.count(":") > 1 else host
    return f"{host}:{port or 3000}"


def _joined(url: str, port: int | None) -> str:
    """Return a URL with a port, which one in the URL does not need.

    >>> _joined("http://plugin", 4001), _joined("plugin", None), _joined("http://plugin:9", 4001)
    ('http://plugin:4001', 'http://plugin', 'http://plugin:9')
    """
    scheme, mark, rest = url.partition("://")
    if scheme == "unix":
        return url
    base = url if mark else f"http://{url}"
    host = (rest if mark else url).partition("/")[0].rpartition("]")[2]
    return base if port is None or ":" in host else f"{base}:{port}"
