"""What watches, on the host, over the process groups of one connection (guardian.sh); pure."""

from __future__ import annotations

from importlib import resources


def program(nonce: str, *, silence: int, grace: int) -> bytes:
    """Return the guardian's program text.

    `silence` is the time in seconds without a ping after which the guardian gives the connection up
    (0: never); `grace` the time that a shell's command may still take once the connection is lost.
    """
    text = resources.files("interlink.remote").joinpath("guardian.sh").read_text(encoding="utf-8")
    values = {"NONCE": nonce, "SILENCE": str(silence), "GRACE": str(grace)}
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text.encode()


def order(verb: str, value: int | str) -> bytes:
    """Return one order: w(atch), s(tream), k(ill), p(ing)."""
    return f"{verb} {value}\n".encode()
