"""Dump folders: where files lie, and what is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quantforge.debugging.dump import write_dump
from quantforge.debugging.observe import Observer
from tests.compiled_xmodels import classifier

IMAGE = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)


def test_files_of_a_dpu_and_of_the_cpu(tmp_path: Path) -> None:
    model = classifier()
    observer = Observer(model, "ref")
    made = observer.run({"image": IMAGE})
    for engine in observer.engines:
        write_dump(tmp_path, engine.program, made, first_sample=7)
    dpu, cpu = (tmp_path / part.name for part in model.root.children[1:])
    assert (dpu / "input" / "7.image_t.bin").read_bytes() == IMAGE.tobytes()
    assert (dpu / "output" / "7.logits_t.bin").read_bytes() == made["logits"].tobytes()
    inner = {path.name for path in (dpu / "internal").iterdir()}
    names = {op.tensor.name for op in observer.engines[0].program.ops} - {"logits_t"}
    assert inner == {f"7.{name}.bin" for name in names}
    probabilities = np.fromfile(cpu / "probabilities_t_7.bin", np.float32)
    np.testing.assert_array_equal(probabilities, made["probabilities"][0])


def test_sections_and_samples(tmp_path: Path) -> None:
    program = Observer(classifier(), "ref").engines[0].program
    made = {"image": np.concatenate([IMAGE, IMAGE + 1])}
    written = write_dump(tmp_path, program, made, sections=frozenset({"input"}))
    assert [path.name for path in written] == ["0.image_t.bin", "1.image_t.bin"]
    assert written[1].read_bytes() == (IMAGE + 1).tobytes()
