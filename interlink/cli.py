"""The command `interlink`: the same invoke tasks that a checkout's `inv` shows, as a program of its own."""

from __future__ import annotations

import inspect
import os
import sys
from importlib.metadata import version

from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program

from interlink import tasks
from interlink.tasks import kubelet

KEPT = (
    "complete",
    "help",
    "list",
    "print-completion-script",
    "version",
    "debug",
    "write-pyc",
    "list-depth",
    "list-format",
)
HIDDEN = ("complete", "debug", "write-pyc", "list-depth", "list-format")


class Interlink(Program):
    """invoke's Program without invoke's own run options, whose short flags would shadow ours (`-f`, `-R`, ...)."""

    def core_args(self) -> list[Argument]:
        """Keep what a user of ours needs; only `-h`, `-l` and `-V` keep their short form."""
        arguments = [a for a in super().core_args() if a.name in KEPT]
        for argument in arguments:
            argument.names = tuple(n for n in argument.names if len(n) > 1 or n in "hlV")
        return arguments

    def update_config(self, merge: bool = True) -> None:  # noqa: FBT001  invoke's own signature
        """Nothing of invoke's configuration can be set on our command line."""
        if merge:
            self.config.merge()

    def print_help(self) -> None:
        """Show usage, the few core options, and the subcommands."""
        print(f"Usage: {self.binary} COMMAND [options]\n")
        print(f"One command in detail: {self.binary} COMMAND --help\n")
        self.print_columns([(a, h) for a, h in self.initial_context.help_tuples() if not any(n in a for n in HIDDEN)])
        self.list_tasks()

    def print_task_help(self, name: str) -> None:
        """Show one command: what it does, its arguments, its options."""
        context = self.parser.contexts[name]
        words = [f"{argument.name.upper()} " for argument in context.positional_args]
        print(f"Usage: {self.binary} {name} {''.join(words)}[options]\n")
        print(f"{inspect.getdoc(self.collection[name])}\n")
        self.print_columns(context.help_tuples())


def _understood(argv: list[str]) -> list[str]:
    """Say in invoke's words what it would misread.

    It takes the `--help` of `interlink run --help` for the manifest, and has no optional positional arguments:
    `interlink sidecar` alone gets an empty driver.
    """
    program, *words = argv
    if words and not words[0].startswith("-"):
        if {"-h", "--help"} & set(words[1:]):
            return [program, "--help", words[0]]
        if words[0] == "sidecar" and (not words[1:] or words[1].startswith("-")):
            return [program, "sidecar", "", *words[1:]]
    return argv


def main() -> None:
    """Run `interlink`; a wrong command line ends with 2, as everywhere in Unix."""
    if sys.argv[1:2] == ["kubelet"]:
        sys.exit(kubelet.main(sys.argv[2:]))
    program = Interlink(version=version("interlink"), namespace=tasks.namespace(), name="interlink", binary="interlink")
    try:
        program.create_config()
        program.parse_core(_understood(sys.argv))
        program.parse_collection()
        program.parse_tasks()
        program.parse_cleanup()
        program.update_config()
        program.execute()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except ParseError as error:
        print(f"interlink: {error} (see `interlink --help`)", file=sys.stderr)
        sys.exit(2)
    except Exit as stop:
        if stop.message:
            print(stop.message, file=sys.stderr)
        sys.exit(stop.code)
    except KeyboardInterrupt:
        sys.exit(130)
