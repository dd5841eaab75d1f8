"""The lab: real sshd, dockerd, podman, registries, PostgreSQL, Kubernetes on this machine, for tests and by hand.

One lab per machine, in /var/lib/il-lab (or $INTERLINK_LAB). It needs root and Debian packages
(`machine.PACKAGES` names them all). Parts start on first need, whichever test process comes first, and
stay up until `inv lab.down`. Everything is known by pid file and start time and is stopped by pid;
nothing listens outside loopback and the lab's own network namespaces.

In a test: take fixtures of tests/conftest.py, which mark the test `lab`. Where a part is missing they fail
in CI and skip elsewhere, naming the package.

    docker_host, podman_host   SshHost: address, port, user, key, known_hosts; `.variables` are its inventory
                               variables, `.engine` its docker or podman seen without SSH
                               (`.engine.run("ps")`, `.engine.env` for a local connection), `.run("cmd")` goes
                               by OpenSSH's client. The address is the host's own: a hostPort or an sshd of
                               hostNetwork is found at `docker_host.address`.
    plain_host                 docker_host by an account without access to docker
    server_id                  a server id of the test's own; containers left with it are an error
    sshd_factory               an sshd to be frozen, killed, restarted: `sshd_factory(options={"MaxSessions": "2"})`
                               gives a started Sshd: .host("name", "labuser").variables, .pause(),
                               .pause_listener(), .pause_connections(), .resume(), .kill(), .kill_connections(),
                               .start(), .connections(), .commands() (remote processes that live, leaked ones too),
                               .new_host_key(), .known_hosts_line, .log
    second_dockerd             a docker daemon to be killed: `second_dockerd("--live-restore")` gives a Dockerd:
                               .kill(), .stop(), .start(), .pause(), .resume(), .engine; an sshd beside it:
                               `sshd_factory(namespace=d.namespace, port=22, env=d.ssh_env)`
    namespace_factory          network namespaces: `.drop_packets()`, `.pass_packets()`; an sshd in one:
                               `sshd_factory(namespace=namespace_factory(), port=22)`
    registry, private_registry `.address`, `.push(image)`; the second wants `.user`, `.password`; engines find
                               busybox:1.36 and alpine:3 there as if it were Docker Hub (alpine is not loaded
                               beforehand, so it is the one for tests that pull). For "manifest unknown" ask for
                               `{registry.address}/lab/nosuch:1`; a missing name of Docker Hub ends as
                               "network is unreachable"
    postgres_url               SQLAlchemy's URL of an empty database
    slurm, slurm_factory       a Slurm cluster: see slurm/__init__.py
    hpc                        a newer Slurm, with Apptainer, and a workstation: see hpc/__init__.py
    cluster, second_cluster    a Kubernetes control plane: see controlplane/__init__.py

Images (images.py): busybox:1.36, lab/show:1 (ENTRYPOINT, CMD, ENV, USER 1000:2000, WORKDIR), lab/named-user:1
(USER user), lab/no-command:1, registry.k8s.io/pause:3.10 are loaded; `lab/*` are also in the registries.

By hand: `python -m tests.lab up docker`, `... env` (prints the ssh commands), `... status`, `... down`;
or `inv lab.up`, `lab.status`, `lab.env`, `lab.down`.
"""
