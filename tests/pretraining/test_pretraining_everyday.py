"""Counts, rates, dates, repeated rows, missing for a reason, rare classes, weak signals, more quantiles."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pretraining.export import export
from pretraining.model import HEAD
from pretraining.prior import sample_batch
from pretraining.prior.draws import Draws
from pretraining.prior.everyday import count_and_rate, dates, entities, remove_for_a_reason, repeat_rows
from pretraining.prior.labels import draw_shares
from pretraining.prior.mixture import Tables, with_panels, with_repeats
from pretraining.prior.selection import skill
from pretraining.train import make_state, train
from tests.support.made_up import QUANTILES, SMALL_PRIOR, tiny_config


def test_counts_are_whole_and_rates_lie_between_0_and_1():
    draws = Draws(0)
    x = draws.normal(200, 60, 4)
    made = count_and_rate(draws, x)
    assert torch.isfinite(made).all()
    changed = (made - (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)).abs().amax(1) > 1e-3
    columns = made.transpose(1, 2)[changed]
    whole = (columns == columns.round()).all(1) & (columns >= 0).all(1)
    rate = ((columns >= 0) & (columns <= 1)).all(1)
    assert 0.2 < whole.float().mean() < 0.8
    assert 0.1 < (rate & ~whole).float().mean() < 0.6


def test_a_date_is_taken_apart_consistently():
    draws = Draws(1)
    made = dates(draws, draws.normal(50, 300, 6))
    day, year, month, weekday = made[..., 0], made[..., 1], made[..., 2], made[..., 3]
    assert torch.equal(day, day.floor())
    assert month.min() >= 0
    assert month.max() < 12
    assert weekday.min() >= 0
    assert weekday.max() <= 6
    torch.testing.assert_close(year, (day / 365.25).floor())
    assert torch.equal((day[:, :, None] - day[:, None]) % 7 == 0, weekday[:, :, None] == weekday[:, None])
    few = draws.normal(3, 10, 4)
    assert dates(draws, few) is few  # no room for four columns and another


def test_repeated_rows_bring_their_target_along():
    draws = Draws(2)
    source = repeat_rows(draws, 40, 200)
    share = (source != torch.arange(200)).float().mean(1)
    assert share.min() < 0.15
    assert 0.3 < share.max() < 0.6
    tables = Tables(draws.normal(40, 200, 5), draws.integers(9, 40, 200, 2), draws.integers(2, 40, 200))
    made = with_repeats(draws, tables)
    pairs = [
        (int(made.y[b, i] == made.y[b, j]), 1)
        for b in range(40)
        for i in range(60)
        for j in range(i)
        if (made.x[b, i] == made.x[b, j]).sum() >= 4
    ]
    assert len(pairs) > 30
    assert np.mean([same for same, _ in pairs]) > 0.85


def test_an_entity_has_two_to_twelve_rows_on_the_mean_of_a_table():
    rows_each = [600 / len(table.unique()) for table in entities(Draws(8), 200, 600)]
    assert 2 <= min(rows_each) < 3  # some entities of a table with two rows each are drawn by none
    assert 9 < max(rows_each) <= 12.5


def test_rows_of_an_entity_share_columns_and_mostly_the_target():
    draws = Draws(7)
    tables = Tables(draws.normal(60, 300, 6), draws.integers(90, 60, 300, 2), draws.integers(9, 60, 300))
    made = with_panels(draws, tables)
    alike, label = [], []
    for b in range(60):
        # columns without a step are equal among the rows of an entity, so a value that occurs twice names it
        for column in made.x[b].T:
            _, entity, count = column.unique(return_inverse=True, return_counts=True)
            if count.max() > 1:
                same = (entity[:, None] == entity) & ~torch.eye(300, dtype=torch.bool)
                alike.append(float((made.code[b, :, 0][:, None] == made.code[b, :, 0])[same].float().mean()))
                label.append(float((made.y[b][:, None] == made.y[b])[same].float().mean()))
                break
    assert len(alike) > 40  # of 60 tables
    assert (
        np.mean(np.array(alike) > 0.99) > 0.4
    )  # the column of codes is the entity's in most tables, not in all
    assert np.mean(np.array(alike) < 0.2) > 0.1
    assert 0.3 < np.mean(label) < 0.7  # by chance .11; the target of 30 to 100% of the rows is their entity's
    only_codes = Tables(tables.x[:, :, :0], tables.code, tables.y)
    assert with_panels(draws, only_codes).x.shape == (60, 300, 0)


def test_values_go_missing_where_the_target_says_so():
    draws = Draws(3)
    y = draws.integers(2, 300, 200)
    made = remove_for_a_reason(draws, draws.normal(300, 200, 4), y)
    gone = made.isnan().float()
    rate = torch.stack([(gone * (y == c)[..., None]).sum(1) / (y == c).sum(1)[:, None] for c in (0, 1)])
    assert (rate[1] - rate[0]).abs().max() > 0.3
    assert 0.02 < gone.mean() < 0.4
    indicator = ((made == 0) | (made == 1)).all(1)
    assert 0.02 < indicator.float().mean() < 0.5


def test_rare_classes_have_between_one_and_ten_percent():
    draws = Draws(4, rare=1.0)
    share = draw_shares(draws, torch.full((200,), 3))
    torch.testing.assert_close(share.sum(1), torch.ones(200))
    assert share[:, 0].min() >= 0.0099
    assert share[:, 0].max() <= 0.1001
    assert share[:, 0].min() < 0.02


def test_weak_signals_of_rare_classes_pass_the_test_by_correlation_only():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(20, 2000, 3, generator=rng)
    y = (x[:, :, 0] + 2 * torch.randn(20, 2000, generator=rng) > 4.0).long()  # about 4%, AUC about .8
    noise = (torch.randn(20, 2000, generator=rng) > 1.7).long()
    assert skill(Draws(0), x, y).median() < 0.02
    assert skill(Draws(0), x, y, weak=True).median() > 0.1
    assert skill(Draws(0), x, noise, weak=True).median() < 0.06


def test_new_ingredients_are_off_by_default():
    plain = sample_batch(SMALL_PRIOR, 2, 3)
    named = dict.fromkeys(
        ("nominal", "counts", "dates", "repeats", "informative", "panels", "rare", "weak"), 0.0
    )
    assert torch.equal(plain.x, sample_batch(replace(SMALL_PRIOR, **named), 2, 3).x)


def test_a_regressor_with_more_quantiles_begins_where_the_other_ended(tmp_path):
    prior = replace(SMALL_PRIOR, regression=True)
    small = replace(tiny_config(steps=2), prior=prior, model=QUANTILES)
    train(small, tmp_path / "run")
    export(tmp_path / "run" / "last.safetensors", tmp_path)
    start = replace(small.train, start_from=str(tmp_path / "regressor.safetensors"))
    before = make_state(replace(small, train=start)).model
    after = make_state(replace(small, train=start, model={**QUANTILES, "num_quantiles": 19})).model
    x = torch.randn(7, after.state_dict()[f"{HEAD}.weight"].shape[1])
    own, finer = (model.icl_predictor.decoder[2](x) for model in (before, after))
    torch.testing.assert_close(finer[:, 1::2], own)  # levels k/10 are every other one of k/20
    torch.testing.assert_close(finer[:, 2:-2:2], (own[:, 1:] + own[:, :-1]) / 2)


@pytest.mark.parametrize("name", ["classifier_second", "regressor_second"])
def test_the_settings_of_the_second_generation_make_batches(name):
    from pathlib import Path

    from pretraining.config import load_config

    config = load_config(Path(__file__).parents[2] / "pretraining" / "configs" / f"{name}.toml")
    small = replace(config.prior, cells=2500, rows=(40, 80))
    for step in range(12):
        batch = sample_batch(small, 1, step)
        assert torch.isfinite(batch.x).all()
        assert batch.y.is_floating_point() == config.prior.regression
