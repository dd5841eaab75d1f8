"""The runtimes `apptainer` and `singularity`: a container's image, as the user that the host gives us. Pure.

Always `exec`, with the command worked out from the image's own settings (apptainer.sh keeps them beside it), so
that an image without a shell runs as well; `run` is for images that have only a runscript. The runtime sources
every script below /.singularity.d/env with an interpreter of its own, inside the container, before it starts the
command: ours, the last of them, sets the pod's variables, looks whether the command can be started, notes that
the container stands, and starts it. So a container's own exit code 255 is never taken for the runtime's.

Processes are the user that we log in as, in no other group, without any capability: who asks for something
else is refused. The network is the host's, so a pod's containers share localhost with each other and with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from interlink.bundle import binds, inside, network, process, pulling, resources
from interlink.bundle.env import EnvVar
from interlink.bundle.site import Site
from interlink.bundle.starting import Launch, Runtime, check_arguments, check_env, exports
from interlink.bundle.tar import Entry
from interlink.bundle.text import Text, line, text, texts, word
from interlink.errors import Unsupported
from interlink.model.pod import Container, Pod

SUPPORTS = process.SUPPORTS | {
    *("hostPath", "emptyDirMemory", "subPath", "subPathExpr"),
    *("runAsNonRoot", "capabilities", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "seccompProfile"),
    *("hostname", "subdomain", "hostAliases", "setHostnameAsFQDN", "hostnameOverride", "dnsPolicy", "dnsConfig"),
    *("stopSignal", "terminationMessagePath"),
}
_OWN = re.compile(  # what the runtime's interpreter keeps for itself
    r"_|PWD|OLDPWD|SHLVL|U?ID|E?[UG]ID|PPID|OPTIND|LINENO|RANDOM|IFS|IL_.*|(APPTAINER|SINGULARITY)_.*"
)
_BOX = "/.singularity.d/il"
_GPU_FLAGS = ("--nv", "--nvccli", "--rocm")

_START = """\
umask 022
fail() {{ printf '%s\\n' "$1" >"$IL_DIR/start/{name}.refused"; exit 128; }}
cd "$IL_DIR" && read -r image <"image/{name}.path" || fail "the image is not ready"
oci_entrypoint= oci_cmd= oci_workdir= oci_env= run=
. "./image/{name}.oci"
{prepare}
cp "image/{name}.oci" "$box/oci"
printf 'IL_POD_IP=%s IL_HOST_IP=%s\\n' "$IL_POD_IP" "$IL_HOST_IP" >"$box/address"
{argv}
# An image that was not made from another has a runscript instead of an entrypoint.
[ -z "$run" ] || [ -s "$box/oci" ] || verb=run
[ "$verb" = exec ] || : >"$box/run"
directory={directory}
directory=${{directory:-${{oci_workdir:-/}}}}
set -- --pwd "$directory" {flags} "$image" "$@"
if [ -e "$IL_SCRATCH/{name}.cwd" ]; then # the image has no such directory: give it an empty one
	mkdir -p "$IL_SCRATCH/{name}.empty"
	set -- --mount "type=bind,\\"source=$IL_SCRATCH/{name}.empty\\",\\"target=$directory\\"" "$@"
fi
{root}
{gpus}
cd / || exit 128
exec {program} --silent "$verb" {isolation} --cleanenv --no-eval --no-mount home,tmp,hostfs,bind-paths "$@" 2>&1
"""
_WRITABLE = """\
root=$IL_SCRATCH/{name}
chmod -R u+rwx "$root" 2>/dev/null
rm -rf "$root"
if [ ! -e "$IL_SCRATCH/no-overlay" ] && mkdir -p "$root"; then
	set -- --overlay "$root" "$@"
else
	set -- --writable-tmpfs "$@"
fi"""
# Sourced inside the container, by the runtime's interpreter; `$@` is the command.
_INSIDE = """\
. {box}/address
unset PS1 PROMPT_COMMAND LANG {unset}
export HOME=/
__il_image() {{
	. {box}/oci
	eval "set -- $oci_env"
	local variable
	for variable in "$@"; do export "$variable"; done
}}
__il_image
{message}{exports}
{found}[ -e {box}/run ] || __il_found "$1" || echo "exec: \\"$1\\": no such executable file" >{box}/refused
: >{box}/stands
if [ ! -e {box}/run ]; then
	unset PWD OLDPWD
	# env, if the image has one, removes what the interpreter protects, and calls a program by the name it was given
	case $1 in *=*) ;; *) ! command -v env >/dev/null || exec env {protected} "$@" ;; esac
	exec "$@"
fi
"""
_LEFT_BEHIND = ("ENVIRONMENT", "NO_EVAL", "COMMAND", "APPNAME", "BIND")
_PROTECTED = ("CONTAINER", "NAME")


def admit(pod: Pod, container: Container, site: Site) -> None:
    """Refuse added capabilities, ports under another number, and additions to the host's resolver."""
    added = (container.security.get("capabilities") or {}).get("add")
    field = f"{container.path}.securityContext.capabilities.add"
    if added and not site.ignores(field):
        raise Unsupported("an ordinary user of the host cannot give capabilities", field=field)
    process.check_ports(container)
    check_resolver(pod, site)


def check_resolver(pod: Pod, site: Site) -> None:
    """Refuse additions to the host's resolver."""
    config = pod.spec.get("dnsConfig") or {}
    if config and network.resolv_conf(pod, site.dns) is None and not site.ignores("spec.dnsConfig"):
        message = "the host's resolver is used as it is, unless dnsPolicy is None or the inventory sets interlink_dns"
        raise Unsupported(message, field=f"spec.dnsConfig.{next(iter(config))}")


def entries(launch: Launch) -> tuple[Entry, ...]:
    """Return what starts the container: a script for the host, and one for its inside."""
    check_arguments(launch)
    check_env(launch, _OWN)
    return inside.entries(launch.container.name, _start(launch), _inside(launch))


def _start(launch: Launch) -> str:
    container, site = launch.container, launch.site
    sealed = bool(container.security.get("readOnlyRootFilesystem"))
    count = resources.gpu_count(container)
    return _START.format(
        name=container.name,
        prepare="\n".join(binds.preparations(launch)),
        argv=_argv(launch),
        directory=word(text(str(container.raw.get("workingDir") or ""))),
        flags=line(_flags(launch)),
        root="" if sealed else _WRITABLE.format(name=container.name),
        gpus=_devices() if count else "",
        program=word(text(site.program or site.runtime)),
        isolation=" ".join(_isolation(launch.pod)),
    )


def _argv(launch: Launch) -> str:
    if launch.command:
        return f"verb=exec\nset -- {line((*launch.command, *launch.args))}"
    if launch.args:
        return f'verb=exec run=yes\neval "set -- $oci_entrypoint"\nset -- "$@" {line(launch.args)}'
    return 'verb=exec run=yes\neval "set -- $oci_entrypoint $oci_cmd"'


def _isolation(pod: Pod) -> Iterator[str]:
    """Yield the namespaces: of a shared PID namespace the only one that a user has is the host's."""
    yield "--contain"
    if not pod.spec.get("hostIPC"):
        yield "--ipc"
    if not (pod.spec.get("hostPID") or pod.spec.get("shareProcessNamespace")):
        yield from ("--pid", "--no-init")


def _flags(launch: Launch) -> Iterator[Text]:
    name, pod = launch.container.name, launch.pod
    count = resources.gpu_count(launch.container)
    if not pod.spec.get("hostNetwork"):
        yield from texts("--hostname", network.full_hostname(pod, launch.site.dns.domain))
    if count:
        yield text("--rocm" if resources.AMD in launch.container.limits else "--nv")
    yield from texts(*(option for option in launch.site.options if count or option not in _GPU_FLAGS))
    yield from binds.flags(launch)
    yield from binds.own(f"/start/{name}.inside", "/.singularity.d/env/zz-il.sh", readonly=True)
    yield from binds.own(f"/box/{name}", _BOX)
    if not _is_in_mount(launch.container.message_path, launch):
        yield from binds.own(f"/box/{name}/message", launch.container.message_path)


def _devices() -> str:
    names = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
    words = " ".join(f'{tool}ENV_{name}="$IL_GPUS"' for tool in ("APPTAINER", "SINGULARITY") for name in names)
    return f'[ -z "${{IL_GPUS:-}}" ] || export {words}'


def _inside(launch: Launch) -> str:
    libraries = [] if resources.gpu_count(launch.container) else ["LD_LIBRARY_PATH"]
    own = () if launch.pod.spec.get("hostNetwork") else (_hostname(launch),)
    mark = () if "--pid" in _isolation(launch.pod) else (_mark(launch),)
    return _INSIDE.format(
        box=_BOX,
        unset=" ".join([*_of_both(_LEFT_BEHIND), *libraries]),
        message=_message(launch),
        exports=_with_carriage_returns(exports((*own, *mark, *launch.env))),
        found=inside.FOUND,
        protected=" ".join(f"-u {name}" for name in _of_both(_PROTECTED)),
    )


def _of_both(names: Iterable[str]) -> list[str]:
    """Return variables by the names that apptainer and singularity give them."""
    return [f"{tool}_{name}" for tool in ("APPTAINER", "SINGULARITY") for name in names]


def _with_carriage_returns(script: str) -> str:
    """Return shell text, in which they stand in single quotes, so that an interpreter which drops them keeps them."""
    if "\r" not in script:
        return script
    spelt = script.replace("\r", "'\"$IL_CR\"'")
    return f"IL_CR=$(printf '\\r')\n{spelt}\nunset IL_CR"


def _message(launch: Launch) -> str:
    """Return the line that makes the file for the termination message where nothing can be bound to a new name.

    An image without `ln` has a file there that nobody reads.
    """
    path = launch.container.message_path
    if not _is_in_mount(path, launch):
        return ""
    place = word(text(path))
    return f"{{ ln -sf {_BOX}/message {place} || : >{place}; }} 2>/dev/null || :\n"


def _is_in_mount(path: str, launch: Launch) -> bool:
    """Say whether the runtime mounts something above the path: /dev or a volume."""
    return any(path.startswith(f"{place.rstrip('/')}/") for place in ("/dev", *(m.target for m in binds.binds(launch))))


def _hostname(launch: Launch) -> EnvVar:
    return EnvVar("HOSTNAME", text(network.full_hostname(launch.pod, launch.site.dns.domain)))


def _mark(launch: Launch) -> EnvVar:
    """Return the variable by which processes are found that no PID namespace takes with it."""
    return EnvVar("IL_CONTAINER", text(f"{launch.pod.uid}/{launch.container.name}"))


RUNTIME = Runtime(
    frozenset(SUPPORTS),
    admit,
    entries,
    scripts=("pulling.sh", "cache.sh", "apptainer.sh", "oci.awk"),
    image=pulling.apptainer,
)
