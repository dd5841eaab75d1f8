"""The dialect of docker's and podman's command line: a pod's containers as argument lists; pure.

What the script on the host sets before it uses a text from here: `$IL_POD` the bundle's absolute path,
`$IL_ATTEMPT` the attempt's number, `$IL_SANDBOX` the name of the pod's pause container, `$IL_USER` the
user part of the image's USER ("0" if none; see security.py), `$IL_POD_IP`, `$IL_HOST_IP`, `$IL_GPU_<n>`
and `$IL_VOLUME_<n>` where asked for (resources.device, mounts.sub_paths).

In the bundle: `env/<container>` (Launch.env.file), `environ/<container>` (Launch.env.unassigned),
`vol/<volume>/` (files.layout), `none/<volume>/` (mounts.missing), `resolv.conf` (network.resolv_conf) and,
written on the host once the pod's address is known, `hosts` (network.hosts_lines). With `message=True` also
`message/<container>-<attempt>`, mode 0666, made before the launch: the container's termination message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from interlink.bundle import envfile, images, mounts, network, resources, security
from interlink.bundle.env import EnvVar, arguments
from interlink.bundle.text import HostValue, Text, line, text, texts
from interlink.errors import InvalidPod
from interlink.model.driver import VolumeFile
from interlink.model.pod import Container, Pod

LABEL = "interlink.eu/"
PAUSE = "_pause"  # stands for the pause container where a container's name is asked for
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"

ATTEMPT = HostValue("IL_ATTEMPT")
SANDBOX = HostValue("IL_SANDBOX")


@dataclass(frozen=True)
class Site:
    """What the arguments depend on beside the pod; `nvidia` says that the host has such devices."""

    server: str
    engine: str = "docker"  # or podman
    pause_image: str = PAUSE_IMAGE
    dns: network.ClusterDns = field(default_factory=network.ClusterDns)
    nvidia: bool = False
    message: bool = False
    log_bytes: int = 64 << 20  # of one file; docker keeps four, podman begins anew


@dataclass(frozen=True)
class Launch:
    """How to start a container: `words` follow `docker run -d --pull never --name NAME`."""

    image: str
    words: tuple[Text, ...] = field(repr=False)
    env: envfile.EnvPlan = field(default_factory=envfile.EnvPlan)
    environ: Text = ()  # the file of Launch.env.unassigned, on the host

    def command_line(self, prefix: str) -> str:
        """Return one line of shell: the variables that only the CLI's environment can carry, then the call.

        `$IL_BIN` is the directory of environ.sh on the host.
        """
        assigned = [f"{variable.name}={line([variable.value])} " for variable in self.env.exported]
        environ = f'sh "$IL_BIN/environ.sh" {line([self.environ])} ' if self.environ else ""
        return "".join((*assigned, environ, prefix, " ", line(self.words)))


def needs_pause(pod: Pod) -> bool:
    """Say whether the pod needs a pause container (decisions.md 17).

    It may do without if it is one container that is never restarted, and nothing must exist before that
    container does: a volume to prepare, a hosts file with the pod's address, a variable that holds it.
    """
    if len(pod.containers) != 1 or pod.restart_policy != "Never":
        return True
    return bool(mounts.empty_dirs(pod)) or network.needs_hosts(pod) or _shows_address(pod.containers[0])


def pause(pod: Pod, site: Site) -> tuple[Text, ...]:
    """Return the words after `docker run -d --name NAME` for the pod's pause container.

    It owns the namespaces, and mounts every emptyDir at `/il/<volume>` so that those in memory live as
    long as the pod, and that the script can prepare them.
    """
    ipc = "host" if pod.spec.get("hostIPC") else "shareable"
    words = (*labels(pod, site, PAUSE, "pause"), *texts("--restart", "no", *_logs(site), "--ipc", ipc))
    held = [
        mounts.Mount("volume", text(mounts.volume_name(pod.uid, str(v["name"]))), f"/il/{v['name']}", readonly=False)
        for v in mounts.empty_dirs(pod)
    ]
    image = texts("--", _image(site.pause_image, site))
    return (*words, *_sandbox(pod, site), *mounts.flags(held, site.engine), *image)


def launch(
    pod: Pod,
    container: Container,
    site: Site,
    env: tuple[EnvVar, ...],
    files: Mapping[str, Sequence[VolumeFile]],
) -> Launch:
    """Return how to start one container; `env` from env.environment, `files` from files.volume_files.

    Raises Unsupported or InvalidPod, naming the field, for what the engine cannot do.
    """
    plan = envfile.plan(env, field=f"{container.path}.env")
    entry, rest = command_words(container, env, site)
    words = (
        *labels(pod, site, container.name, container.kind.value),
        *_devices_label(container),
        *texts("--restart", "no", *_logs(site)),
        *process_flags(pod, container),
        *(_joined(pod, site) if needs_pause(pod) else _alone(pod, site)),
        *security.flags(pod, container),
        *resources.flags(container, engine=site.engine, nvidia=site.nvidia),
        *env_flags(plan, env, container, site),
        *_mount_flags(mounts.Scope(pod, files, env), container, site),
        *entry,
        *texts("--", _image(container.image, site)),
        *rest,
    )
    environ = text(mounts.POD_DIRECTORY, f"/environ/{container.name}") if plan.named else ()
    return Launch(container.image, words, plan, environ)


def labels(pod: Pod, site: Site, container: str, kind: str) -> tuple[Text, ...]:
    """Return the labels of decisions.md 15; the attempt and the devices are the host's to fill in."""
    values = {
        "server": site.server,
        "node": pod.node_name,
        "uid": pod.uid,
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": container,
        "kind": kind,
    }
    words = [word for key, value in values.items() for word in texts("--label", f"{LABEL}{key}={value}")]
    return (*words, text("--label"), text(f"{LABEL}attempt=", ATTEMPT))


def _sandbox(pod: Pod, site: Site) -> tuple[Text, ...]:
    """Return the flags of whoever owns the pod's network: names, resolver, published ports."""
    if pod.spec.get("hostNetwork"):
        return texts("--network", "host")
    name = network.full_hostname(pod, site.dns.domain)
    return (*texts("--hostname", name), *network.dns_flags(pod, site.dns), *network.publish_flags(pod))


def _joined(pod: Pod, site: Site) -> tuple[Text, ...]:
    """Return the flags by which a container joins the pause container's namespaces."""
    sandbox = text("container:", SANDBOX)
    on_host = pod.spec.get("hostNetwork")
    words = [text("--network"), text("host") if on_host else sandbox]
    words += [text("--ipc"), text("host") if pod.spec.get("hostIPC") else sandbox]
    if pod.spec.get("hostPID"):
        words += texts("--pid", "host")
    elif pod.spec.get("shareProcessNamespace"):
        words += [text("--pid"), sandbox]
    if site.engine == "podman" and not on_host:  # docker takes the name over with the network
        words += [text("--uts"), sandbox]
    return tuple(words)


def _alone(pod: Pod, site: Site) -> tuple[Text, ...]:
    """Return the flags of a container that is its own sandbox."""
    spaces = [("--ipc", "hostIPC"), ("--pid", "hostPID")]
    words = [word for flag, key in spaces if pod.spec.get(key) for word in (flag, "host")]
    return (*_sandbox(pod, site), *texts(*words))


def process_flags(pod: Pod, container: Container) -> tuple[Text, ...]:
    """Return the flags of how the first process is run and stopped: directory, terminal, signal, grace in seconds."""
    raw = container.raw
    words = ["--no-healthcheck", "--stop-timeout", str(pod.grace)]
    signal = (raw.get("lifecycle") or {}).get("stopSignal")
    words += ["--stop-signal", str(signal)] if signal else []
    words += ["--workdir", str(raw["workingDir"])] if raw.get("workingDir") else []
    words += ["--interactive"] if raw.get("stdin") else []
    words += ["--tty"] if raw.get("tty") else []
    return texts(*words)


def _devices_label(container: Container) -> tuple[Text, ...]:
    chosen = [part for index in range(resources.gpu_count(container)) for part in (",", resources.device(index))]
    return (text("--label"), text(f"{LABEL}gpus=", *chosen[1:])) if chosen else ()


def _logs(site: Site) -> tuple[str, ...]:
    """Force a driver whose files the engine can read back byte by byte (json-file cannot), and bound them."""
    if site.engine == "podman":
        return ("--log-driver", "k8s-file", "--log-opt", f"max-size={site.log_bytes}")
    return ("--log-driver", "local", "--log-opt", f"max-size={site.log_bytes}", "--log-opt", "max-file=4")


def env_flags(plan: envfile.EnvPlan, env: tuple[EnvVar, ...], container: Container, site: Site) -> tuple[Text, ...]:
    """Return the flags that set a container's variables by file and by name; no value is among the arguments."""
    words: list[Text] = []
    if plan.file:
        words += [text("--env-file"), text(mounts.POD_DIRECTORY, f"/env/{container.name}")]
    for name in (*(variable.name for variable in plan.exported), *plan.named):
        words += texts("--env", name)
    if site.engine == "podman":  # its own additions, which no pod expects
        given = {variable.name for variable in env} | ({"TERM"} if container.raw.get("tty") else set())
        words += [word for name in ("container", "TERM") if name not in given for word in texts("--unsetenv", name)]
    return tuple(words)


def _mount_flags(scope: mounts.Scope, container: Container, site: Site) -> tuple[Text, ...]:
    found = mounts.mounts(scope, container)
    taken = {mount.target for mount in found}
    sealed = bool(container.security.get("readOnlyRootFilesystem"))
    own = [("hosts", "/etc/hosts")] if network.needs_hosts(scope.pod) else []
    own += [("resolv.conf", "/etc/resolv.conf")] if network.resolv_conf(scope.pod, site.dns) is not None else []
    extra = [  # a kubelet's hosts file can be written even where nothing else can
        mounts.Mount("bind", text(mounts.POD_DIRECTORY, f"/{name}"), target, sealed and name != "hosts")
        for name, target in own
        if target not in taken
    ]
    if site.message:
        source = text(mounts.POD_DIRECTORY, f"/message/{container.name}-", ATTEMPT)
        extra.append(mounts.Mount("bind", source, container.message_path, readonly=False))
    return mounts.flags((*found, *extra), site.engine)


def command_words(
    container: Container, env: tuple[EnvVar, ...], site: Site
) -> tuple[tuple[Text, ...], tuple[Text, ...]]:
    """Return the flags before the image and the words after it; a command drops the image's own CMD.

    Raises InvalidPod for a command whose program has no name.
    """
    command, args = arguments(container, env)
    if not command:
        return (), args
    if not command[0]:
        raise InvalidPod("the name of the program is empty", field=f"{container.path}.command[0]")
    return (text("--entrypoint"), _entrypoint(command[0], site)), (*command[1:], *args)


def _entrypoint(program: Text, site: Site) -> Text:
    """Return the program as `--entrypoint` wants it: podman would take one that looks like JSON for a list."""
    if site.engine == "docker":
        return program
    parts = (json.dumps(part)[1:-1] if isinstance(part, str) else part for part in program)
    return text('["', *parts, '"]')


def _image(image: str, site: Site) -> str:
    return images.normalized(image) if site.engine == "podman" else image


def _shows_address(container: Container) -> bool:
    sources = ((variable.get("valueFrom") or {}).get("fieldRef") or {} for variable in container.env)
    return any(str(source.get("fieldPath") or "").startswith("status.podIP") for source in sources)
