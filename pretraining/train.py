"""The training loop: synthetic tables in, weights out; resumable after a kill at any point.

The batch of a step is a function of (prior, seed, step), so a resumed run continues bit for bit (same thread
count), provided that the schedule is driven by steps alone (``budget_seconds`` unset).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tabicl._model.tabicl import TabICL
from tabicl.train._muon import Muon
from torch import Tensor

from .checkpoint import State, restore, save_state
from .config import Config, TrainConfig
from .loss import batch_loss
from .meta import accumulate_meta_gradients
from .model import HEAD, build_model, finer_quantiles, read_weights
from .pool import Pool
from .prior import sample_batch
from .together import meet

VALIDATION_SEED = 987_654


def make_state(config: Config) -> State:
    """Fresh weights, or those to start from, and a fresh optimiser."""
    train = config.train
    model = build_model(
        config.model, train.seed if train.initial_seed is None else train.initial_seed
    ).train()
    if config.train.start_from:
        given, own = read_weights(Path(config.train.start_from)), model.state_dict()
        if _numeric(given) and config.prior.regression:
            given = finer_quantiles(given, len(own[f"{HEAD}.bias"]))
        fitting = {name: value for name, value in given.items() if own[name].shape == value.shape}
        model.load_state_dict(own | fitting)
    ema = {name: p.detach().clone() for name, p in model.named_parameters()}
    return State(model, ema, make_optimiser(model, config.train))


def _numeric(weights: dict[str, Tensor]) -> bool:
    """Whether targets are numbers: they are embedded by a single column."""
    return weights["col_embedder.y_encoder.weight"].shape[1] == 1


def make_optimiser(model: TabICL, config: TrainConfig) -> Muon:
    """Muon on the matrices of the attention blocks, AdamW on embeddings, norms, biases and the decoder."""
    matrices, rest = [], []
    for name, parameter in model.named_parameters():
        (
            matrices if ".blocks." in name and parameter.ndim == 2 and "ind_vectors" not in name else rest
        ).append(parameter)
    groups = [
        {"params": matrices, "use_muon": True},
        {"params": rest, "use_muon": False, "adamw_betas": (0.9, 0.98)},
    ]
    return Muon(groups, lr=config.lr, weight_decay=config.weight_decay)


def progress(config: TrainConfig, step: int, seconds: float) -> float:
    """Share of the run that is over, in [0, 1]: by steps, or by time where that is further."""
    by_time = seconds / config.budget_seconds if config.budget_seconds else 0.0
    return min(1.0, max(step / config.steps, by_time))


def learning_rate(config: TrainConfig, step: int, seconds: float) -> float:
    """Linear warm-up, then linear decay to zero at the end of the run."""
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    return config.lr * warmup * (1.0 - progress(config, step, seconds))


def train_step(state: State, config: Config, pool: Pool | None) -> float:
    """One batch, one update; returns the loss. An update that is not finite is skipped and counted."""
    train = config.train
    lr = learning_rate(train, state.step, state.seconds)
    state.optimiser.zero_grad(set_to_none=True)
    if config.meta.inner_steps:
        loss, n_tables = accumulate_meta_gradients(
            state.model, config.meta, config.prior, train.seed, state.step, pool
        )
    else:
        batch = sample_batch(config.prior, train.seed, state.step, pool)
        n_tables, mean = len(batch.x), batch_loss(state.model, batch)
        mean.backward()
        loss = float(mean.detach())
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), train.clip_norm)
    if math.isfinite(loss) and torch.isfinite(norm):
        for group in state.optimiser.param_groups:
            group["lr"] = lr
        state.optimiser.step()
        # A short memory at first, so that the average forgets the random initial weights.
        weight = 1 - min(train.ema_decay, (1 + state.step) / (10 + state.step))
        torch._foreach_lerp_(list(state.ema.values()), [p.detach() for p in state.model.parameters()], weight)
    else:
        state.skipped += 1
    state.step += 1
    state.tables += n_tables
    return loss


@torch.no_grad()
def validate(model: TabICL, weights: dict[str, Tensor] | None, config: Config) -> float:
    """Mean loss on the fixed synthetic validation set, with other weights put in for the moment if given."""
    kept = {name: p.detach().clone() for name, p in model.named_parameters()}
    try:
        if weights is not None:
            model.load_state_dict(weights, strict=False)
        batches = range(config.train.validation_batches)
        losses = [float(batch_loss(model, sample_batch(config.prior, VALIDATION_SEED, i))) for i in batches]
    finally:
        model.load_state_dict(kept, strict=False)
    return sum(losses) / len(losses)


def train(
    config: Config,
    folder: Path,
    *,
    pool: Pool | None = None,
    peer: Path | None = None,
    stop_after: int | None = None,
    clock: Callable[[], float] | None = None,
) -> State:
    """Run, or continue, until the learning rate has reached zero.

    Parameters
    ----------
    config : Config
        Settings; a run continues with the settings given here, and the log records a change.
    folder : Path
        Gets ``last.safetensors`` (resumable), ``step-N.safetensors`` (snapshots) and ``log.jsonl``.
    pool : Pool, optional
        Pre-generated tables.
    peer : Path, optional
        Folder of another run with the same start and another seed; every ``config.train.meet_every`` steps both
        go on with the mean of their weights.
    stop_after : int, optional
        Return, with a checkpoint, after this many steps of this call.
    clock : callable, optional
        Seconds; by default what ``config.train.clock`` names.

    Returns
    -------
    State
    """
    folder.mkdir(parents=True, exist_ok=True)
    clock = clock or (time.process_time if config.train.clock == "cpu" else time.monotonic)
    last = folder / "last.safetensors"
    resumed = last.exists()
    # The weights a run began with may be gone, or others, when it is continued: the checkpoint has its own.
    begun = replace(config.train, start_from=None) if resumed else config.train
    state = make_state(replace(config, train=begun))
    if resumed:
        restore(state, last)
        _rewind_log(folder, state.step)
    plain = config.to_dict()
    begin = {"event": "resume" if resumed else "start", "step": state.step, "pool_tables": len(pool or ())}
    begin |= {"threads": torch.get_num_threads(), "torch": torch.__version__, "config": plain}
    if begun.start_from:
        begin["start_sha256"] = hashlib.sha256(Path(begun.start_from).read_bytes()).hexdigest()
    _log(folder, begin)
    before, saved_at, done = clock() - state.seconds, clock(), 0
    window: list[tuple[float, int, float]] = [(state.seconds, state.tables, math.nan)]
    while progress(config.train, state.step, state.seconds) < 1.0 and done != stop_after:
        loss = train_step(state, config, pool)
        done += 1
        state.seconds = clock() - before
        window.append((state.seconds, state.tables, loss))
        if peer and state.step % config.train.meet_every == 0 and not meet(state, folder, peer):
            _log(folder, {"event": "alone", "step": state.step})
        if state.step % config.train.log_every == 0:
            _log(folder, _summary(state, config.train, window))
            window = window[-1:]
        if state.step % config.train.validate_every == 0:
            _log(folder, _validation(state, config))
        if state.step % config.train.keep_every == 0:
            save_state(folder / f"step-{state.step:06d}.safetensors", state, plain, optimiser=False)
        if clock() - saved_at > config.train.checkpoint_seconds:
            save_state(last, state, plain)
            saved_at = clock()
    _log(folder, _validation(state, config) | {"event": "stop"})
    save_state(last, state, plain)
    return state


def _summary(state: State, config: TrainConfig, window: list[tuple[float, int, float]]) -> dict[str, Any]:
    losses = [loss for _, _, loss in window[1:] if math.isfinite(loss)]
    seconds = window[-1][0] - window[0][0]
    return {
        "step": state.step,
        "tables": state.tables,
        "seconds": round(state.seconds, 1),
        "loss": round(sum(losses) / len(losses), 5) if losses else None,
        "lr": learning_rate(config, state.step, state.seconds),
        "tables_per_second": round((window[-1][1] - window[0][1]) / seconds, 2) if seconds > 0 else None,
        "skipped": state.skipped,
    }


def _validation(state: State, config: Config) -> dict[str, Any]:
    return {
        "event": "validation",
        "step": state.step,
        "tables": state.tables,
        "loss_last": round(validate(state.model, None, config), 5),
        "loss_ema": round(validate(state.model, state.ema, config), 5),
    }


def _rewind_log(folder: Path, step: int) -> None:
    """Drop what a killed run logged after its last checkpoint: those steps are done again."""
    path = folder / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _log(folder: Path, entry: dict[str, Any]) -> None:
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
