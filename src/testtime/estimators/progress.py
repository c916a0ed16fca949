"""A progress bar that exists only when asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress"]


@contextmanager
def progress(
    verbose: int,
) -> Iterator[tuple[Callable[[int], None] | None, Callable[[int, float], None] | None]]:
    """Yield callbacks for the number of steps of all adapters and for each step; both None when `verbose` is 0."""
    if not verbose:
        yield None, None
        return
    from tqdm import tqdm

    lock = threading.Lock()  # adapters are trained side by side
    with tqdm(desc="adapting", unit="step") as bar:

        def on_plan(n_steps: int) -> None:
            bar.reset(total=n_steps)

        def on_step(done: int, loss: float) -> None:
            with lock:
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                bar.update(1)

        yield on_plan, on_step
