"""What mends a host that we do not get into, by the kind of error; pure."""

from __future__ import annotations

from interlink.errors import DeadlineExceeded, HostKeyRejected, HostUnreachable, InterlinkError, LoginRefused

_CURES: dict[type[InterlinkError], str] = {
    HostKeyRejected: "",  # says it itself
    HostUnreachable: "; check ansible_host, ansible_port and whether sshd runs there",
    LoginRefused: "; check ansible_user and ansible_ssh_private_key_file, and ~/.ssh/authorized_keys there",
    DeadlineExceeded: "; the host is slow or frozen: look at it, or give it more by --timeout",
}


def cure(error: InterlinkError) -> str:
    """Return what to append to an error's own words; "" where they say it all."""
    return _CURES.get(type(error), "")
