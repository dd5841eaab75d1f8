"""Pods as jobs of a Slurm cluster, through any of its login nodes; nothing is installed there.

::

    driver         the verbs
     ├── poller    when the cluster is asked, and who is told what has changed
     │    └── memory       all pods as they were last seen
     │         └── judgement   a pod's own files first, Slurm's word for its job second
     ├── states, rejections    what Slurm says, read
     └── host.sh   what runs on the login node
"""

from interlink.drivers.slurm.driver import SlurmDriver

__all__ = ["SlurmDriver"]
