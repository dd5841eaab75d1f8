"""Pods as supervised processes of a host that has nothing but sshd and a POSIX shell: no image, no isolation."""

from interlink.drivers.shell.driver import ShellDriver

__all__ = ["ShellDriver"]
