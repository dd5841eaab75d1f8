"""Pods on a host with docker or podman, sequenced there by small shell scripts; no agent, no server needed.

`layout` compiles a pod to a bundle, the `.sh` files beside it run on the host, `inspect` reads what they
print, `driver` joins the three over one `remote.Connection`.
"""

from interlink.drivers.docker.driver import DockerDriver

__all__ = ["DockerDriver"]
