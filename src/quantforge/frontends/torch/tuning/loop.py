"""Fine-tuning with data that comes by the user's own loop: what the module is called with is kept, then the loop is
over and the graph is tuned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from quantforge.diagnostics import CalibrationError
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.tuning.engine import is_open, tune_samples
from quantforge.frontends.torch.tuning.kept import Samples, Vault
from quantforge.frontends.torch.tuning.options import Tuned, TuneOptions
from quantforge.frontends.torch.tuning.positions import Search
from quantforge.graph import Graph
from quantforge.progress import Listener


def tune_in_loop(
    module: QuantizedModule,
    run: Callable[[], object],
    solve: Callable[[], tuple[Graph, Graph]],
    reference: Graph,
    options: TuneOptions,
    device: torch.device,
    progress: Listener | None = None,
    search: Search | None = None,
) -> Tuned:
    """Run the user's loop once and tune by what it called `module` with.

    Args:
        module: Counts while it runs.
        run: The loop.
        solve: Called behind the loop: the float graph and the quantized one.
        reference: The model before any pass; its outputs are the aim.
        options: All choices.
        device: Where torch runs.
        progress, search: As in `fine_tune`.

    Raises:
        CalibrationError: Q0201 when the loop did not call the module.
        InputError: As `fine_tune`.
    """
    with Vault(options.budget) as vault:
        samples = Samples(vault, is_open(module.graph))

        def keep(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            samples.add(module.named_inputs(args, kwargs))

        hook = module.register_forward_pre_hook(keep, with_kwargs=True)
        try:
            run()
        finally:
            hook.remove()
        if not samples.units:
            raise CalibrationError(
                "Q0201", "fast_finetune", "run_fn did not call quant_model", "at least one batch",
                "pass quant_model among run_args and call it on data",
            )  # fmt: skip
        base, quantized = solve()
        return tune_samples(base, quantized, samples, vault, options, device, progress, reference, search)
