"""A computer with a root file system of its own."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.slurm.computer import Computer

# Not chroot: the kernel refuses user namespaces, and so Apptainer, to whoever lives in one.
ENTER = """set -e
hostname "$1"
cluster=$2 root=$2/root
for name in proc sys dev; do mount --rbind /$name "$root/$name"; done
mount --bind "$cluster/fuse" "$root/dev/fuse"
mount --bind "$cluster" "$root$cluster"
mount --bind "$cluster/home" "$root/home"
shift 2
cd "$root"
pivot_root . outside
umount -l /outside
cd /
exec "$@"
"""


@dataclass(frozen=True)
class RootedComputer(Computer):
    """A computer whose root is the overlay `root` in its cluster's directory."""

    @property
    def enter(self) -> str:
        return ENTER
