"""``python -m testtime`` is the ``testtime`` command."""

from testtime.cli import main

main()
