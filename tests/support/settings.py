"""Linear settings that several tests share."""

from __future__ import annotations

from testtime.theory.linear import Setting


def white(n, d, k=0, noise=0.0):
    """Isotropic, the test task as large as pretraining tasks."""
    return Setting(n, k, dim=d, task=1.0, task_cov=1.0 / d, noise_var=noise)
