"""One of two processes that train together: ``python -m ... folder rank``."""

from __future__ import annotations

import os
import sys

import torch
from torch import nn

from tests.unit.frontends.torch.training.networks import images, labels, trainer


def main(folder: str, rank: int) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    module = trainer().trainable()
    parallel = nn.parallel.DistributedDataParallel(module)
    optimizer = torch.optim.SGD(module.parameters(), 1e-3)
    rows = slice(8 * rank, 8 * rank + 8)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(parallel(images()[rows]), labels()[rows]).backward()
        optimizer.step()
    torch.save(module.state_dict(), f"{folder}/{rank}.pth")
    torch.distributed.barrier()
    os._exit(0)  # gloo now and then hangs while it takes its connections down


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
