"""``testtime doctor``: is everything there, is it whole, how fast is this machine."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from testtime.cli.output import echo_json
from testtime.errors import TestTimeError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check versions, extras, weights, processor, folders and disk, and time a tiny fit.

    Exit code 1 if something is broken; what is only missing is listed with what to do.
    """
    from testtime.cli import machine
    from testtime.store.manifest import installed_versions

    found: dict[str, Any] = {"versions": installed_versions(), "problems": []}
    found |= {name: getattr(machine, name)() for name in ("extras", "hardware", "places", "checkpoints")}
    found["advice"] = machine.advice(found)
    for check in (_weights, _tiny_fit):
        try:
            found |= check()
        except TestTimeError as error:
            found["problems"].append(str(error))
    if not found.get("predictions_finite", True):
        found["problems"].append("Predictions of the tiny fit are no numbers. Install PyTorch again.")
    if as_json:
        echo_json(found)
    else:
        for line in _lines(found):
            typer.echo(line)
    if found["problems"]:
        raise typer.Exit(1)


def _weights() -> dict[str, Any]:
    """Load the embedded models; loading compares their bytes with the recorded hash."""
    from testtime.backbones.embedded import GENERATIONS, load_embedded

    for task, folders in GENERATIONS.items():
        for generation in folders:
            load_embedded(task, generation)
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


def _lines(found: dict[str, Any]) -> list[str]:
    machine = found["hardware"]
    memory = f", {machine['memory_gb']:.1f} GB memory" if machine["memory_gb"] else ""
    threads = f"{machine['cores']} cores, {machine['threads']} threads, {machine['cpu_capability']}"
    lines = [
        "versions   " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        f"machine    {threads}{memory}, CUDA: {machine['cuda'] or 'none'}",
    ]
    for extra, packages in found["extras"].items():
        there = ", ".join(f"{name} {version or 'not installed'}" for name, version in packages.items())
        lines.append(f"extra      {extra}: {there}")
    for name, place in found["places"].items():
        state = "writable" if place["writable"] else "not writable"
        lines.append(f"folder     {name}: {place['path']}, {state}, {place['free_bytes'] / 1e9:.1f} GB free")
    for package, paths in found["checkpoints"].items():
        lines.append(f"weights    {package}: {', '.join(paths) or 'none here'}")
    if "weights_sha256" in found:
        hashes = f"{found['weights_sha256'][:16]}, of the regressor {found['regressor_sha256'][:16]}"
        lines.append(f"weights    embedded: ok, sha256 {hashes}")
    if "tiny_fit_seconds" in found:
        seconds = (
            f"{found['tiny_fit_seconds']:.2f} s to fit, {found['tiny_predict_seconds']:.2f} s to predict"
        )
        lines.append(f"tiny fit   300 rows, one step: {seconds}")
    lines += [f"to do      {line}" for line in found["advice"]]
    lines += [f"PROBLEM    {problem}" for problem in found["problems"]]
    lines.append("everything works" if not found["problems"] else "see the problems above")
    return lines
