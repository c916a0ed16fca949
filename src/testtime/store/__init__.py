"""Bytes on disk: a saved adapter is whole, unchanged and for this base model, or it is refused."""

from testtime.store.adapter import (
    add_document,
    load_adapter,
    read_document,
    read_meta,
    refuse_existing,
    save_adapter,
)

__all__ = ["add_document", "load_adapter", "read_document", "read_meta", "refuse_existing", "save_adapter"]
