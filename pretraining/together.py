"""Two runs that average their weights every few steps: local SGD (Stich, ICLR 2019).

Both begin with the same weights and draw other tables. Between two meetings they know nothing of each other, so two
cores give twice the tables at the price of a small file each time.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .checkpoint import State


def meet(state: State, folder: Path, peer: Path, *, patience: float = 900.0) -> bool:
    """Leave the weights of this step in ``folder``, take the mean with those that the other run left in ``peer``.

    The momentum of the optimiser stays each run's own. A run that was killed repeats its last steps and finds what the
    other one left for them; one that waits longer than ``patience`` seconds goes on alone.

    Parameters
    ----------
    state : State
        Its weights and their running average are replaced by the means.
    folder, peer : Path
        Folders of this run and of the other one.
    patience : float
        Seconds to wait for the other run.

    Returns
    -------
    bool
        Whether the other run was there.
    """
    name = f"meeting-{state.step:06d}.safetensors"
    own = {f"model.{k}": p.detach() for k, p in state.model.named_parameters()}
    own |= {f"ema.{k}": v for k, v in state.ema.items()}
    unfinished = folder / (name + ".part")
    save_file({k: v.contiguous().clone() for k, v in own.items()}, unfinished)
    unfinished.replace(folder / name)
    for old in sorted(folder.glob("meeting-*.safetensors"))[:-3]:
        old.unlink()
    begin = time.monotonic()
    while not (peer / name).exists():
        if time.monotonic() - begin > patience:
            return False
        time.sleep(0.2)
    other = load_file(peer / name)
    with torch.no_grad():
        for key, parameter in state.model.named_parameters():
            parameter.add_(other[f"model.{key}"]).mul_(0.5)
    for key, average in state.ema.items():
        average.add_(other[f"ema.{key}"]).mul_(0.5)
    return True
