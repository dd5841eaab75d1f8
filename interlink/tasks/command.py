"""`@command`: an invoke task whose user's mistakes end in one line and an exit code, never in a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task, task

from interlink import errors


def exit_code(error: errors.InterlinkError) -> int:
    """2 for bad input, 3 for "outcome unknown", 1 for everything else (decisions on `interlink run`)."""
    match error:
        case errors.InputError():
            return 2
        case errors.OutcomeUnknown():
            return 3
        case _:
            return 1


class Command(Task[Any]):
    """A task whose options leave `-h` to the help."""

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """Return the option of a parameter; invoke would give `-h` to the first that has an h."""
        return super().arg_opts(name, default, taken_names | {"h"})

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the options; invoke would use their help texts up, and have none the second time."""
        help_texts = dict(self.help)
        try:
            return super().get_arguments(ignore_unknown_help)
        finally:
            self.help = help_texts


def command(**options: Any) -> Callable[[Callable[..., Any]], Task[Any]]:
    """Make an invoke task; `options` are those of `invoke.task`.

    Works the same under `interlink` and under `inv`, which knows nothing of our errors.
    """

    def wrap(function: Callable[..., Any]) -> Task[Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except errors.InterlinkError as error:
                raise Exit(f"interlink: {error}", code=exit_code(error)) from error
            except KeyboardInterrupt:
                raise Exit("interlink: interrupted", code=130) from None

        return cast("Task[Any]", task(run, klass=Command, **options))

    return wrap
