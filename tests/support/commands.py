"""Running a command in this process."""

import pytest

from testtime.cli import main


def run(capsys, *argv):
    """Run a command; return its exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in argv])
    said = capsys.readouterr()
    return stopped.value.code or 0, said.out, said.err
