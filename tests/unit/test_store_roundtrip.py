"""What is saved comes back exactly; what cannot be saved is refused before anything is written."""

import numpy as np
import pytest

from tests.support.adapters import BASE, LEVELS, content, document, load, save, tree
from testtime.errors import StoreError
from testtime.store import add_document, save_adapter


def test_the_order_of_entries_is_kept(tmp_path):
    save_adapter(tmp_path / "adapter", {}, {"b": 1, "a": {"z": 1, "c": 2}}, base_fingerprint=BASE)
    add_document(tmp_path / "adapter", "columns", {"second": 1, "first": 2})
    _, _, meta = load(tmp_path / "adapter")
    assert list(meta) == ["b", "a"]
    assert list(meta["a"]) == ["z", "c"]
    assert list(document(tmp_path / "adapter", "columns")) == ["second", "first"]


def same(first, second):
    return type(first) is type(second) and (first == second or (first != first and second != second))


def test_everything_comes_back_exactly(tmp_path):
    save(tmp_path / "deep" / "adapter")
    tensors, arrays, meta = load(tmp_path / "deep" / "adapter")
    given_tensors, given_meta, given_arrays = content()
    assert meta == given_meta
    for given, found in ((given_tensors, tensors), (given_arrays, arrays)):
        assert set(given) == set(found)
        for name in set(given) - {"levels"}:
            assert found[name].dtype == given[name].dtype
            assert found[name].shape == given[name].shape
            assert np.array_equal(found[name], given[name])
    assert all(same(*pair) for pair in zip(arrays["levels"], LEVELS, strict=True))
    assert load(tmp_path / "deep" / "adapter")[2] == given_meta


def test_torch_tensors_come_back_as_numpy(tmp_path):
    import torch

    tensors = {
        "float": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
        "brain": torch.tensor([1.0, 3.140625], dtype=torch.bfloat16),
        "trained": torch.nn.Parameter(torch.ones(2)),
    }
    save_adapter(tmp_path / "adapter", tensors, {}, base_fingerprint=BASE)
    found, _, _ = load(tmp_path / "adapter")
    assert found["float"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["brain"].tolist() == [1.0, 3.140625]
    assert found["trained"].tolist() == [1, 1]


def test_same_content_gives_same_bytes(tmp_path):
    save(tmp_path / "one")
    save(tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"tensors": {"a": np.array([1 + 2j], dtype=np.clongdouble)}},
            "'a' of type complex",
        ),
        ({"arrays": {"a": np.array(["2020-01-01"], dtype="datetime64[D]")}}, "cannot be saved"),
        ({"arrays": {"a": np.array([b"x"], dtype=object)}}, "label b'x' of type bytes"),
        ({"meta": {"a": {1, 2}}}, "of type set cannot be saved"),
        ({"meta": {1: "a"}}, "key 1 cannot be saved"),
        ({"meta": {3: "nan"}}, "cannot be saved"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path, change, said):
    arguments = {"tensors": {}, "meta": {}} | change
    with pytest.raises(StoreError, match=said):
        save_adapter(tmp_path / "adapter", **arguments, base_fingerprint=BASE)
    assert list(tmp_path.iterdir()) == []
