"""Pretraining of an in-context GPT-2: prompts in, weights out; goes on after a kill as if nothing had happened.

The prompts of a step depend on the recipe and the step alone, and a checkpoint holds weights and the optimiser's state,
so an interrupted run ends with the same bits as one that was not (on one machine, with one number of threads).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from testtime.errors import InputError, StoreError, sentence
from testtime.experiments.in_context.prompts import draw_prompts
from testtime.experiments.in_context.recipes import Recipe, Steps
from testtime.models.gpt import InContextGPT
from testtime.results import Result
from testtime.store.atomic import replace_file
from testtime.store.places import existing_file, storing

__all__ = ["Pretrained", "learning_rate", "pretrain"]

_LAST, _LOG = "last.safetensors", "log.jsonl"


@dataclass(frozen=True)
class Pretrained(Result):
    """What a run made.

    Attributes
    ----------
    folder
        Holds the model (``config.json``, ``model.safetensors``), the log and the last checkpoint.
    steps
        Steps done, earlier runs included.
    loss
        Mean Huber loss of the last steps since a line of the log.
    seconds
        Training time, earlier runs included.
    n_parameters
        Trained values.
    device
        Where it ran last.
    """

    folder: str
    steps: int
    loss: float
    seconds: float
    n_parameters: int
    device: str


def learning_rate(steps: Steps, step: int) -> float:
    """Return the rate of a step: a linear warm-up, then a cosine to ``final`` times the rate.

    >>> plan = Steps(steps=100, warmup=10, learning_rate=1.0, final=0.1)
    >>> learning_rate(plan, 0), learning_rate(plan, 10), round(learning_rate(plan, 100), 3)
    (0.1, 1.0, 0.1)
    """
    if step < steps.warmup:
        return steps.learning_rate * (step + 1) / steps.warmup
    share = (step - steps.warmup) / max(1, steps.steps - steps.warmup)
    return steps.learning_rate * (steps.final + (1.0 - steps.final) * 0.5 * (1.0 + math.cos(math.pi * share)))


def pretrain(
    recipe: Recipe,
    folder: str | Path,
    *,
    device: str = "cpu",
    half: bool = False,
    stop_after: int | None = None,
    progress: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Pretrained:
    """Run, or go on with, the pretraining of a recipe.

    Parameters
    ----------
    recipe
        What to train on what.
    folder
        Gets the model, ``log.jsonl`` and ``last.safetensors``; a folder with a checkpoint of the same recipe is
        continued.
    device
        Of torch; on "cuda" matrix products run in bfloat16.
    half
        Store the finished model in float16; the checkpoint stays in float32.
    stop_after
        Return, with a checkpoint, after so many steps of this call.
    progress
        Show a bar with the time that is left on stderr.
    clock
        Monotonic seconds.

    Raises
    ------
    InputError
        When the folder holds a run of another recipe, or there is no such device.
    StoreError
        When the checkpoint is damaged.
    """
    target = Path(folder)
    place = _device(device)
    with storing(target):
        target.mkdir(parents=True, exist_ok=True)
    for name in (_LAST, _LOG):
        existing_file(target / name)
    run = _Run.begin(recipe, target, place)
    plan = recipe.steps
    started = clock() - run.seconds
    _log(
        target, {"event": "start", "step": run.step, "device": str(place), "threads": torch.get_num_threads()}
    )
    with tqdm(
        total=plan.steps, initial=run.step, disable=not progress, unit="step", dynamic_ncols=True
    ) as bar:
        end = plan.steps if stop_after is None else min(plan.steps, run.step + stop_after)
        while run.step < end:
            run.sum += run.advance()
            run.count += 1
            run.seconds = clock() - started
            bar.update()
            if run.step % plan.log_every == 0 or run.step == plan.steps:
                run.loss, run.sum, run.count = run.sum / run.count, 0.0, 0
                line = {"step": run.step, "loss": run.loss, "seconds": round(run.seconds, 2)}
                _log(
                    target,
                    line | {"learning_rate": learning_rate(plan, run.step - 1), "skipped": run.skipped},
                )
                bar.set_postfix(loss=f"{run.loss:.4f}")
            if run.step % plan.save_every == 0 or run.step == end:
                run.save()
    if run.step >= plan.steps and not math.isfinite(run.loss):
        raise InputError(
            sentence(
                f"the loss is {run.loss:g} after {run.step:,} steps, {run.skipped:,} of them without a finite gradient",
                expected="a finite one",
                why="the weights are of no use and were not stored as a model",
                remedy=f"Pretrain into another folder with a lower [steps] learning_rate than {plan.learning_rate:g}",
            )
        )
    run.model.save_pretrained(target, dtype=torch.float16 if half else torch.float32)
    n_parameters = sum(value.numel() for value in run.parameters)
    return Pretrained(str(target), run.step, run.loss, run.seconds, n_parameters, str(place))


def _device(name: str) -> torch.device:
    try:
        place = torch.device(name)
        torch.zeros(1, device=place).item()  # "meta" holds no numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            sentence(f"device={name!r}", expected="a device of this machine", why=str(error).splitlines()[0])
        ) from error
    return place


_COUNTERS = ("step", "seconds", "skipped", "loss", "sum", "count")


@dataclass
class _Run:
    """A run between two steps."""

    recipe: Recipe
    folder: Path
    device: torch.device
    model: InContextGPT
    parameters: list[Tensor]
    optimiser: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    loss: float = math.nan
    sum: float = 0.0  # of the losses since the last line of the log, and how many they are
    count: int = 0

    @classmethod
    def begin(cls, recipe: Recipe, folder: Path, device: torch.device) -> _Run:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.steps.seed)
            model = InContextGPT(recipe.model).to(device)
        parameters = [value for value in model.parameters() if value.requires_grad]
        betas = (0.9, recipe.steps.beta2)
        optimiser = torch.optim.AdamW(parameters, lr=0.0, betas=betas, weight_decay=recipe.steps.weight_decay)
        run = cls(recipe, folder, device, model, parameters, optimiser)
        if (folder / _LAST).exists():
            run._restore()
        _rewind(folder / _LOG, run.step)
        return run

    def advance(self) -> float:
        """Take one step and return its loss; a step whose gradient is not finite is skipped and counted."""
        plan = self.recipe.steps
        X, y = (
            torch.as_tensor(part, dtype=torch.float32).to(self.device)
            for part in draw_prompts(self.recipe, self.step)
        )
        self.optimiser.zero_grad(set_to_none=True)
        half = self.device.type == "cuda"
        with torch.autocast("cuda", dtype=torch.bfloat16) if half else contextlib.nullcontext():
            predicted = self.model(X, y)
        loss = F.huber_loss(predicted.float(), y, delta=plan.huber)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, plan.clip)
        if torch.isfinite(norm):
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(plan, self.step)
            self.optimiser.step()
        else:
            self.skipped += 1
        self.step += 1
        return float(loss.detach())

    def save(self) -> None:
        """Write the checkpoint: weights, moments, and the recipe they belong to."""
        tensors = {}
        for number, value in enumerate(self.parameters):
            tensors[f"weight.{number}"] = value.detach().contiguous()
            for key, moment in self.optimiser.state[value].items():
                tensors[f"{key}.{number}"] = moment.contiguous()
        counters = {key: getattr(self, key) for key in _COUNTERS}
        metadata = {"recipe": json.dumps(self.recipe.to_dict()), "counters": json.dumps(counters)}
        payload = save(tensors, metadata=metadata)  # save_file makes files that nobody else can read
        replace_file(self.folder / _LAST, lambda staged: staged.write_bytes(payload))

    def _restore(self) -> None:
        path = self.folder / _LAST
        try:
            with safe_open(path, framework="pt", device=str(self.device)) as file:
                metadata = file.metadata()
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            recipe, counters = dict(json.loads(metadata["recipe"])), json.loads(metadata["counters"])
            counters = {key: float(counters[key]) for key in _COUNTERS}
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise _damaged(path, error) from error
        if recipe != json.loads(json.dumps(self.recipe.to_dict())):
            changed = _first_difference(recipe, json.loads(json.dumps(self.recipe.to_dict())))
            raise InputError(
                sentence(
                    f"{self.folder} holds a run of another recipe: {changed}",
                    expected="the recipe it was begun with",
                    remedy="Choose another --out folder",
                )
            )
        try:
            with torch.no_grad():
                for number, value in enumerate(self.parameters):
                    value.copy_(tensors[f"weight.{number}"])
                    state = {key: tensors[f"{key}.{number}"] for key in ("step", "exp_avg", "exp_avg_sq")}
                    state["step"] = state["step"].cpu()
                    self.optimiser.state[value] = state
        except (KeyError, RuntimeError) as error:  # tensors that are not there, or of another shape
            raise _damaged(path, error) from error
        for key, value in counters.items():
            setattr(self, key, type(getattr(self, key))(value))


def _damaged(path: Path, error: Exception) -> StoreError:
    return StoreError(
        sentence(
            f"{path} is damaged: {' '.join(str(error).split())}",
            remedy="Delete it to begin again, or choose another folder",
        )
    )


def _first_difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> str:
    for key in sorted(set(old) | set(new)):
        was, wanted = old.get(key), new.get(key)
        if was != wanted:
            if isinstance(was, dict) and isinstance(wanted, dict):
                return _first_difference(was, wanted, f"{prefix}{key}.")
            return f"{prefix}{key} was {was!r} and is {wanted!r}"
    return "nothing differs"


def _log(folder: Path, line: dict[str, Any]) -> None:
    with (folder / _LOG).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({key: _plain(value) for key, value in line.items()}) + "\n")


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rewind(path: Path, step: int) -> None:
    """Drop lines of steps that a killed run logged after its last checkpoint; they come again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the kill cut the last line
            continue
        if isinstance(entry, dict) and entry.get("step", 0) <= step:
            kept.append(line + "\n")
    staged = path.with_name(path.name + ".part")
    staged.write_text("".join(kept), encoding="utf-8")
    os.replace(staged, path)
