"""`xdputil benchmark`."""

from __future__ import annotations

import os
from pathlib import Path

import click

FILE = click.Path(path_type=Path)


@click.command(short_help="Measure speed, and compare all outputs with the first.")
@click.argument("xmodel_file", metavar="XMODEL", type=FILE)
@click.option(
    "-i", "--subgraph_index", "index", type=int, default=-1, show_default=True,
    help="Which subgraph; a number without one runs the whole model.",
)  # fmt: skip
@click.argument("threads", type=click.IntRange(min=1))
@click.option("-inputs", "--inputs", type=FILE, multiple=True, help="Raw file of an input sample; repeat it.")
@click.option("-outputs", "--outputs", type=FILE, multiple=True, help="Raw file of an output they must give.")
def benchmark(
    xmodel_file: Path, index: int, threads: int, inputs: tuple[Path, ...], outputs: tuple[Path, ...]
) -> int:
    """Run XMODEL in so many THREADS and print frames per second.

    Environment: SLEEP_MS=60000 (how long), NUM_OF_REF=4 (sets of random inputs), SAME_INPUT=0, ENABLE_SHUFFLE=1,
    COPY_INPUT=1, COPY_OUTPUT=1, ENABLE_MEMCMP=0 (compare every output with the first of its input),
    SAVE_INPUT_TO_FILE=0, SAVE_ERROR_OUTPUT_TO_FILE=0.
    """
    from quantforge.debugging.benchmark import Benchmark, benchmark_settings
    from quantforge.debugging.raw_run import open_runner, read_inputs, read_outputs
    from quantforge.xmodel.read import read_xmodel

    settings = benchmark_settings(os.environ)
    model = read_xmodel(xmodel_file)
    chosen = index if 0 <= index < len(model.root.children) else -1
    given, expected = [], []
    with open_runner(model, chosen) as runner:
        if inputs:
            given = [read_inputs(runner, inputs)]
        if inputs and outputs:
            expected = [read_outputs(runner, outputs)]
    bench = Benchmark(lambda: open_runner(model, chosen), settings, click.echo)
    result = bench.run(threads, given, expected)
    for number, frames in enumerate(result.frames):
        click.echo(f"thread {number}: {frames} frames")
    click.echo(
        f"FPS= {result.fps:.2f} number_of_frames= {sum(result.frames)} time= {result.seconds:.6f} seconds."
    )
    click.echo("Test PASS." if not result.errors else "Test Failed!!!")
    return 1 if result.errors else 0
