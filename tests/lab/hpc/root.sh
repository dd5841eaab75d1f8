#!/bin/sh
# Make the root file system of an HPC computer: Debian sid, for its Apptainer and its newer Slurm.
# root.sh DIRECTORY MIRROR; the hash of this text names the result in the cache.
set -eu
root=$1 mirror=$2
debootstrap --variant=minbase --include=ca-certificates sid "$root" "$mirror"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d" # packages start no daemons
chmod 755 "$root/usr/sbin/policy-rc.d"
echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/lab" # a half-made root is thrown away
cp /etc/resolv.conf "$root/etc/resolv.conf"
DEBIAN_FRONTEND=noninteractive chroot "$root" sh -euc '
    unset LANG LC_ALL
    apt-get -q -y -o Acquire::Check-Valid-Until=false --no-install-recommends install \
        apptainer curl munge openssh-client openssh-server procps slurm-client slurmctld slurmd \
        squashfuse fuse2fs fuse-overlayfs squashfs-tools tini tsocks busybox-static
    apt-get clean
    rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_*
'
