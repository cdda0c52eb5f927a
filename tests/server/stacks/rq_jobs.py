"""RQ: jobs are enqueued, a worker works them off and leaves, and the results are what they should be.

usage: rq_jobs.py PORT
"""

import operator
import sys
from datetime import timedelta

import redis
import rq
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry
from rq.worker import SimpleWorker, Worker

from common import expect


def main():
    connection = redis.Redis(port=int(sys.argv[1]))
    high, low = rq.Queue("high", connection=connection), rq.Queue("low", connection=connection)
    second = low.enqueue(operator.mul, 6, 7, description="the answer", meta={"asked": "by whom"})
    first = high.enqueue(operator.add, "se", "diment", result_ttl=500)
    failing = low.enqueue(operator.truediv, 1, 0)
    retried = low.enqueue(operator.getitem, [], 1, retry=rq.Retry(max=1))
    after = low.enqueue(operator.neg, 5, depends_on=second)
    later = low.enqueue_in(timedelta(hours=1), operator.abs, -3)
    many = low.enqueue_many([rq.Queue.prepare_data(operator.pow, (2, n)) for n in range(10)])
    unwanted = low.enqueue(operator.abs, -1)
    unwanted.cancel()
    expect("queues", {queue.name for queue in rq.Queue.all(connection=connection)}, {"high", "low"})
    expect("their lengths", (high.count, low.count), (1, 13))
    expect("states before the work", [job.get_status() for job in (first, after, later, unwanted)],
           [JobStatus.QUEUED, JobStatus.DEFERRED, JobStatus.SCHEDULED, JobStatus.CANCELED])

    worker = Worker([high, low], connection=connection, name="varves")  # forks for each job
    expect("the worker worked", worker.work(burst=True, logging_level="CRITICAL"), True)
    expect("results", (first.result, second.result, after.result), ("sediment", 42, -5))
    expect("results of many", [job.result for job in many], [2**n for n in range(10)])
    expect("states after the work", [job.get_status() for job in (first, failing, retried, later)],
           [JobStatus.FINISHED, JobStatus.FAILED, JobStatus.FAILED, JobStatus.SCHEDULED])
    failing.refresh()
    expect("the failure", "ZeroDivisionError" in failing.exc_info, True)
    expect("as others see it", Job.fetch(second.id, connection=connection).meta, {"asked": "by whom"})
    expect("lengths", (high.count, low.count), (0, 0))
    expect("finished", FinishedJobRegistry(queue=low).count, 12)
    expect("failed", set(FailedJobRegistry(queue=low).get_job_ids()), {failing.id, retried.id})
    expect("scheduled", ScheduledJobRegistry(queue=low).get_job_ids(), [later.id])
    expect("the result expires", 0 < connection.ttl(first.key) <= 500, True)

    FailedJobRegistry(queue=low).requeue(failing)
    simple = SimpleWorker([low], connection=connection, name="simple")  # in this process
    expect("it worked again", simple.work(burst=True, logging_level="CRITICAL"), True)
    expect("and failed again", failing.get_status(refresh=True), JobStatus.FAILED)
    expect("workers left", Worker.all(connection=connection), [])
    for job in (failing, retried, later):
        job.delete()
    expect("deleted", connection.exists(failing.key, retried.key, later.key), 0)
    print(f"RQ {rq.VERSION}, redis-py {redis.__version__}")


main()
