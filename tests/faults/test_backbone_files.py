"""Weights that are not there, belong to something else, or come with a package that is not known: one sentence each."""

from __future__ import annotations

import importlib.metadata
import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import testtime
from tests.support.commands import run
from tests.support.foreign import tabicl_checkpoint, tabpfn_checkpoint
from testtime import TTTClassifier
from testtime.backbones import checkpoints
from testtime.backbones.registry import load_backbone
from testtime.backbones.tabpfn import TabPFNBackbone
from testtime.errors import BackboneError, InputError, MissingExtra, StoreError

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    damaged = folder / "damaged.ckpt"
    damaged.write_bytes(tabicl_checkpoint(folder, "classifier").read_bytes()[:2000])
    other = folder / "other.ckpt"
    torch.save({"weights": torch.zeros(3)}, other)
    wide = tabicl_checkpoint(folder, "classifier", seed=5)
    content = torch.load(wide, weights_only=True)
    torch.save({**content, "config": {**content["config"], "embed_dim": 16}}, folder / "misfit.ckpt")
    torch.save({**content, "config": {**content["config"], "new_in_version_3": 1}}, folder / "newer.ckpt")
    broken = {name: tensor * float("nan") for name, tensor in content["state_dict"].items()}
    torch.save({**content, "state_dict": broken}, folder / "not finite.ckpt")
    torch.save({**content, "config": None}, folder / "no config.ckpt")
    torch.save({**content, "config": {**content["config"], "icl_nhead": 0}}, folder / "no heads.ckpt")
    (folder / "empty.ckpt").touch()
    return {
        **{name: folder / f"{name}.ckpt" for name in ("not finite", "no config", "no heads", "empty")},
        "tabicl": tabicl_checkpoint(folder, "classifier"),
        "tabicl regressor": tabicl_checkpoint(folder, "regressor"),
        "tabpfn": tabpfn_checkpoint(folder, "v2.6", "classifier"),
        "tabpfn v3": tabpfn_checkpoint(folder, "v3", "classifier"),
        "damaged": damaged,
        "other": other,
        "misfit": folder / "misfit.ckpt",
        "newer": folder / "newer.ckpt",
    }


def said(name: object, task: str = "classifier", kind: type[Exception] = BackboneError) -> str:
    with pytest.raises(kind) as error:
        load_backbone(name, task)
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith((".", "?"))
    return text


@pytest.mark.parametrize("family", ["tabicl", "tabpfn"])
class TestFiles:
    def test_that_are_missing(self, family: str):
        assert "'/nowhere/weights.ckpt'" in said(f"{family}:/nowhere/weights.ckpt")

    @pytest.mark.parametrize("where", ["~nobody-of-this-name/weights.ckpt", "w" * 300])
    def test_of_names_that_cannot_be_looked_up(self, family: str, where: str):
        assert "there is no checkpoint" in said(f"{family}:{where}")

    def test_that_are_no_longer_those_of_a_pickle(self, files: dict[str, Path], family: str, tmp_path: Path):
        weights = tmp_path / files[family].name
        shutil.copy(files[family], weights)
        pickled = pickle.dumps(load_backbone(f"{family}:{weights}", "classifier"))
        assert pickle.loads(pickled).name == f"{family}:{weights}"
        make = tabicl_checkpoint if family == "tabicl" else partial(tabpfn_checkpoint, version="v2.6")
        shutil.copy(make(tmp_path, task="classifier", seed=7), weights)
        with pytest.raises(BackboneError, match="are no longer those that were pickled"):
            pickle.loads(pickled)

    @pytest.mark.parametrize("what", ["damaged", "other"])
    def test_that_are_no_checkpoints(self, files: dict[str, Path], family: str, what: str):
        assert str(files[what]) in said(f"{family}:{files[what]}")

    def test_of_the_other_architecture(self, files: dict[str, Path], family: str):
        other = files["tabpfn" if family == "tabicl" else "tabicl"]
        assert str(other) in said(f"{family}:{other}")

    def test_of_a_classifier_for_a_regressor(self, files: dict[str, Path], family: str):
        assert "regressor" in said(f"{family}:{files[family]}", "regressor")


def test_a_regressor_for_a_classifier(files: dict[str, Path]):
    assert "holds a TabICL regressor" in said(f"tabicl:{files['tabicl regressor']}")


@pytest.mark.parametrize("what", ["misfit", "newer"])
def test_a_checkpoint_the_installed_tabicl_does_not_fit(files: dict[str, Path], what: str):
    assert "does not fit the installed tabicl" in said(f"tabicl:{files[what]}")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("empty", "it cannot be read: EOFError"),
        ("no config", "no 'config'"),
        ("no heads", "does not fit the installed tabicl"),
        ("not finite", "not finite"),
    ],
)
def test_checkpoints_of_tabicl_that_are_damaged(files: dict[str, Path], what: str, words: str):
    assert words in said(f"tabicl:{files[what]}")


def test_a_checkpoint_of_tabpfn_whose_weights_are_not_finite(files: dict[str, Path], tmp_path: Path):
    content = torch.load(files["tabpfn v3"], weights_only=False)
    content["state_dict"] = {name: tensor * float("nan") for name, tensor in content["state_dict"].items()}
    torch.save(content, tmp_path / files["tabpfn v3"].name)
    assert "not finite" in said(f"tabpfn:{tmp_path / files['tabpfn v3'].name}")


def test_names_that_are_not_known():
    assert "'tabicl'" in said("tabicI", kind=InputError)
    assert "expected one of" in said(3, kind=InputError)
    with pytest.raises(InputError, match=r"v2\.6"):
        TabPFNBackbone(version="v2.7")
    assert "expected one of 'v2'" in said("tabpfn:v4", kind=InputError)
    with pytest.raises(InputError, match="a file says its own version"):
        TabPFNBackbone("weights.ckpt", version="v2")


def test_tabicl_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    text = said("tabicl")
    assert "tabicl-classifier-v2" in text, "which file"
    assert "huggingface.co/jingang/TabICL" in text, "where from"
    assert "backbone='tabicl:PATH'" in text, "how to point to it"


class TestTabPFNDownloads:
    @pytest.fixture(autouse=True)
    def empty_cache(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("TABPFN_MODEL_CACHE_DIR", str(tmp_path))

    def answer(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        from tabpfn import model_loading

        monkeypatch.setattr(model_loading, "get_cache_dir", lambda: Path("/nowhere"))
        monkeypatch.setattr(model_loading, "download_model", lambda *args, **kwargs: [error])

    @pytest.mark.parametrize("version", ["v2", "v2.5", "v2.6", "v3", "v3.5"])
    def test_weights_that_cannot_be_downloaded(self, monkeypatch: pytest.MonkeyPatch, version: str):
        self.answer(monkeypatch, OSError("no network"))
        text = said(f"tabpfn:{version}")
        assert f"tabpfn-{version}-" in text, "which file"
        assert "'/nowhere'" in text, "where to put it"
        assert "backbone='tabpfn:PATH'" in text, "how to point to it"

    def test_a_licence_that_was_not_accepted(self, monkeypatch: pytest.MonkeyPatch):
        from tabpfn.errors import TabPFNLicenseError

        self.answer(monkeypatch, TabPFNLicenseError())
        text = said("tabpfn:v2.6")
        assert "licence of the TabPFN v2.6 weights was not accepted" in text
        assert "TABPFN_TOKEN" in text


@pytest.mark.parametrize(
    ("family", "installed"), [("tabicl", "3.0.1"), ("tabicl", "2.1"), ("tabpfn", "10.0")]
)
def test_a_package_of_a_version_that_is_not_known(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, family: str, installed: str
):
    monkeypatch.setattr(checkpoints, "version", lambda package: installed)
    text = said(f"{family}:{files[family]}")
    assert f"{family} {installed} is installed" in text
    assert "pip install" in text


def test_a_package_that_is_not_installed(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    def missing(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(checkpoints, "version", missing)
    assert "testtime[tabpfn]" in said(f"tabpfn:{files['tabpfn']}", kind=MissingExtra)


def table(n_rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 4))
    return x, (x[:, 0] > 0).astype(int)


def test_more_rows_than_a_cpu_takes(files: dict[str, Path]):
    x, y = table(1200)
    with pytest.raises(InputError, match=r"n_context=1,100 on a CPU.*at most 1,000"):
        TTTClassifier(backbone=f"tabpfn:{files['tabpfn']}", n_context=1100, n_steps=0).fit(x, y)
    plain = TTTClassifier(backbone=f"tabpfn:{files['tabpfn']}", n_steps=0, n_members=1).fit(x, y)
    assert plain.adaptation_.n_context == 1000
    assert "draw of 1,000 of 1,200 rows" in plain.adaptation_.explain()


@pytest.fixture
def saved(files: dict[str, Path], tmp_path: Path) -> Callable[[], tuple[Path, Path, np.ndarray]]:
    """A saved model, the checkpoint it was fitted with, and what it predicts."""

    def make() -> tuple[Path, Path, np.ndarray]:
        weights = tmp_path / "weights.ckpt"
        shutil.copy(files["tabicl"], weights)
        x, y = table()
        estimator = TTTClassifier(backbone=f"tabicl:{weights}", n_steps=2, n_members=1, guard=False).fit(x, y)
        estimator.save(tmp_path / "model")
        return tmp_path / "model", weights, estimator.predict_proba(x)

    return make


def test_a_saved_model_says_which_weights_it_misses_and_takes_them_from_elsewhere(saved):
    model, weights, expected = saved()
    moved = weights.with_name("moved.ckpt")
    weights.rename(moved)
    with pytest.raises(StoreError, match=r"weights\.ckpt") as error:
        testtime.load(model)
    assert "backbone=" in str(error.value)
    again = testtime.load(model, backbone=f"tabicl:{moved}")
    assert np.array_equal(again.predict_proba(table()[0]), expected)


def test_a_saved_model_refuses_other_weights(saved, files: dict[str, Path], tmp_path: Path):
    model, weights, _ = saved()
    other = tabicl_checkpoint(tmp_path, "classifier", seed=9)
    with pytest.raises(StoreError, match="base model"):
        testtime.load(model, backbone=f"tabicl:{other}")
    shutil.copy(other, weights)
    with pytest.raises(StoreError, match="base model"):
        testtime.load(model)


def test_the_command_line_says_it_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    x, y = table()
    pd.DataFrame(x).assign(target=y).to_csv(tmp_path / "train.csv", index=False)
    words = ["--target", "target", "--out", tmp_path / "model", "--backbone", "tabicl:nowhere.ckpt"]
    code, _, stderr = run(capsys, "adapt", tmp_path / "train.csv", *words)
    assert code == 2
    assert "nowhere.ckpt" in stderr
    assert not (tmp_path / "model").exists()
