"""What the API server answers when it does not do as asked; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from interlink.errors import InterlinkError

_SHORT = 500  # characters of an answer that is no Status object


class ApiError(InterlinkError):
    """An answer other than 2xx, or an ERROR event of a watch.

    `status` is HTTP's code, `reason` Kubernetes' word ("NotFound", "Conflict", "Expired"; "" if there is none),
    `retry_after` the seconds that the server asked for, `details` those of its Status object.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.status, self.reason, self.message, self.retry_after = status, reason, message, retry_after
        self.details = details or {}
        super().__init__(f"Kubernetes answered {status} {reason}: {message}".replace(" :", ":"))

    @property
    def missing(self) -> bool:
        """The object, or its namespace, does not exist."""
        return self.status == 404

    @property
    def conflict(self) -> bool:
        """Somebody else was first: the name is taken, the version old, or the UID another."""
        return self.status == 409

    @property
    def expired(self) -> bool:
        """The version, or the list to be continued, is too old: list anew."""
        return self.status == 410

    @property
    def refused_for_now(self) -> bool:
        """The server carried nothing out and would like to be asked again: any verb may be repeated."""
        return self.status == 429

    def remarked(self, remark: str) -> ApiError:
        """Return the same error with what we know of its cause."""
        if not remark:
            return self
        return ApiError(self.status, self.reason, f"{self.message} ({remark})", self.retry_after, self.details)

    @classmethod
    def of_answer(cls, status: int, body: bytes, retry_after: str | None = None) -> ApiError:
        """Read an answer: a Status object, or whatever a proxy in between says."""
        try:
            value = json.loads(body)
        except ValueError:
            value = None
        if isinstance(value, dict) and value.get("kind") == "Status":
            return cls.of_status(value, status, _seconds(retry_after))
        text = body.decode(errors="replace").strip()
        return cls(status, "", text[:_SHORT], _seconds(retry_after))

    @classmethod
    def of_status(cls, value: Mapping[str, Any], status: int = 0, retry_after: float | None = None) -> ApiError:
        """Read a Status object, as in a watch's ERROR event."""
        details = value.get("details") or {}
        asked = retry_after if retry_after is not None else details.get("retryAfterSeconds")
        code = status or int(value.get("code") or 500)
        return cls(code, value.get("reason") or "", value.get("message") or "", asked, details)


def _seconds(header: str | None) -> float | None:
    """Read Retry-After; the server sends whole seconds, never a date.

    >>> _seconds("2"), _seconds("Fri, 01 Jan 2027 00:00:00 GMT"), _seconds(None)
    (2.0, None, None)
    """
    return float(header) if header and header.isdigit() else None
