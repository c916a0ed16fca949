"""Bytes on disk: a saved adapter is whole, unchanged and for this base model, or it is refused."""

from testtime.store.forms import Form, check_forms
from testtime.store.reading import SavedAdapter, open_adapter
from testtime.store.records import Record, damaged
from testtime.store.writing import add_document, add_page, refuse_existing, save_adapter

__all__ = [
    "Form",
    "Record",
    "SavedAdapter",
    "add_document",
    "add_page",
    "check_forms",
    "damaged",
    "open_adapter",
    "refuse_existing",
    "save_adapter",
]
