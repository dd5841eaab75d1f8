"""Runs `ansible-inventory` many times quickly: imported once, then forked for each inventory.

Reads one JSON list of arguments a line, writes one line with the JSON that ansible-inventory answers, or
null where it fails. Run as a script in a process of its own; ansible-core is a dependency of the tests alone.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path


def main() -> None:
    from ansible.cli.inventory import InventoryCLI

    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "output.json"
        for line in sys.stdin:
            output.write_text("null")
            child = os.fork()
            if not child:
                run(InventoryCLI, [*json.loads(line), "--list", "--output", str(output)])
            os.waitpid(child, 0)
            print(json.dumps(json.loads(output.read_text())), flush=True)


def run(cli: type, arguments: list[str]) -> None:
    """Run the command in this (forked) process and end it."""
    os.dup2(2, 1)  # the answer's pipe is the parent's alone
    try:
        cli(["ansible-inventory", *arguments]).run()
    finally:
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
