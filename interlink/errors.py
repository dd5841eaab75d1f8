"""Everything that can go wrong, by what the caller may do about it.

::

    InterlinkError
     ├── InputError                 a mistake of the user; repeating does not help
     │    ├── ConfigError           inventory, settings: file, line, what would be right
     │    ├── InvalidPod            the manifest or request is wrong (HTTP 400)
     │    │    └── Unsupported      a field that the driver cannot honour (HTTP 422)
     │    └── NotFound              no such pod, host, container (HTTP 404)
     ├── Conflict                   the UID was deleted, or is another's (HTTP 409)
     ├── Unavailable                nothing was done; try again later (HTTP 503)
     │    ├── HostUnreachable       no connection could be opened
     │    │    ├── HostKeyRejected  unknown or changed host key: a human must decide
     │    │    └── LoginRefused     the host does not accept our credentials
     │    └── EngineUnavailable     the host answers, its engine or scheduler does not
     ├── Unplaced                   no host fits at present; the pod waits
     ├── OutcomeUnknown             the request may have been carried out: look up, never repeat blindly
     │    ├── ConnectionLost
     │    └── DeadlineExceeded      no answer within our own deadline
     └── CommandFailed              the remote command ran and said no; carries its Result
          └── LaunchFailed          a container or job was refused for good; reason and message

`retry` on the class says whether the same call may simply be made again.
"""

from __future__ import annotations

from typing import ClassVar


class InterlinkError(Exception):
    """Base of all errors of interLink; `str()` is one line that a user can act upon."""

    retry: ClassVar[bool] = False


class InputError(InterlinkError):
    """A mistake of the user; repeating the call does not help."""


class ConfigError(InputError):
    """A wrong inventory or setting, with the place where it stands."""

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        self.message, self.file, self.line = message, file, line
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(where + message)


class InvalidPod(InputError):
    """A manifest that no kubelet would run; `field` is its path, such as `spec.containers[0].image`."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        self.message, self.field = message, field
        super().__init__(f"{field}: {message}" if field else message)


class Unsupported(InvalidPod):
    """A valid field that this driver cannot honour (Kubernetes' reason: PodFeatureUnsupported)."""


class NotFound(InputError):
    """No such pod, host or container."""


class Conflict(InterlinkError):
    """The UID is known to be deleted, or stands for another pod."""


class Unavailable(InterlinkError):
    """Nothing was done; the same call may be made again later."""

    retry = True


class HostUnreachable(Unavailable):
    """No connection to the host could be opened."""


class HostKeyRejected(HostUnreachable):
    """The host's key is unknown or has changed; a human must decide."""


class LoginRefused(HostUnreachable):
    """The host does not accept our credentials."""


class EngineUnavailable(Unavailable):
    """The host answers, but its container engine or scheduler does not."""


class Unplaced(InterlinkError):
    """No host fits the pod at present; it waits with this reason."""

    retry = True


class OutcomeUnknown(InterlinkError):
    """The request may have been carried out: look the pod up by UID, never repeat blindly."""


class ConnectionLost(OutcomeUnknown):
    """The connection broke after the request had left."""


class DeadlineExceeded(OutcomeUnknown):
    """No answer came within the caller's deadline."""


class CommandFailed(InterlinkError):
    """A remote command ran and ended with a non-zero exit code."""

    def __init__(self, message: str, *, code: int | None = None, stderr: str = "") -> None:
        self.code, self.stderr = code, stderr
        super().__init__(message)


class LaunchFailed(CommandFailed):
    """A pod was refused for good by the engine or scheduler; `reason` is CamelCase as in Kubernetes."""

    def __init__(self, reason: str, message: str, *, code: int | None = None) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {message}", code=code)
        self.message = message
