"""What sbatch says when it gives no job, sorted by what may be done about it; the one table of those texts. Pure."""

from __future__ import annotations

import re

from interlink import errors

# The controller got nothing, or said that it is not the time: the same submission may simply be made again.
UNSENT = (
    "connect failure",
    "Connection refused",
    "backup controller in standby mode",
    "Protocol authentication error",
    "Munge encode failed",
    "Unable to create TCP socket",
    "Slurm temporarily unable to accept job",
    "Resource temporarily unavailable",
    "Reached MaxJobCount",
    "Could not establish a configuration source",
    "DNS SRV lookup failed",
)
# The controller may have it, and may act on it later.
UNCLEAR = (
    "Socket timed out",
    "Zero Bytes were transmitted or received",
    "send failure",
    "receive failure",
    "shutdown failure",
    "Unable to contact slurm controller",
    "Unexpected message received",
    "Header lengths are longer",
    "Transport endpoint is not connected",
    "Connection reset by peer",
    "Broken pipe",
)
# A limit on how many jobs there may be, which passes by itself.
_COUNTS = re.compile(r"Max(Submit)?Jobs?(PerUser|PerAccount)?(Limit)?\b|MaxSubmit|job submit limit", re.IGNORECASE)
_SIZES = re.compile(r"(QOS|Assoc|Partition)(Max|Min|Grp)(?!Submit|Jobs?)\w+", re.IGNORECASE)
_CLUTTER = re.compile(r"sbatch: (error: |fatal: )?(Batch job submission failed: )?")


def error_of(word: str, said: str, host: str) -> errors.InterlinkError:
    """Return the error for an answer of `il_create`: later, unclear, or refused for good.

    >>> error_of("refused", "sbatch: error: invalid partition specified: x", "h")
    LaunchFailed('SubmissionRefused: h: sbatch: invalid partition specified: x')
    """
    text = f"{host}: sbatch: {_CLUTTER.sub('', said).strip() or 'no word'}"
    if word == "later":
        return errors.EngineUnavailable(text)
    if word == "unclear":
        return errors.OutcomeUnknown(text)
    if _COUNTS.search(said) and not _SIZES.search(said):
        return errors.EngineUnavailable(text)
    return errors.LaunchFailed("SubmissionRefused", text)
