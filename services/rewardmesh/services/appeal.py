"""Whose fault it is that a worker ended over a job: a second chance, alone, and then a look at the reference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rewardmesh.contract.as_answer import as_answer
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.verdict import Failure, Score
from rewardmesh.services.job import Job
from rewardmesh.services.places import Judged
from rewardmesh.v1 import reward_pb2 as pb


async def appeal(job: Job, alone: Callable[[Job], Awaitable[Failure | None]]) -> None:
    """Finishes a job that ended a worker; the machine may have been to blame.

    One that ends its worker again is a Failure; but where it was over a limit and its reference alone is not, the
    completion is to blame, and that is the policy's fault: Score 0.

    Args:
        job: The job.
        alone: Does a job in a fresh worker of its own; returns what befell it where it ended that worker.
    """
    failure = await alone(job)
    if failure is None:
        return  # it is finished, or nobody waits for it any more
    if failure.kind == "limit_exceeded" and await _reference_passes(job, alone):
        job.finish(Judged(Score(0.0, "limit_exceeded", f"the completion alone {failure.message}"), 0.0))
    else:
        job.finish(Judged(failure, 0.0))


async def _reference_passes(job: Job, alone: Callable[[Job], Awaitable[Failure | None]]) -> bool:
    answer = as_answer(job.envelope.open().reference)
    if answer is None:
        return False
    message = pb.Rollout()
    message.CopyFrom(job.envelope.message)
    message.completion = answer
    reference = Job(Envelope(message), message.SerializeToString(), key=None)
    reference.waiting = 1
    return await alone(reference) is None and isinstance(reference.done.result().outcome, Score)
