"""A progress bar that exists only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from testtime.estimators.rowplan import RowPlan

__all__ = ["progress"]


@contextmanager
def progress(
    verbose: int,
) -> Iterator[tuple[Callable[[RowPlan], None] | None, Callable[[int, float], None] | None]]:
    """Yield callbacks for the plan and for each step; both None when `verbose` is 0."""
    if not verbose:
        yield None, None
        return
    from tqdm import tqdm

    with tqdm(desc="adapting", unit="step") as bar:
        planned = 0

        def on_plan(plan: RowPlan) -> None:
            nonlocal planned
            planned = plan.n_steps
            bar.reset(total=planned)

        def on_step(done: int, loss: float) -> None:
            if done == 1:  # a fold or a member begins; the one before may have ended early
                bar.total = bar.n + planned
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            bar.update(1)

        yield on_plan, on_step
