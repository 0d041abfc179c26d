import threading
import warnings

import pytest
import torch
from torch import nn

from bench.training_counting import (
    Watch,
    flop_counter,
    interval_of_median,
    seconds_each,
    waiting_places,
)


def test_products_of_matrices_and_their_gradients_are_counted() -> None:
    layer, x = nn.Linear(32, 16, bias=False), torch.randn(8, 32, requires_grad=True)
    with flop_counter() as counter:
        torch.autograd.backward(layer(x).sum())
    once = 2 * 8 * 32 * 16
    # Backward: one product for the weights, one for the input.
    assert counter.get_total_flops() == 3 * once


def test_attention_on_the_cpu_is_counted() -> None:
    query, key, value = (torch.randn(2, 3, 64, 16, requires_grad=True) for _ in range(3))
    with flop_counter() as counter:
        found = nn.functional.scaled_dot_product_attention(query, key, value)
    forward = counter.get_total_flops()
    with flop_counter() as counter:
        torch.autograd.backward(found.sum())
    assert forward == 2 * (2 * 2 * 3 * 64 * 64 * 16)
    assert counter.get_total_flops() == 2.5 * forward


def test_a_watch_counts_one_step_and_never_asks_for_a_stop() -> None:
    one = torch.randn(4, 4)
    watch = Watch(items=3, window=3, device=torch.device("cpu"))
    answers = [watch() for _ in range(3)]
    for _ in range(6):
        _ = one @ one
        answers.append(watch())
    assert watch.flops == 2 * 4**3
    assert watch.steps == 6
    assert watch.encoding_seconds == pytest.approx((watch.ticks[2] - watch.ticks[0]) / 2)
    assert len(watch.cpu_seconds) == 3
    assert not any(answers)


def test_a_watch_counts_one_load_of_the_counted_step() -> None:
    one, large = torch.randn(4, 4), torch.randn(512, 512)
    watch = Watch(items=0, window=3, device=torch.device("cpu"))

    def load() -> torch.Tensor:
        _ = large @ large
        return one @ one

    for _ in range(5):
        loader = threading.Thread(target=lambda: watch.counted(load))
        loader.start()
        loader.join()
        watch()
    assert watch.flops == 0, "the step itself multiplied nothing"
    assert watch.load_flops == 2 * 4**3 + 2 * 512**3
    # The product is held besides what exists; the batch counts where the step reads it.
    assert 512 * 512 * 4 <= watch.load_bytes < 512 * 512 * 4 + 1000


def test_a_watch_without_encoding_has_no_seconds_for_it() -> None:
    watch = Watch(items=0, window=3, device=torch.device("cpu"), counts=False)
    for _ in range(4):
        watch()
    assert (watch.encoding_seconds, watch.flops, watch.steps) == (0.0, 0, 4)


def test_work_is_done_as_often_as_asked_for() -> None:
    calls: list[int] = []
    assert seconds_each(lambda: calls.append(1), torch.device("cpu"), 7) > 0
    assert len(calls) == 7


def test_the_interval_of_a_median_holds_it_and_leaves_outliers_out() -> None:
    low, high = interval_of_median([1.0, 2.0, 3.0, 2.0, 2.0, 1.0, 3.0, 2.0, 2.0, 90.0, 2.0])
    assert 1.0 <= low <= 2.0 <= high <= 3.0


def test_only_warnings_of_waiting_name_places() -> None:
    caught = [
        warnings.WarningMessage(message, UserWarning, "/somewhere/teacher.py", 60)
        for message in ("called a synchronizing CUDA operation", "something else")
    ]
    assert waiting_places(caught) == ["teacher.py:60"]
