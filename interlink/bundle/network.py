"""Names and addresses of a pod: hostname, hosts file, resolver, published ports; pure.

Sources: `GeneratePodHostNameAndDomain`, `managedHostsFileContent` and the DNS configurer of the kubelet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from interlink.bundle.text import HostValue, Text, text, texts
from interlink.errors import InvalidPod, Unsupported
from interlink.model.pod import Json, Pod

HOSTNAME_MAX = 63
FQDN_MAX = 64  # what Linux' sethostname takes

_NAMESERVERS_MAX, _SEARCHES_MAX = 3, 32
_HOSTS_HEAD = (
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
)


@dataclass(frozen=True)
class ClusterDns:
    """The cluster's DNS as pods of a node see it; without servers there is none."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


def hostname(pod: Pod) -> str:
    """Return the pod's short hostname: cut to 63 characters, without a dash or dot at its end."""
    override = pod.spec.get("hostnameOverride")
    if override:
        return str(override)
    name = str(pod.spec.get("hostname") or pod.name)
    return name if len(name) <= HOSTNAME_MAX else name[:HOSTNAME_MAX].rstrip("-.")


def domain(pod: Pod, cluster: str = "cluster.local") -> str:
    """Return the domain that the pod's subdomain stands for, or ""."""
    subdomain = pod.spec.get("subdomain")
    if not subdomain or pod.spec.get("hostnameOverride"):
        return ""
    return f"{subdomain}.{pod.namespace}.svc.{cluster}"


def full_hostname(pod: Pod, cluster: str = "cluster.local") -> str:
    """Return what `hostname` prints in the pod: with the domain if setHostnameAsFQDN asks for that."""
    below = domain(pod, cluster)
    if not (pod.spec.get("setHostnameAsFQDN") and below):
        return hostname(pod)
    full = f"{hostname(pod)}.{below}"
    if len(full) > FQDN_MAX:
        raise InvalidPod(f"{full} is longer than {FQDN_MAX} characters", field="spec.setHostnameAsFQDN")
    return full


def hosts_lines(pod: Pod, cluster: str = "cluster.local") -> tuple[Text, ...]:
    """Return the lines of the pod's own /etc/hosts, to be written once its address is known."""
    below, name = domain(pod, cluster), hostname(pod)
    own = f"\t{name}.{below}\t{name}" if below else f"\t{name}"
    lines = [*texts(*_HOSTS_HEAD), text(HostValue.POD_IP, own)]
    aliases = pod.spec.get("hostAliases") or []
    if aliases:
        lines += texts("", "# Entries added by HostAliases.")
    lines += [text("\t".join((str(a.get("ip")), *map(str, a.get("hostnames") or [])))) for a in aliases]
    return tuple(lines)


def needs_hosts(pod: Pod) -> bool:
    """Say whether the engine's own hosts file would lack something."""
    return bool(pod.spec.get("hostAliases") or domain(pod)) and not pod.spec.get("hostNetwork")


def resolv_conf(pod: Pod, dns: ClusterDns) -> bytes | None:
    """Return the pod's resolv.conf, or None where the host's is to be used (with `dns_flags`)."""
    config: Json = pod.spec.get("dnsConfig") or {}
    policy = pod.spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "None":
        servers, searches, options = [], [], {}
    elif dns.servers and _uses_cluster(pod, policy):
        below = f"svc.{dns.domain}"
        servers, searches = [*dns.servers], [f"{pod.namespace}.{below}", below, dns.domain]
        options = {"ndots": "5"}
    else:
        return None
    servers = _merged(servers, config.get("nameservers"))[:_NAMESERVERS_MAX]
    searches = _merged(searches, config.get("searches"))[:_SEARCHES_MAX]
    options.update(_options(config))
    if not servers:
        raise InvalidPod("dnsPolicy None needs a nameserver", field="spec.dnsConfig.nameservers")
    return _written(servers, searches, options).encode()


def dns_flags(pod: Pod, dns: ClusterDns) -> tuple[Text, ...]:
    """Return the pause container's flags where the host's resolver is used: dnsConfig's additions to it.

    The engine replaces the host's servers, so that further ones cannot be added: they are refused.
    """
    config: Json = pod.spec.get("dnsConfig") or {}
    if resolv_conf(pod, dns) is not None or not config:
        return ()
    if config.get("nameservers"):
        raise Unsupported(
            "nameservers can be added only with dnsPolicy None, or where the inventory sets interlink_dns",
            field="spec.dnsConfig.nameservers",
        )
    words = [word for search in config.get("searches") or [] for word in ("--dns-search", str(search))]
    words += [word for option in _options(config).items() for word in ("--dns-opt", _option(*option))]
    return texts(*words)


def publish_flags(pod: Pod) -> tuple[Text, ...]:
    """Return the pause container's flags for the host ports that the pod's containers ask for."""
    if pod.spec.get("hostNetwork"):
        return ()
    words: list[str] = []
    for container in pod.containers:
        for port in container.ports:
            if port.get("hostPort"):
                words += ["--publish", _published(port)]
    return texts(*words)


def _published(port: Json) -> str:
    address = str(port.get("hostIP") or "")
    where = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
    return f"{where}{port['hostPort']}:{port['containerPort']}/{str(port.get('protocol') or 'TCP').lower()}"


def _uses_cluster(pod: Pod, policy: str) -> bool:
    if policy == "Default":
        return False
    return policy == "ClusterFirstWithHostNet" or not pod.spec.get("hostNetwork")


def _merged(first: list[str], more: object) -> list[str]:
    added = [str(item) for item in more] if isinstance(more, list) else []
    return list(dict.fromkeys([*first, *added]))


def _options(config: Json) -> dict[str, str]:
    return {str(option.get("name")): str(option.get("value") or "") for option in config.get("options") or []}


def _option(name: str, value: str) -> str:
    return f"{name}:{value}" if value else name


def _written(servers: list[str], searches: list[str], options: Mapping[str, str]) -> str:
    lines = ["search " + " ".join(searches)] if searches else []
    lines += [f"nameserver {server}" for server in servers]
    if options:
        lines.append("options " + " ".join(_option(*option) for option in options.items()))
    return "\n".join(lines) + "\n"
