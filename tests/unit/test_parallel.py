"""Pieces of work side by side: in order, on one thread each, free of the caller's torch state, and stoppable."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from testtime.adapt.budget import Budget
from testtime.adapt.parallel import available_cores, side_by_side


def test_nothing_to_do_is_nothing_done():
    assert side_by_side([]) == []


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_answers_come_in_the_order_of_the_pieces(workers: int | None):
    def piece(number: int) -> int:
        time.sleep(0.002 * (7 - number))
        return number

    assert side_by_side([lambda n=n: piece(n) for n in range(8)], workers=workers) == list(range(8))


def test_pieces_run_at_the_same_time():
    """Each waits for the other one; one after the other they would wait for ever."""
    meeting = threading.Barrier(2, timeout=20)
    assert sorted(side_by_side([meeting.wait, meeting.wait], workers=2)) == [0, 1]


def test_no_more_threads_than_asked_for():
    running, most, lock = [0], [0], threading.Lock()

    def piece() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    side_by_side([piece] * 8, workers=3)
    assert 1 <= most[0] <= 3
    assert available_cores() >= 1


@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_piece_has_one_thread_and_the_caller_keeps_its_own(before: int):
    own = torch.get_num_threads()
    torch.set_num_threads(before)
    try:
        assert side_by_side([torch.get_num_threads] * 3, workers=2) == [1, 1, 1]
        assert torch.get_num_threads() == before
        with pytest.raises(ZeroDivisionError):
            side_by_side([lambda: 1 // 0])
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(own)


def torch_state() -> tuple[bool, bool, bool]:
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
def test_the_state_of_the_caller_does_not_reach_a_piece(context):
    with context():
        assert torch_state() != (True, False, False)
        assert side_by_side([torch_state] * 2) == [(True, False, False)] * 2


@pytest.mark.parametrize("error", [ValueError("bad"), MemoryError(), KeyboardInterrupt()], ids=repr)
def test_what_a_piece_raises_reaches_the_caller_after_the_others_have_ended(error: BaseException):
    ended, budget, begun = [], Budget(), threading.Event()

    def fails() -> None:
        begun.wait(20)
        raise error

    def works_on() -> None:
        begun.set()
        until = time.monotonic() + 20
        while budget.fits(0.0) and time.monotonic() < until:
            time.sleep(0.001)
        ended.append(budget.fits(0.0))

    with pytest.raises(type(error)) as caught:
        side_by_side([fails, works_on], workers=2, budget=budget)
    assert caught.value is error
    assert ended == [False], "told to stop, and waited for"


def test_pieces_that_have_not_begun_are_dropped():
    done = []

    def fails() -> None:
        raise ValueError("first")

    def works(number: int) -> None:
        time.sleep(0.01)
        done.append(number)

    with pytest.raises(ValueError, match="first"):
        side_by_side([fails, *[lambda n=n: works(n) for n in range(500)]], workers=1)
    assert len(done) < 250


def test_threads_do_not_stay():
    before = threading.active_count()
    side_by_side([lambda: None] * 10, workers=4)
    assert threading.active_count() == before
