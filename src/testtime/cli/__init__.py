"""The ``testtime`` command: one file per group of subcommands, loaded only when called.

Exit codes: 0 done, 2 bad input (one clear line on stderr, no traceback), 143 ended by SIGTERM, 1 anything else.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from testtime import __version__
from testtime.cli import adapting, demo, doctor, figures, planning, pretraining, reporting, serving, stores
from testtime.cli.words import in_options
from testtime.errors import TestTimeError, sentence

__all__ = ["app", "main"]

_INTERRUPTED = 130  # typer's exit code for Ctrl-C
_TERMINATED = 143  # the usual exit code for SIGTERM
_UsageError: type[Exception] = typer.BadParameter.__mro__[
    1
]  # typer has no name for it; of click, or a copy of its own


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"testtime {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="testtime",
    help="Test-time training of in-context learners: adapt a table, see that it is better, know why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Options of the command itself."""


for group in (demo, adapting, reporting, planning, figures, pretraining, stores, serving, doctor):
    group.register(app)


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit; bad input becomes one line on stderr and exit code 2."""
    try:
        os.getcwd()
    except OSError:
        sys.stderr.write("testtime: the working folder is not there any more. Change to another one.\n")
        sys.exit(2)
    try:
        with _ended_as_by_ctrl_c():
            code = app(args=argv, prog_name="testtime", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except _UsageError as error:
        _tell(error)
        sys.exit(2)
    except typer.Abort:
        sys.exit(1)
    except TestTimeError as error:
        sys.stderr.write(f"testtime: {in_options(str(error))}\n")
        sys.exit(2)
    except SystemExit as stop:
        if stop.code not in (_INTERRUPTED, _TERMINATED):
            raise
        sys.stderr.write("testtime: interrupted; what was not reported as written was not.\n")
        sys.exit(1 if stop.code == _INTERRUPTED else _TERMINATED)


def _tell(error: Any) -> None:
    """Write what is wrong with the words of a command as one line; the help, where there are none."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    where = error.ctx.command_path if error.ctx is not None else "testtime"
    sys.stderr.write(f"testtime: {sentence(error.format_message(), remedy=f'See: {where} --help')}\n")


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Let the signal that asks a process to end unwind the stack, so that temporary files are removed."""

    def end(signal_number: int, frame: object) -> None:
        sys.exit(_TERMINATED)

    if (
        threading.current_thread() is not threading.main_thread()
    ):  # Python takes signals in the main thread only
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
