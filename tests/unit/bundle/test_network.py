"""Hostnames, hosts files and resolvers as the kubelet writes them."""

from __future__ import annotations

from typing import Any

import pytest

from interlink.bundle import network, text
from interlink.errors import InvalidPod
from interlink.model.pod import Pod

LONG = "n23456789-" * 6 + "12.123456789." + "x" * 20
DNS = network.ClusterDns(("10.96.0.10",))


def pod(name: str = "p", **spec: Any) -> Pod:
    return Pod({"metadata": {"name": name, "namespace": "ns"}, "spec": spec})


@pytest.mark.parametrize(
    ("made", "short", "full"),
    [
        (pod("plain-name"), "plain-name", "plain-name"),
        (pod(hostname="my-host"), "my-host", "my-host"),
        (pod(hostname="h", subdomain="sub"), "h", "h"),
        (pod(hostname="h", subdomain="sub", setHostnameAsFQDN=True), "h", "h.sub.ns.svc.cluster.local"),
        (pod(subdomain="sub", hostnameOverride="over.ride", setHostnameAsFQDN=True), "over.ride", "over.ride"),
        (pod(LONG), "n23456789-" * 6 + "12", "n23456789-" * 6 + "12"),
        (pod("a" * 253), "a" * 63, "a" * 63),
        (pod("a" * 62 + ".b"), "a" * 62, "a" * 62),
    ],
)
def test_hostnames(made: Pod, short: str, full: str) -> None:
    assert network.hostname(made) == short
    assert network.full_hostname(made) == full


def test_a_full_hostname_can_be_too_long() -> None:
    with pytest.raises(InvalidPod, match="longer than 64"):
        network.full_hostname(pod("a" * 50, subdomain="b", setHostnameAsFQDN=True))


def written(made: Pod) -> list[str]:
    return [text.literal(line, {text.HostValue.POD_IP: "10.0.0.7"}) for line in network.hosts_lines(made)]


def test_a_hosts_file_names_the_pod_and_its_aliases() -> None:
    aliases = [{"ip": "10.1.2.3", "hostnames": ["foo.local", "bar.local"]}, {"ip": "127.0.0.1", "hostnames": ["baz"]}]
    assert written(pod(hostAliases=aliases)) == [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
        "10.0.0.7\tp",
        "",
        "# Entries added by HostAliases.",
        "10.1.2.3\tfoo.local\tbar.local",
        "127.0.0.1\tbaz",
    ]
    assert written(pod(hostname="h", subdomain="s"))[-1] == "10.0.0.7\th.s.ns.svc.cluster.local\th"


@pytest.mark.parametrize(
    ("spec", "needs"),
    [
        ({}, False),
        ({"subdomain": "s"}, True),
        ({"hostAliases": [{}]}, True),
        ({"hostAliases": [{}], "hostNetwork": True}, False),
    ],
)
def test_when_a_hosts_file_is_needed(spec: dict[str, Any], needs: bool) -> None:
    assert network.needs_hosts(pod(**spec)) is needs


CONFIG = {
    "nameservers": ["192.0.2.9"],
    "searches": ["extra.example"],
    "options": [{"name": "ndots", "value": "1"}, {"name": "edns0"}],
}


MERGED = (
    "search ns.svc.cluster.local svc.cluster.local cluster.local extra.example\n"
    "nameserver 10.96.0.10\nnameserver 192.0.2.9\noptions ndots:1 edns0\n"
)


@pytest.mark.parametrize(
    ("spec", "dns", "content"),
    [
        (
            {},
            DNS,
            "search ns.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
        ),
        (
            {"dnsConfig": CONFIG},
            DNS,
            MERGED,
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": CONFIG},
            DNS,
            "search extra.example\nnameserver 192.0.2.9\noptions ndots:1 edns0\n",
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": list("abcde")}},
            DNS,
            "nameserver a\nnameserver b\nnameserver c\n",
        ),
        ({"dnsPolicy": "Default", "dnsConfig": {}}, DNS, None),
        ({}, network.ClusterDns(), None),
        ({"hostNetwork": True}, DNS, None),
        (
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            network.ClusterDns(("::1",), "c"),
            "search ns.svc.c svc.c c\nnameserver ::1\noptions ndots:5\n",
        ),
    ],
)
def test_resolvers(spec: dict[str, Any], dns: network.ClusterDns, content: str | None) -> None:
    made = network.resolv_conf(pod(**spec), dns)
    assert (None if made is None else made.decode()) == content
