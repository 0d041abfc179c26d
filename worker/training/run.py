"""One run from its config to its result, in its run folder: locked, logged, and taken up where it was left."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from method.run_folder import LOG, PROGRESS
from method.training.config import Config
from method.training.config_checks import refuse_unread
from method.training.failures import Stopped
from worker.training.disk import ended_by
from worker.training.engine import Engine
from worker.training.going_back import StartAnew
from worker.training.metrics import (
    Progress,
    State,
)
from worker.training.run_folder import (
    locked,
    log_to,
    read_result,
    refuse_other_config,
)
from worker.training.under_way import Run

log = logging.getLogger(__name__)


def run(config: Config, stop_asked: Callable[[], bool] = lambda: False) -> None:
    """Train as the config says, resuming if the run folder holds an unfinished run.

    Raises one of method.training.failures.Ended; Stopped once `stop_asked` says so.
    """
    refuse_unread(config)
    folder = Path(config.run_folder)
    engine = Engine(config)
    if not engine.is_main:
        # What goes well, the main process says for all.
        logging.getLogger("worker.training").setLevel(logging.WARNING)
    with (
        locked(folder) if engine.is_main else nullcontext(),
        Progress(folder / PROGRESS if engine.is_main else None) as progress,
    ):
        logging_to = log_to(folder / LOG) if engine.is_main else logging.NullHandler()
        try:
            result = read_result(folder)
            if result is not None:
                refuse_other_config(config, folder, is_finished=True)
                log.info("This run is finished already; its result stands in result.json.")
                steps = result["steps"]
                progress.show("finished", step=steps, total_steps=steps)
            else:
                with engine.together():
                    _train(lambda: Run(config, folder, engine, progress, stop_asked), engine)
            progress.show("finished", "Finished.", eta_seconds=0.0)
        except BaseException as error:
            told = ended_by(error, folder)
            state: State = "stopped" if isinstance(told, Stopped) else "failed"
            progress.show(state, str(told) or type(told).__name__, eta_seconds=None)
            (log.info if isinstance(told, Stopped) else log.error)("%s", told)
            if told is error:
                raise
            raise told from error
        finally:
            logging.getLogger("worker.training").removeHandler(logging_to)
            logging_to.close()


def _train(make: Callable[[], Run], engine: Engine) -> None:
    """Run to the end, beginning again as often as a run without a checkpoint has to go back."""
    while True:
        try:
            make().go()
        except StartAnew:
            log.warning("No checkpoint is left: beginning again, with half the learning rate.")
            engine.forget()
        else:
            return
