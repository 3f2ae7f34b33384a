"""The float model over the calibration images and nothing else: the floor under every calibration."""

from __future__ import annotations

from bench.jobs import Stopwatch, answer, receive


def main() -> None:
    job = receive()
    watch = Stopwatch()
    with watch.phase("import"):
        from bench.batches import read_batches
        from bench.sessions import open_session
    with watch.phase("load"):
        session = open_session(job.model, job.threads)
    for batch in read_batches(job.data, job.count, job.batch_size):
        with watch.phase("calibrate"):
            session.run(None, {job.input_name: batch})
    answer(job, watch)


if __name__ == "__main__":
    main()
