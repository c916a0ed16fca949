"""Running a command in this process, and a table to run it on."""

import numpy as np
import pandas as pd
import pytest

from testtime.cli import main


def run(capsys, *argv):
    """Run a command; return its exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in argv])
    said = capsys.readouterr()
    return stopped.value.code or 0, said.out, said.err


def bought_table(rows=400, seed=0):
    """A table whose label is a known function of a number and a category."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=rows).round(4),
            "colour": rng.choice(["red", "green", "blue"], rows),
            "code": rng.choice(["1", "2", "x"], rows),
            "noise": rng.normal(size=rows).round(4),
        }
    )
    frame.loc[::17, "size"] = np.nan
    score = frame["size"].fillna(0) + 1.5 * (frame["colour"] == "red")
    frame["bought"] = np.where(score + 0.3 * rng.normal(size=rows) > 0.5, "yes", "no")
    return frame
