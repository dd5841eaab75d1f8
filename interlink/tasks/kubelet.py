"""`interlink kubelet`, and the tasks that take one of its nodes out of service.

The command's flags are those of the virtual kubelets that came before. invoke refuses some of them
(`--klog.v`) and drops what follows a bare `--`, so they are taken apart here, before invoke sees them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import fields
from typing import Any, NoReturn

from invoke.context import Context

from interlink.config import kubelet as config
from interlink.config.kubelet import Flags
from interlink.errors import InputError, InterlinkError
from interlink.tasks.command import command, exit_code

_IDLE = (  # flags of older virtual kubelets that change nothing here; with a value
    "os",
    "cluster-domain",
    "metrics-addr",
    "pod-sync-workers",
    "full-resync-period",
    "trace-exporter",
    "trace-tag",
    "trace-sample-rate",
    "trace-service-name",
)
_OURS: dict[str, str] = {
    "server": "URL of the interLink server (default: the one of interlink.yaml, http://127.0.0.1:3000)",
    "protocol": "v1 for our server, contract for any other (default: contract with a configuration file)",
    "token-file": "file with the server's bearer token",
    "ca-file": "PEM file of the authorities that the server's certificate is checked by",
    "kubeconfig": "kubeconfig (default: $KUBECONFIG, $CUSTOMKUBECONF, in a pod its service account)",
    "configpath": "YAML of the Go virtual kubelet, describing one node ($CONFIGPATH)",
    "provider-config": "JSON of KNoC, describing one node ($VK_CONFIG_PATH)",
    "provider": "name of the provider, which becomes the value of the taint of --taint",
    "namespace": "only the pods of this namespace (default: all)",
    "taint": "key of the taint that keeps away pods which do not tolerate it",
    "address": "address at which the API server finds this kubelet ($POD_IP)",
    "listen": "HOST:PORT of the kubelet API; further nodes take the next ports (default: 0.0.0.0:10250)",
    "cert-file": "certificate of the kubelet API (default: signed by the cluster)",
    "key-file": "its key",
    "not-ready-after": "make the nodes NotReady after so long an outage of the server (default: never)",
    "startup-timeout": "give up if the API server does not answer for so long (default: 0, never)",
    "state-dir": "directory of everything that is kept",
    "config-file": "settings file, instead of interlink.yaml in the usual places",
    "log-level": "debug, info, warning or error",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see `interlink kubelet --help`)")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; `-name` is taken like `--name`, as Go does."""
    made = _Parser(
        prog="interlink kubelet",
        description="Make the machines of the inventory nodes of a Kubernetes cluster: the virtual kubelet.",
        allow_abbrev=False,
    )
    _add(made, "nodename", "name of a node to serve, may be repeated ($NODENAME; default: all)", action="append")
    for name, text in _OURS.items():
        _add(made, name, text, metavar="VALUE")
    _add(made, "disable-taint", "leave the taint out: every pod may be scheduled here", action="store_true")
    _add(made, "self-signed", "do not ask the cluster for a serving certificate", action="store_true")
    _add(made, "enable-node-lease", argparse.SUPPRESS, nargs="?", action="append")
    for name in _IDLE:
        _add(made, name, argparse.SUPPRESS, action="append")
    return made


def parse(argv: Sequence[str]) -> Flags:
    """Return the flags; InputError for what nobody understands. Flags that change nothing are warned of."""
    words = [word for word in argv if word != "--"]
    level, words = _without_klog(words)
    found = vars(parser().parse_args(words))
    idle = [name for name in (*_IDLE, "enable-node-lease") if found.pop(name.replace("-", "_")) is not None]
    for name in idle:
        logging.getLogger(__name__).warning("--%s changes nothing here", name)
    values = {name: value for name, value in found.items() if value is not None}
    values["nodename"] = tuple(name for item in values.pop("nodename", []) for name in item.split(","))
    known = {item.name for item in fields(Flags)}
    assert known >= values.keys(), values.keys() - known
    return Flags(**{"log_level": level, **values})


def main(argv: Sequence[str]) -> int:
    """Run `interlink kubelet ARGV` and return its exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("kubernetes").setLevel(logging.ERROR)  # what it warns of is an error of ours, or none
    try:
        settings = config.load(parse(argv))
        logging.getLogger("interlink").setLevel(settings.log_level)
        from interlink.kubelet import main as kubelet  # the other commands do without its libraries

        asyncio.run(kubelet.serve(settings))
    except InterlinkError as error:
        print(f"interlink: {error}", file=sys.stderr)
        return exit_code(error)
    return 0


@command(default=True)
def serve(_: Context) -> None:
    """Be the virtual kubelet: the inventory's machines become nodes (see `interlink kubelet --help`)."""
    raise InputError("run it as `interlink kubelet`: its flags are not invoke's")


_HELP = {
    "node": "name of the node",
    "kubeconfig": "kubeconfig (default: $KUBECONFIG, $CUSTOMKUBECONF, in a pod its service account)",
}


@command(
    positional=["node"],
    help={**_HELP, "timeout": "how long to wait for the pods to leave, in seconds"},
)
def drain(_: Context, node: str, kubeconfig: str = "", timeout: int = 300) -> None:
    """Cordon a node and evict its pods, respecting disruption budgets; wait until they are gone."""
    from interlink.kubelet import leaving

    _run(leaving.drain(_kubeconfig(kubeconfig), node, float(timeout), print))


@command(
    positional=["node"],
    help={**_HELP, "force": "also with pods on it, which Kubernetes then gives up, or with a kubelet that serves it"},
)
def forget(_: Context, node: str, kubeconfig: str = "", force: bool = False) -> None:
    """Remove a node from the cluster for good; its kubelet must be stopped, or no longer be offered the node."""
    from interlink.kubelet import leaving

    _run(leaving.forget(_kubeconfig(kubeconfig), node, print, force=force))


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def _kubeconfig(given: str) -> str | None:
    return config.load(Flags(kubeconfig=given)).kubeconfig


def _without_klog(words: Sequence[str]) -> tuple[str, list[str]]:
    """Drop the flags of Go's klog; its verbosity from 4 on is our debug.

    A value may follow as a word of its own: `--klog.v 2`, but `--klog.logtostderr` takes none.
    """
    kept: list[str] = []
    level, left = "", list(words)
    while left:
        word = left.pop(0)
        if not word.lstrip("-").startswith("klog."):
            kept.append(word)
            continue
        name, mark, value = word.lstrip("-").partition("=")
        if not mark and left and not left[0].startswith("-"):
            value = left.pop(0)
        if name == "klog.v" and value.isdigit() and int(value) >= 4:
            level = "debug"
    return level, kept


def _add(made: argparse.ArgumentParser, name: str, text: str, **options: Any) -> None:
    made.add_argument(f"--{name}", f"-{name}", dest=name.replace("-", "_"), help=text, **options)
