"""Which images a step sees, however it is cut into passes and dealt out."""

from hypothesis import given
from hypothesis import strategies as st

from method.training.config import Config, Model, Optimization, Scale
from worker.training.plan import Plan, make_plan

SHAPES = st.lists(st.sampled_from([(8, 8), (8, 4), (4, 8)]), min_size=1, max_size=60)


def config(**options: int) -> Config:
    return Config(
        run_folder="run",
        dataset_folder="dataset",
        model=Model(path="model"),
        expert="expert",
        seed=3,
        scale=Scale(processes=options.pop("processes", 1)),
        optimization=Optimization(**options),  # type: ignore[arg-type]  # all are whole numbers
    )


def plan(shapes: list[tuple[int, int]], rank: int = 0, **options: int) -> Plan:
    return make_plan(shapes, config(**options), rank, options.get("processes", 1))


def test_each_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    made = plan([(8, 8)] * 10, epochs=2, batch_size=2, gradient_accumulation=2)
    assert (made.steps_per_epoch, made.total_steps) == (3, 6)
    epochs = [
        [i for step in steps for i in made.images(step)] for steps in (range(1, 4), range(4, 7))
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]
    assert [each.indices for each in made.passes(3)] == [made.images(3)]


def test_max_steps_decides_over_epochs() -> None:
    made = plan([(8, 8)] * 10, epochs=2, max_steps=50, batch_size=4)
    assert made.total_steps == 50
    assert made.epoch_of(50) == 16


@given(SHAPES, st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_passes_hold_the_step_whatever_the_split(
    shapes: list[tuple[int, int]], batch_size: int, accumulation: int, processes: int
) -> None:
    options = {
        "batch_size": batch_size,
        "gradient_accumulation": accumulation,
        "processes": processes,
        "epochs": 2,
    }
    ranks = [plan(shapes, rank, **options) for rank in range(processes)]
    effective = batch_size * accumulation * processes
    seen = []
    for step in range(1, ranks[0].total_steps + 1):
        by_rank = [rank.passes(step) for rank in ranks]
        # As many passes everywhere: processes wait for each other at every one.
        assert len({len(passes) for passes in by_rank}) == 1
        flat = [each for passes in by_rank for each in passes]
        assert all(len({shapes[i] for i in each.indices}) == 1 for each in flat)
        assert all(1 <= len(each.indices) <= batch_size for each in flat)
        real = [
            index
            for each in flat
            for index, weight in zip(each.indices, each.weights, strict=True)
            if weight
        ]
        assert sorted(real) == sorted(ranks[0].images(step))
        assert 1 <= len(real) <= effective
        seen += real
    assert sorted(seen) == sorted(list(range(len(shapes))) * 2)


@given(SHAPES, st.sampled_from([(4, 1, 1), (2, 2, 1), (1, 4, 1), (2, 1, 2), (1, 1, 4), (1, 2, 2)]))
def test_accumulation_and_processes_see_what_one_larger_batch_sees(
    shapes: list[tuple[int, int]], split: tuple[int, int, int]
) -> None:
    batch_size, accumulation, processes = split
    large = plan(shapes, batch_size=4, max_steps=20)
    small = plan(
        shapes,
        batch_size=batch_size,
        gradient_accumulation=accumulation,
        processes=processes,
        max_steps=20,
    )
    assert all(large.images(step) == small.images(step) for step in range(1, 21))


@given(SHAPES)
def test_full_steps_are_of_one_shape(shapes: list[tuple[int, int]]) -> None:
    made = plan(shapes, batch_size=4)
    full = sum(shapes.count(shape) // 4 for shape in set(shapes))
    of_one_shape = [len({shapes[i] for i in made.images(step)}) == 1 for step in range(1, full + 1)]
    # Only what is left over of each shape is put together, at the end of the epoch.
    assert all(of_one_shape)
    assert made.steps_per_epoch - full == -(-(len(shapes) - 4 * full) // 4)
