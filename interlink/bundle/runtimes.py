"""The runtimes that a supervised pod's containers can be started with, by the names of `interlink_runtime`. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from interlink.bundle import apptainer, checks, enroot, podman, process
from interlink.bundle.site import Site
from interlink.bundle.starting import Runtime
from interlink.model.pod import PodRequest

RUNTIMES: Mapping[str, Runtime] = {
    "process": process.RUNTIME,
    "apptainer": apptainer.RUNTIME,
    "singularity": apptainer.RUNTIME,
    "podman": podman.RUNTIME,
    "enroot": enroot.RUNTIME,
}


def runtime(site: Site) -> Runtime:
    """Return the runtime of a site."""
    return RUNTIMES[site.runtime]


def admit(request: PodRequest, site: Site) -> PodRequest:
    """Return the request without the fields that are to be ignored (interlink_ignore).

    Raises InvalidPod for what no kubelet would run, Unsupported for what the runtime cannot honour.
    """
    chosen = runtime(site)
    features = checks.Features(
        supports=chosen.supports, hostpath_roots=site.hostpath_roots, resources=site.resources, ignore=site.ignore
    )
    admitted = checks.admit(request, features)
    for container in admitted.pod.containers:
        chosen.admit(admitted.pod, container, site)
    return admitted
