"""An HPC cluster of Debian sid: a newer Slurm than slurm's, and Apptainer, without setuid, for its user.

    hpc                    the shared cluster: all that `slurm` has (see slurm/__init__.py; memory limits are not
                           enforced), and `.workstation`, an SshHost with Apptainer and without a scheduler

Every name of a registry is the lab's registry there, by TLS with a certificate that is trusted: `docker://busybox:1.36`
works unchanged, `registry.lab/lab/show:1` is another spelling, and `private.lab/lab/busybox:1` wants alice's password.
Images that tests add by `registry.push(...)` are there at once.

The file system is made once (root.sh: minutes) and kept in ~/.cache/interlink/hpc; a cluster writes into an overlay.
"""
