"""Settings of a pretraining run: the family of tasks, the model, the steps; from TOML."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from testtime.errors import InputError, nearest, sentence
from testtime.models.gpt import GPTConfig

__all__ = ["PROBLEMS", "Curriculum", "Recipe", "Steps", "TaskLaw", "shipped_recipes"]

PROBLEMS = ("gpt2-links", "gpt2-linear")
"""Single-index tasks whose link may vary (Kuwataka and Suzuki, 2026), and linear tasks (Gozeten et al., 2025)."""

_Section = TypeVar("_Section")

_COUNT = "an integer of at least 1", lambda value: value >= 1
_POSITIVE = "a positive finite number", lambda value: _is_finite(value) and value > 0
_NOT_NEGATIVE = "a finite number that is not negative", lambda value: _is_finite(value) and value >= 0
_SEED = "an integer from 0 to 2**63 - 1", lambda value: 0 <= value < 2**63
_COEFFICIENTS = (
    "finite numbers, at least one",
    lambda values: len(values) > 0 and all(map(_is_finite, values)),
)
_SPREADS = (
    "finite numbers that are not negative, at least one",
    lambda values: len(values) > 0 and all(_is_finite(value) and value >= 0 for value in values),
)
_ALLOWED: dict[str, dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "steps": {
        **dict.fromkeys(("steps", "batch", "rows", "log_every", "save_every"), _COUNT),
        **dict.fromkeys(("learning_rate", "clip", "huber"), _POSITIVE),
        **dict.fromkeys(("warmup", "weight_decay"), _NOT_NEGATIVE),
        "final": ("a number from 0 to 1", lambda value: 0 <= value <= 1),
        "beta2": ("a number of at least 0 and below 1", lambda value: 0 <= value < 1),
        "seed": _SEED,
    },
    "curriculum": {"steps": _NOT_NEGATIVE, "first_rows": _COUNT, "first_dim": _COUNT},
    "task": {
        "noise": _NOT_NEGATIVE,
        "subspace_seed": _SEED,
        "link_centre": _COEFFICIENTS,
        "link_spread": _SPREADS,
        "variances": (
            "two positive numbers, the smaller first",
            lambda values: len(values) == 2 and all(map(_is_finite, values)) and 0 < values[0] <= values[1],
        ),
    },
}
"""What a setting may be, where its type does not say it."""


@dataclass(frozen=True)
class TaskLaw:
    """What tasks are drawn from; fields that the other problem uses are ignored.

    Attributes
    ----------
    rank, subspace_seed
        Links: dimension of the subspace that all directions lie in, and the seed it is drawn from.
    link_centre, link_spread
        Links: Hermite coefficient k is uniform in ``centre[k] +- spread[k]``.
    noise
        Size of the label noise: two-point for links, standard deviation of a Gaussian for linear tasks.
    variances
        Linear: smallest and largest variance of a coefficient; they are equally spaced between.
    """

    rank: int = 4
    subspace_seed: int = 0
    link_centre: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0, 0.0)
    link_spread: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.5)
    noise: float = 0.1
    variances: tuple[float, float] = (0.2, 1.8)


@dataclass(frozen=True)
class Curriculum:
    """Prompts grow from short ones in few inputs to full ones, linearly over the first `steps` steps.

    Attributes
    ----------
    steps
        0 for full prompts from the start.
    first_rows, first_dim
        Rows and inputs at step 0; inputs beyond are zero.
    """

    steps: int = 0
    first_rows: int = 16
    first_dim: int = 1


@dataclass(frozen=True)
class Steps:
    """The optimiser's steps.

    Attributes
    ----------
    steps, batch, rows
        Number of steps, prompts in a step, rows of a full prompt.
    learning_rate, warmup, final
        AdamW's rate after a linear warm-up of so many steps; a cosine takes it to `final` times the rate.
    beta2, weight_decay, clip
        Of AdamW, and the largest norm of a gradient.
    huber
        Errors beyond it count linearly: labels of cubic links are heavy tailed.
    seed
        Of weights and prompts.
    log_every, save_every
        Steps between two lines of the log, and between two checkpoints.
    """

    steps: int = 8000
    batch: int = 32
    rows: int = 64
    learning_rate: float = 1.5e-3
    warmup: int = 200
    final: float = 0.03
    beta2: float = 0.98
    weight_decay: float = 0.01
    clip: float = 1.0
    huber: float = 3.0
    seed: int = 0
    log_every: int = 100
    save_every: int = 500


@dataclass(frozen=True)
class Recipe:
    """A whole run.

    Attributes
    ----------
    problem
        One of :data:`PROBLEMS`.
    """

    problem: str
    model: GPTConfig
    task: TaskLaw = field(default_factory=TaskLaw)
    steps: Steps = field(default_factory=Steps)
    curriculum: Curriculum = field(default_factory=Curriculum)

    def __post_init__(self) -> None:
        if self.problem not in PROBLEMS:
            remedy = nearest(self.problem, PROBLEMS)
            raise InputError(sentence(f"problem={self.problem!r}", expected="a known one", remedy=remedy))
        for section, settings in _ALLOWED.items():
            for name, (expected, allowed) in settings.items():
                value = getattr(getattr(self, section), name)
                if not allowed(value):
                    raise InputError(sentence(f"[{section}] {name} = {value!s:.80}", expected=expected))
        if self.problem == "gpt2-links" and not 1 <= self.task.rank <= self.model.dim:
            got = f"[task] rank = {self.task.rank} with [model] dim = {self.model.dim}"
            raise InputError(sentence(got, expected="1 <= rank <= dim"))
        n_centres, n_spreads = len(self.task.link_centre), len(self.task.link_spread)
        if self.problem == "gpt2-links" and n_centres != n_spreads:
            got = f"[task] link_centre has {n_centres} entries and link_spread {n_spreads}"
            raise InputError(sentence(got, expected="one spread for each centre"))
        longest = self.model.max_rows
        if longest is not None and self.steps.rows > longest:
            raise InputError(
                sentence(
                    f"[steps] rows = {self.steps.rows}",
                    expected=f"at most [model] max_rows = {longest}",
                    why="the model has no position beyond",
                )
            )

    def quick(self) -> Recipe:
        """Return a run of a minute on a CPU: it shows that everything works, not what the model can learn."""
        model, steps = self.model, self.steps
        dim, width = min(model.dim, 8), min(model.width, 64)
        n_head = next(heads for heads in range(min(model.n_head, 4), 0, -1) if width % heads == 0)
        return dataclasses.replace(
            self,
            model=dataclasses.replace(
                model, dim=dim, width=width, n_layer=min(model.n_layer, 2), n_head=n_head
            ),
            task=dataclasses.replace(self.task, rank=min(self.task.rank, dim)),
            steps=dataclasses.replace(
                steps,
                steps=min(steps.steps, 200),
                warmup=min(steps.warmup, 20),
                rows=min(steps.rows, 32),
                batch=16,
            ),
            curriculum=dataclasses.replace(self.curriculum, steps=min(self.curriculum.steps, 50)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in the file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Make a recipe from plain data; what is left out takes its default.

        Raises
        ------
        InputError
            For a section or setting that does not exist, with the nearest name, or a value of another type.
        """
        sections: dict[str, type] = {
            "model": GPTConfig,
            "task": TaskLaw,
            "steps": Steps,
            "curriculum": Curriculum,
        }
        for key in data:
            if key != "problem" and key not in sections:
                remedy = nearest(key, ["problem", *sections])
                raise InputError(sentence(f"the recipe has a section {key!r}", remedy=remedy))
        if "problem" not in data:
            raise InputError(sentence("the recipe names no problem", expected=f"problem = one of {PROBLEMS}"))
        filled = {key: _fill(key, kind, data.get(key, {})) for key, kind in sections.items()}
        return cls(problem=data["problem"], **filled)

    @classmethod
    def load(cls, name: str) -> Recipe:
        """Return the recipe of this name that ships with the package.

        Raises
        ------
        InputError
            When there is none; the nearest name is offered.
        """
        if name not in shipped_recipes():
            raise InputError(
                sentence(f"there is no recipe {name!r}", remedy=nearest(name, shipped_recipes()))
            )
        return cls.from_dict(
            tomllib.loads(
                (files("testtime.experiments.in_context") / "recipes" / f"{name}.toml").read_text("utf-8")
            )
        )

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Return the recipe in a TOML file.

        Raises
        ------
        InputError
            When it cannot be read, or is no recipe.
        """
        try:
            return cls.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(sentence(f"{path} cannot be read: {error}", expected="a TOML file")) from error


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that ship with the package."""
    found = (files("testtime.experiments.in_context") / "recipes").iterdir()
    return tuple(sorted(path.name.removesuffix(".toml") for path in found if path.name.endswith(".toml")))


def _fill(section: str, kind: type[_Section], data: Any) -> _Section:
    if not isinstance(data, Mapping):
        raise InputError(sentence(f"{section} = {data!r}", expected=f"a section [{section}]"))
    known = {each.name: each for each in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    for key, value in data.items():
        if key not in known:
            raise InputError(sentence(f"[{section}] has no setting {key!r}", remedy=nearest(key, known)))
        annotation = str(known[key].type)
        fits = {
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, (int, float)) and not isinstance(value, bool),
            "str": isinstance(value, str),
        }.get(annotation.removesuffix(" | None"), isinstance(value, (list, tuple)))
        if not fits:
            raise InputError(
                sentence(f"[{section}] {key} = {value!r}", expected=f"a value of type {annotation}")
            )
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise InputError(sentence(f"[{section}] is incomplete: {error}")) from error
