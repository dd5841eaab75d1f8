"""A real Slurm cluster: munge, slurmctld, slurmd and login nodes, each computer a namespace of the lab's network.

    slurm                  the shared cluster: `.hosts` are its login nodes as SshHosts of one interlink_cluster,
                           `.login("login1")` one of them; `.scontrol(...)`, `.run("squeue", ...)` as its administrator;
                           `.jobs(name)` what the controller knows, `.history(name)` every job that has ended, purged
                           ones too; `.home` the user's home, which its computers share. Other tests use it: do not
                           hurt it.
    slurm_factory          clusters of the test's own: `slurm_factory(Settings(min_job_age=5))`, with .pause(),
                           .resume(), .kill(), .stop(), .start() on each of `.controller`, `.slurmd["n1"]`, `.munge`
                           (of controller and nodes) and `.login_munge`; `.down("n1")`, `.up("n1")`;
                           `.logins["login1"]` is an Sshd, `.computers["n1"]` a Namespace (.drop_packets(),
                           .pass_packets()) whose .name is its hostname

Nodes n1 and n2 have two "GPUs" each (gres gpu:tesla), devices that do nothing. Partitions: `main`, `short` (at most one
minute), `low`, whose jobs those of `high` cancel, and `lowrequeue`, whose jobs they send back to the queue. Memory
limits are enforced where the machine has version 1 of cgroups (`enforces_memory()`). Accounting is off.
From within, ssh from any computer to a login node needs no password (user's own key in the home).
"""
