"""Whether a stack pays, by measuring it on the runs themselves, which are left as they were."""

import copy
import time
from collections.abc import Sequence

import torch

from ablations.course import Course
from ablations.learner import Alone, Learner
from ablations.stack.learner import Stack

WARM, MEASURED = 2, 4  # steps
PAYS = 1.1  # times as fast: below that it is not worth the memory


def gain(courses: Sequence[Course]) -> float:
    """How many times as fast the runs' next steps are stacked as one run after the other; 0 where it cannot be tried.

    The quickest of a few steps each way, taken in turn, so that a busy machine is busy for both.
    """
    kept, on_gpu = torch.get_rng_state(), courses[0].place.device.type == "cuda"
    kept_there = torch.cuda.get_rng_state() if on_gpu else None
    try:
        return _gain(courses)
    except RuntimeError as error:  # on a CPU too little memory is no error of its own
        print(f"a stack of {len(courses)} cannot be measured: {str(error).splitlines()[0]}", flush=True)
        return 0.0
    finally:
        torch.set_rng_state(kept)
        if kept_there is not None:
            torch.cuda.set_rng_state(kept_there)


def _gain(courses: Sequence[Course]) -> float:
    shadows = [_shadow(course) for course in courses]
    single = [_shadow(courses[0])]
    stack, alone = Stack(shadows), Alone(*single)
    together, apart = [], []
    for _ in range(WARM + MEASURED):
        together.append(_seconds(shadows, stack))
        apart.append(_seconds(single, alone))
    return len(courses) * min(apart[WARM:]) / min(together[WARM:])


def _shadow(course: Course) -> Course:
    """A copy that learns in place of the run, from the same batches."""
    shadow = copy.copy(course)
    shadow.model, shadow.loader = copy.deepcopy(course.model), course.loader.apart()
    shadow.rest_of_checkpoint()  # the copy's own is dropped
    return shadow


def _seconds(courses: Sequence[Course], learner: Learner) -> float:
    config, device = courses[0].config, courses[0].place.device
    start = time.perf_counter()
    batches = [course.loader.take(config.accumulate) for course in courses]
    learner.step(batches, [course.rate(course.state.step + 1) for course in courses])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
