"""A container's probes and hooks as the file that care.sh and tend.sh read on the host; pure."""

from __future__ import annotations

from interlink.bundle import care
from interlink.bundle.text import line, text


def script(cared: care.Care) -> bytes:
    """Return the text of `care/<container>.sh`."""
    hooks, probes = dict(cared.hooks), {probe.kind: probe for probe in cared.probes}
    lines = []
    for name in care.HOOKS:
        lines += [f"IL_{name.upper()}={'1' if name in hooks else ''}", *_function(name, hooks.get(name))]
    for kind in care.PROBES:
        probe = probes.get(kind)
        lines += [f"IL_{kind.upper()}='{_settings(probe) if probe else ''}'"]
        lines += _function(kind, probe.action if probe else None)
    lines += [f"IL_TENDED={'1' if probes or 'poststart' in hooks else ''}", ""]
    return "\n".join(lines).encode()


def _function(name: str, action: care.Action | None) -> list[str]:
    if action is None:
        return []
    word, *rest = action
    return [f"il_{name}() {{ {line((text('il_', *word), *rest))}; }}"]


def _settings(probe: care.Probe) -> str:
    values = [probe.initial, probe.period, probe.timeout, probe.success, probe.failure]
    return " ".join(map(str, values if probe.grace is None else [*values, probe.grace]))
