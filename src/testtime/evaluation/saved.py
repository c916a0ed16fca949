"""What a saved model and the documents beside it say, as the numbers a report is drawn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from testtime.estimators.saved import read_meta
from testtime.report.html import ReportData
from testtime.results import Adaptation
from testtime.store import open_adapter

__all__ = ["report_data"]


def report_data(model: Path, evaluation: dict[str, Any] | None = None) -> ReportData:
    """Collect what a saved model and the documents beside it say.

    Parameters
    ----------
    model
        Folder of the model.
    evaluation
        Scores to show instead of the saved ones.

    Raises
    ------
    StoreError
        If the folder holds no model or a file was changed.
    """
    with open_adapter(model) as saved:
        meta, versions = read_meta(saved, str(model)), saved.versions
        saved.contents()  # no page is drawn of a model that could not be loaded: every byte of it is checked
        training = saved.document("training") or {}
        evaluation = evaluation or saved.document("evaluation")
    return ReportData(
        title=f"testtime: {training.get('target', model.name)}",
        adaptation=Adaptation.from_dict(meta.table.record.model_dump()),
        settings=meta.params,
        versions=versions,
        evaluation=evaluation,
        table=training.get("table"),
        notes=tuple(training.get("notes", ())),
    )
