"""A pod as a Slurm job: flags, resources, flavors, annotations, the script."""

from __future__ import annotations

import dataclasses
import subprocess
from typing import Any

import pytest

from interlink.bundle import slurmflags, slurmimages, slurmjob
from interlink.bundle.site import Site
from interlink.bundle.slurmsite import SlurmSite, Tsocks
from interlink.bundle.tar import File
from interlink.errors import InvalidPod
from interlink.model.host import Host
from interlink.model.pod import Pod, PodRequest

FLAGS = "slurm-job.vk.io/flags"


def pod(*resources: dict[str, Any], inits: tuple[dict[str, Any], ...] = (), **spec: Any) -> Pod:
    def container(index: int, raw: dict[str, Any], kind: str) -> dict[str, Any]:
        sidecar = {"restartPolicy": "Always"} if raw.get("sidecar") else {}
        amounts = {key: value for key, value in raw.items() if key != "sidecar"}
        limits = amounts.pop("limits", amounts)
        return {"name": f"{kind}{index}", "image": "x", "resources": {"limits": limits}, **sidecar}

    annotations = spec.pop("annotations", {})
    namespace = spec.pop("namespace", "n")
    return Pod(
        {
            "metadata": {"name": "p", "namespace": namespace, "uid": "u-1", "annotations": annotations},
            "spec": {
                "containers": [container(i, r, "main") for i, r in enumerate(resources or ({},))],
                "initContainers": [container(i, r, "init") for i, r in enumerate(inits)],
                **spec,
            },
        }
    )


def site(**variables: Any) -> SlurmSite:
    return SlurmSite.of(Host("h", vars={f"interlink_{name}": value for name, value in variables.items()}))


AMOUNTS = {
    "nothing": (pod(), {"cpus-per-task": "1"}, ("mem", "gres")),
    "a part of a CPU": (pod({"cpu": "100m"}), {"cpus-per-task": "1"}, ()),
    "rounded up once, not for each": (pod({"cpu": "750m"}, {"cpu": "750m"}), {"cpus-per-task": "2"}, ()),
    "memory is never 0": (pod({"memory": "500Ki"}), {"mem": "1M"}, ()),
    "decimal memory": (pod({"memory": "1G"}), {"mem": "954M"}, ()),
    "binary memory": (pod({"memory": "0.5Gi"}), {"mem": "512M"}, ()),
    "the greatest init": (pod({"cpu": 1}, inits=({"cpu": 3}, {"cpu": 2})), {"cpus-per-task": "3"}, ()),
    "sidecars count with all": (
        pod({"cpu": 2}, inits=({"cpu": 1, "sidecar": True}, {"cpu": 3})),
        {"cpus-per-task": "4"},
        (),
    ),
    "GPUs are summed": (pod({"nvidia.com/gpu": 1}, {"nvidia.com/gpu": 2}), {"gres": "gpu:3"}, ()),
    "no GPU is no flag": (pod({"nvidia.com/gpu": 0}), {}, ("gres",)),
    "MIG": (pod({"nvidia.com/mig-1g.5gb": 2}), {"gres": "gpu:1g.5gb:2"}, ()),
    "volumes in memory": (
        pod({"memory": "1Gi"}, volumes=[{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}]),
        {"mem": "2048M"},
        (),
    ),
}


@pytest.mark.parametrize("case", AMOUNTS)
def test_amounts(case: str) -> None:
    wanted, has, lacks = AMOUNTS[case]
    options = slurmjob.submission(wanted, site())
    assert {**options, **has} == options
    assert not set(lacks) & set(options)


def test_a_typed_gres_from_the_inventory() -> None:
    options = slurmjob.submission(pod({"nvidia.com/gpu": 2}), site(gres={"nvidia.com/gpu": "gpu:a100"}))
    assert options["gres"] == "gpu:a100:2"


def test_the_order_in_which_options_win() -> None:
    where = site(
        partition="from-host",
        account="from-host",
        qos="from-host",
        flavors={"f": {"cpu": "7", "flags": "--partition=from-flavor --account=from-flavor"}},
        default_flavor="f",
    )
    options = slurmjob.submission(pod(annotations={FLAGS: "-p from-pod"}), where)
    got = [options[name] for name in ("partition", "account", "qos", "cpus-per-task")]
    assert got == ["from-pod", "from-flavor", "from-host", "7"]
    assert slurmjob.submission(pod({"cpu": 2}), where)["cpus-per-task"] == "2"


def test_an_explicit_flag_takes_the_place_of_its_rivals() -> None:
    wanted = pod({"memory": "1Gi", "nvidia.com/gpu": 1}, annotations={FLAGS: "--mem-per-cpu=2G --gpus=4"})
    words = slurmflags.arguments(slurmjob.submission(wanted, site()))
    assert [word for word in words if word.startswith(("--mem", "--g"))] == ["--mem-per-cpu=2G", "--gpus=4"]


REFUSED = [
    "--job-name=x",
    "-o /tmp/x",
    "--wrap=date",
    "-a 1-3",
    "--uid=0",
    "-D /",
    "--nosuch",
    "date",
    "--time",
    "-p 'x",
]


@pytest.mark.parametrize("flags", REFUSED)
def test_refused_flags_are_named(flags: str) -> None:
    with pytest.raises(InvalidPod) as caught:
        slurmjob.submission(pod(annotations={FLAGS: flags}), site())
    assert caught.value.field == f"metadata.annotations[{FLAGS}]"


def test_the_older_prefix_counts_where_the_newer_is_absent() -> None:
    older = {"slurm-job.knoc.io/flags": "-p old"}
    assert slurmjob.submission(pod(annotations=older), site())["partition"] == "old"
    assert slurmjob.submission(pod(annotations={**older, FLAGS: "-p new"}), site())["partition"] == "new"


def test_flavors() -> None:
    where = site(
        flavors={"cpu": {"flags": "-p cpu"}, "gpu": {"flags": ["--gres=gpu:1", "-p gpu"]}}, default_flavor="cpu"
    )
    assert slurmjob.submission(pod(), where)["partition"] == "cpu"
    assert slurmjob.submission(pod({"nvidia.com/gpu": 1}), where)["partition"] == "gpu"
    with pytest.raises(InvalidPod, match="known are cpu, gpu"):
        slurmjob.submission(pod(annotations={"slurm-job.vk.io/flavor": "none"}), where)


def test_the_existing_plugins_flavors_are_understood() -> None:
    raw = {"Name": "a", "Description": "d", "CPUDefault": 3, "MemoryDefault": "2Gi", "SlurmFlags": ["--time=5"]}
    options = slurmjob.submission(pod(), site(flavors={"a": raw}, default_flavor="a"))
    assert [options[name] for name in ("cpus-per-task", "mem", "time")] == ["3", "2048M", "5"]


@pytest.mark.parametrize(
    ("deadline", "limit", "time", "warning"),
    [
        (None, "", None, "B:TERM@40"),
        (30, "", "4", "B:TERM@40"),
        (86400, "60", "60", "B:TERM@40"),
        (None, "1", "1", "B:TERM@30"),
    ],
)
def test_time(deadline: int | None, limit: str, time: str | None, warning: str) -> None:
    spec = {} if deadline is None else {"activeDeadlineSeconds": deadline}
    options = slurmjob.submission(pod(terminationGracePeriodSeconds=30, **spec), site(time_limit=limit))
    assert (options.get("time"), options["signal"]) == (time, warning)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_script_is_one(shell: str) -> None:
    where = SlurmSite(command_prefix="module load x", pre_exec=("n",), tsocks=Tsocks("/l ib.so", "login 1"))
    wanted = pod(
        {"cpu": 1}, inits=({},), annotations={"slurm-job.vk.io/pre-exec": "date", "interlink.eu/pod-ip": "1.2.3.4"}
    )
    job = slurmjob.compile_job(PodRequest(wanted), where)
    files = {entry.path: entry.data for entry in job.files if isinstance(entry, File)}
    assert set(files) == {"job.sh", "prefix.sh", "pre-exec.sh"}
    assert subprocess.run([shell, "-n"], input=files["job.sh"], check=False).returncode == 0
    text = files["job.sh"].decode()
    assert "# --- init container init0" in text
    assert "# --- container main0" in text
    assert "'/l ib.so'" in text


def test_a_job_whose_pod_is_gone_does_nothing() -> None:
    job = slurmjob.compile_job(PodRequest(pod()), SlurmSite())
    entry = next(entry for entry in job.files if isinstance(entry, File))
    done = subprocess.run(["sh"], input=entry.data, capture_output=True, check=False, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_shell_text_of_pods_needs_a_trusted_namespace() -> None:
    wanted = PodRequest(pod(annotations={"slurm-job.vk.io/pre-exec": "date"}, namespace="other"))
    with pytest.raises(InvalidPod, match="may not bring"):
        slurmjob.compile_job(wanted, SlurmSite(pre_exec=("n",)))
    assert slurmjob.compile_job(wanted, SlurmSite(pre_exec=("*",)))


@pytest.mark.parametrize("name", ["singularity-commands", "mpi-flags", "nosuch"])
def test_unknown_annotations_are_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidPod) as caught:
        slurmjob.compile_job(PodRequest(pod(annotations={f"slurm-job.vk.io/{name}": "x"})), SlurmSite())
    assert name in (caught.value.field or "")


def test_images_and_their_runtime_by_annotation() -> None:
    annotations = {
        "slurm-job.vk.io/image-root": "/cvmfs/images",
        "slurm-job.vk.io/singularity-options": "--nv",
        "slurm-job.vk.io/singularity-mounts": "--bind /data/x:/x,/data/y:/y:ro",
    }
    chosen = slurmimages.site_of(
        pod(annotations=annotations), Site(runtime="apptainer", hostpath_roots=("/data",)), SlurmSite()
    )
    assert chosen.image_prefix == "/cvmfs/images/"
    assert chosen.options == ("--nv", "--bind", "/data/x:/x", "--bind", "/data/y:/y:ro")
    with pytest.raises(InvalidPod, match="/etc"):
        slurmimages.site_of(
            pod(annotations={"slurm-job.vk.io/singularity-mounts": "--bind /data/../etc:/e"}),
            Site(runtime="apptainer", hostpath_roots=("/data",)),
            SlurmSite(),
        )
    with pytest.raises(InvalidPod, match="--bind"):
        slurmimages.site_of(
            pod(annotations={"slurm-job.vk.io/singularity-options": "--bind"}), Site(runtime="apptainer"), SlurmSite()
        )


def test_enroot_has_annotations_of_its_own() -> None:
    mounts = "--mount /data/x:/x -m /data/y:/y:none:bind,ro --mount=/data/z:/z"
    annotations = {"slurm-job.vk.io/enroot-options": "--root", "slurm-job.vk.io/enroot-mounts": mounts}
    site = Site(runtime="enroot", hostpath_roots=("/data",), options=("--rw",))
    chosen = slurmimages.site_of(pod(annotations=annotations), site, SlurmSite())
    places = ("/data/x:/x", "/data/y:/y:none:bind,ro", "/data/z:/z")
    assert chosen.options == ("--rw", "--root", *(word for place in places for word in ("--mount", place)))
    wrong = ("--mount /etc:/e", "--mount data:/x", "--mount '/data/x:/x\n/etc:/e'")
    for kind, text in (("options", "--conf"), *(("mounts", text) for text in wrong)):
        with pytest.raises(InvalidPod, match=f"enroot-{kind}"):
            slurmimages.site_of(pod(annotations={f"slurm-job.vk.io/enroot-{kind}": text}), site, SlurmSite())


@pytest.mark.parametrize("runtime", ["process", "podman", "apptainer"])
def test_what_is_written_for_another_runtime_is_refused(runtime: str) -> None:
    """A pod that says it for both runs on either."""
    site = Site(runtime=runtime, hostpath_roots=("/data",), ignore=())
    only = {"slurm-job.vk.io/enroot-mounts": "--mount /data:/data"}
    with pytest.raises(InvalidPod, match=f"enroot-mounts.*another runtime than the host's, which is {runtime}"):
        slurmimages.site_of(pod(annotations=only), site, SlurmSite())
    both = {**only, "slurm-job.vk.io/singularity-mounts": "--bind /data:/data"}
    if runtime == "apptainer":
        assert slurmimages.site_of(pod(annotations=both), site, SlurmSite()).options == ("--bind", "/data:/data")
    ignoring = dataclasses.replace(site, ignore=("metadata.annotations[slurm-job.vk.io/enroot-mounts]",))
    assert slurmimages.site_of(pod(annotations=only), ignoring, SlurmSite()).options == ()
