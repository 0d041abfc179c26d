import threading

import torch
from torch import Tensor, nn

from bench.training_memory import TensorMemory

MB = 2**20


def of(megabytes: int) -> Tensor:
    return torch.zeros(megabytes * MB // 4)


def test_the_most_that_is_held_at_once_is_counted() -> None:
    kept = of(3)
    with TensorMemory("cpu") as memory:
        before = memory.now
        one = of(2)
        other = one + 1
        _ = other.view(2, -1)[0]
        del one
        _ = of(1)
    assert before >= 3 * MB
    assert memory.peak - before == 4 * MB
    assert memory.now - before == 2 * MB + MB
    assert len(kept)


def test_what_a_backward_pass_waits_for_is_held() -> None:
    layer = nn.Linear(256, 256, bias=False)
    x = torch.randn(1024, 256)
    with TensorMemory("cpu") as memory:
        before = memory.now
        found = layer(x).exp().sum()
        assert memory.now - before >= MB, "exp keeps its result"
        torch.autograd.backward(found)
        del found
    assert memory.now - before == 256 * 256 * 4, "the gradient stays"


def test_what_another_thread_made_is_counted_when_it_is_read() -> None:
    with TensorMemory("cpu") as memory:
        before, made = memory.now, []
        thread = threading.Thread(target=lambda: made.append(of(5)))
        thread.start()
        thread.join()
        assert memory.now == before
        made[0].sum()
        assert memory.now - before >= 5 * MB


def test_tensors_of_other_devices_do_not_count() -> None:
    with TensorMemory("cuda") as memory:
        of(1)
    assert memory.peak == 0
