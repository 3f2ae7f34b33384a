from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.tuning.kept import Budget, Samples, Vault  # noqa: E402

CPU = torch.device("cpu")


def test_what_exceeds_the_budget_lies_in_files_that_go(tmp_path: Path) -> None:
    tensors = [
        torch.randn(3, 5),
        torch.arange(7),
        torch.tensor(2.5),
        torch.randn(4).bfloat16(),
        torch.tensor([True]),
    ]
    with Vault(Budget(60, tmp_path)) as vault:
        kept = [vault.keep(tensor) for tensor in tensors]
        assert [item.tensor().reshape(t.shape).tolist() for item, t in zip(kept, tensors, strict=True)] == [
            t.tolist() for t in tensors
        ]
        assert vault.in_memory == 60
        assert vault.in_files == 7 * 8 + 4 + 8 + 1
        assert len(list(tmp_path.glob("*/*.npy"))) == 4
        vault.free(kept)
        assert (vault.in_memory, vault.in_files) == (0, 0)
        assert (vault.peak_memory, vault.peak_files) == (60, 69)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("memory", [1 << 20, 0], ids=["memory", "files"])
@pytest.mark.parametrize(
    ("integers", "width"),
    [([-128, 127, 3], 1), ([0, 255, 7], 1), ([-255, 255, 1], 2), ([-40_000, 0, 1], 4)],
)
@pytest.mark.parametrize("step", [0.25, 0.013])
def test_what_lies_on_a_grid_is_kept_as_integers(
    integers: list[int], width: int, step: float, memory: int, tmp_path: Path
) -> None:
    tensor = torch.tensor(integers).float() * step
    with Vault(Budget(memory, tmp_path)) as vault:
        assert torch.equal(vault.keep(tensor, step).tensor(), tensor)
        assert vault.in_memory + vault.in_files == 3 * width


def test_what_lies_between_is_kept_as_it_is() -> None:
    for tensor in (
        torch.tensor([0.5, 0.26]),
        torch.tensor([torch.nan]),
        torch.tensor([torch.inf]),
        torch.ones(0),
    ):
        with Vault() as vault:
            assert vault.keep(tensor, 0.25).tensor().tolist() == pytest.approx(tensor.tolist(), nan_ok=True)
            assert vault.in_memory == 4 * tensor.numel()


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with Vault(Budget(0, tmp_path / "missing")) as vault, pytest.raises(InputError, match="Q1444"):
        vault.keep(torch.ones(1))


def test_samples_of_batches_of_any_size() -> None:
    x, y = torch.randn(11, 2, 3), torch.arange(11)
    with Vault() as vault:
        samples = Samples(vault, True)
        for rows in (slice(0, 4), slice(4, 5), slice(5, 11)):
            samples.add({"x": x[rows], "y": y[rows]})
        assert (samples.count, samples.units, samples.cut) == (11, 11, True)
        found = samples.take([10, 0, 4, 3], CPU)
        assert torch.equal(found["x"], x[[10, 0, 4, 3]])
        assert found["y"].tolist() == [10, 0, 4, 3]
        samples.undivided()
        assert samples.units == 3
        assert torch.equal(samples.take([2], CPU)["x"], x[5:])


@pytest.mark.parametrize(
    "batches",
    [
        [{"x": (2, 3)}, {"x": (2, 4)}],  # sizes that follow the sample
        [{"x": (2, 3), "y": (1, 3)}],  # an input without an axis for samples
        [{"x": (2, 3), "y": ()}],
    ],
)
def test_batches_that_cannot_be_cut_are_units(batches: list[dict[str, tuple[int, ...]]]) -> None:
    with Vault() as vault:
        samples = Samples(vault, True)
        for batch in batches:
            samples.add({name: torch.zeros(shape) for name, shape in batch.items()})
        assert not samples.cut
        assert (samples.units, samples.count) == (len(batches), 2 * len(batches))


def test_mirrored_images_are_units_behind_the_others() -> None:
    with Vault() as vault:
        samples = Samples(vault, True)
        x, y = torch.arange(24.0).reshape(2, 1, 3, 4), torch.arange(2.0).reshape(2, 1)
        samples.add({"x": x, "y": y})
        assert samples.mirror()
        assert (samples.count, samples.units) == (2, 4)
        found = samples.take([1, 2, 0], CPU)
        torch.testing.assert_close(found["x"], torch.stack([x[1], x[0].flip(-1), x[0]]))
        assert found["y"].tolist() == [[1.0], [0.0], [0.0]]


def test_what_is_no_image_has_no_mirror_image() -> None:
    with Vault() as vault:
        samples = Samples(vault, True)
        samples.add({"x": torch.ones(2, 3)})
        assert not samples.mirror()
        assert samples.units == 2
