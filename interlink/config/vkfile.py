"""The two configuration files of virtual kubelets that came before: `knoc-cfg.json`, and the Go one's YAML."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlink.config import keys
from interlink.config.folded import Section
from interlink.kubelet import taints
from interlink.kubelet.settings import JobAccess
from interlink.model import kinds, quantity
from interlink.model.driver import NodeRecord, Taint

log = logging.getLogger(__name__)

KNOC = {"cpu": "20", "memory": "100Gi", "pods": "20"}
GO = {"cpu": "100", "memory": "3000G", "pods": "10000"}
SIGNER = "kubernetes.io/kubelet-serving"
_MODEL_LABELS = {
    "nvidia.com/gpu": "nvidia-gpu-type",
    "xilinx.com/fpga": "xilinx-fpga-type",
    "intel.com/fpga": "intel-fpga-type",
}
_IDLE = {  # keys that are known and do nothing here: who reads them, or why nobody does
    **dict.fromkeys(("serviceaccount", "namespace", "podip"), "no virtual kubelet has ever used it"),
    **dict.fromkeys(("interlinkaddress", "sidecarurl", "sidecarport", "sidecarservice"), "the server's"),
    **dict.fromkeys(("datarootfolder", "exportpoddata", "jobscripttemplate", "jobscriptbuildconfig"), "the server's"),
    **dict.fromkeys(("pprof", "kubelethttp", "skipdownwardapiresolution"), "there is nothing like it here"),
    **dict.fromkeys(("network", "podcidr", "jobscriptbuilderurl"), "not supported yet"),
    **dict.fromkeys(("commandprefix", "tsocks", "tsockspath", "tsocksloginnode"), "the plugin's"),
}


@dataclass(frozen=True)
class VkFile:
    """What such a file says; empty where it says nothing."""

    capacity: Mapping[str, str]
    fixed: bool = False  # KNoC's file is the only word on capacity; the Go one's may be changed by pings
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    url: str = ""
    port: int | None = None
    token_file: str = ""
    provider_config: str = ""
    tls: Mapping[str, str] = field(default_factory=dict)  # ca_file, cert_file, key_file
    ca_text: str = ""
    insecure: bool = False
    kubelet_cert: str = ""
    kubelet_key: str = ""
    signer: str = SIGNER
    verbose: bool = False
    errors_only: bool = False
    jobs: JobAccess = field(default_factory=JobAccess)

    def record(self, name: str) -> NodeRecord:
        """Return the node that the file describes."""
        return NodeRecord(name, self.capacity, self.capacity, self.labels, (taints.NO_SCHEDULE, *self.taints), ())


def knoc(path: Path, node: str) -> VkFile:
    """Read `knoc-cfg.json`: capacity by node name. Missing fields have defaults, a missing node is warned of."""
    file = Section.load(path)
    names = [name for name, _ in file.unread()]
    if node not in names:
        log.warning("%s: no entry for the node %s%s; the defaults hold", path, node, keys.nearest(node, names))
        return VkFile(KNOC)
    entry = file.section(node)
    found = {name: entry.get(name, _amount(name)) or default for name, default in KNOC.items()}
    _warn(entry)
    return VkFile(found, fixed=True)


def go(path: Path) -> VkFile:
    """Read the YAML of the Go virtual kubelet of any generation; unknown keys are warned of, as it ignored them."""
    file = Section.load(path)
    capacity, models = _resources(file)
    stated = tuple(_taint(item) for item in file.sections("NodeTaints"))
    tls, http = file.section("TLS"), file.section("HTTP")
    known = VkFile(
        capacity=capacity,
        labels={**models, **file.items("NodeLabels", kinds.labels)},
        taints=stated,
        url=file.get("InterlinkURL", kinds.text) or "",
        port=file.get("InterlinkPort", kinds.integer(1, 65535)),
        token_file=file.get("VKTokenFile", kinds.text) or "",
        provider_config=file.get("VKConfigPath", kinds.text) or "",
        tls=_tls(tls),
        ca_text=http.get("CaCert", _pem) or "",
        insecure=http.get("Insecure", kinds.boolean) or False,
        kubelet_cert=file.get("KubeletCertFile", kinds.text) or "",
        kubelet_key=file.get("KubeletKeyFile", kinds.text) or "",
        signer=_signer(file),
        verbose=file.get("VerboseLogging", kinds.boolean) or False,
        errors_only=file.get("ErrorsOnlyLogging", kinds.boolean) or False,
        jobs=_jobs(file),
    )
    for section in (file, tls, http):
        _warn(section)
    return known


def _resources(file: Section) -> tuple[dict[str, str], dict[str, str]]:
    """Return the capacity, and the labels that name the accelerators' models."""
    section = file.section("Resources")
    found = {name: section.get(name, _amount(name)) or default for name, default in GO.items()}
    if (older := section.get("nvidia.com/gpu", _amount("nvidia.com/gpu"))) is not None:
        found["nvidia.com/gpu"] = older
    labels = {}
    for item in section.sections("Accelerators"):
        kind = item.get("ResourceType", kinds.text)
        if kind is None:
            raise item.place("").error("Resources.Accelerators: ResourceType is missing")
        model = item.get("Model", kinds.label_value)
        found[kind] = item.get("Available", _amount(kind)) or "0"
        if model and kind in _MODEL_LABELS:
            labels[_MODEL_LABELS[kind]] = model
        _warn(item)
    _warn(section)
    return found, labels


def _taint(section: Section) -> Taint:
    key = section.get("Key", kinds.text)
    if key is None:
        raise section.place("").error("NodeTaints: Key is missing")
    effect = section.get("Effect", kinds.choice("NoSchedule", "PreferNoSchedule", "NoExecute")) or "NoSchedule"
    taint = Taint(key, section.get("Value", kinds.label_value) or "", effect)
    _warn(section)
    return taint


def _tls(section: Section) -> dict[str, str]:
    names = {"ca_file": "CACertFile", "cert_file": "CertFile", "key_file": "KeyFile"}
    found = {name: section.get(key, kinds.text) or "" for name, key in names.items()}
    return found if section.get("Enabled", kinds.boolean) else {}


def _signer(file: Section) -> str:
    signer = file.get("KubeletCSRSignerName", kinds.text) or SIGNER
    return "" if file.get("DisableCSR", kinds.boolean) else signer


def _jobs(file: Section) -> JobAccess:
    return JobAccess(
        host=file.get("KubernetesApiAddr", kinds.text) or "",
        port=str(file.get("KubernetesApiPort", kinds.integer(1, 65535)) or ""),
        ca=file.get("KubernetesApiCaCrt", _pem) or "",
        projected_volumes=not file.get("DisableProjectedVolumes", kinds.boolean),
    )


def _amount(name: str) -> kinds.Kind:
    """A quantity, as a text; in files it is written as a number too."""

    def check(value: Any) -> str:
        exact = quantity.parse(value)
        if exact < 0 or (name not in ("cpu", "memory") and exact.denominator != 1):
            raise ValueError("write an amount that is not negative")
        return str(value)

    return check


def _pem(value: Any) -> str:
    text = str(value).strip()
    if text and not text.startswith("-----BEGIN CERTIFICATE-----"):
        raise ValueError("write a certificate as PEM text, which begins with -----BEGIN CERTIFICATE-----")
    return f"{text}\n" if text else ""


def _warn(section: Section) -> None:
    """Tell of keys that do nothing; the Go virtual kubelet ignored them silently."""
    for name, place in section.unread():
        why = _IDLE.get(name.lower(), "there is no such key")
        log.warning("%s:%s: %s does nothing: %s", place.file, place.line, name, why)
