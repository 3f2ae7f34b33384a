"""The pieces of `python -m bench.ladder` on small data."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.optim.optimizer import register_optimizer_step_post_hook  # noqa: E402

from bench import ladder  # noqa: E402
from bench.training import BORDER, SIZE, Images, Training, augmented, judged, normalized, train  # noqa: E402
from pytorch_nndct import QatProcessor  # noqa: E402
from tests.unit.frontends.torch.training.networks import small  # noqa: E402


def pixels(count: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8, generator=random)


def test_augmented_images_are_cut_out_of_a_frame() -> None:
    images = pixels(6)
    framed = torch.nn.functional.pad(images, (BORDER,) * 4)
    for image, found in zip(framed, augmented(images, torch.Generator().manual_seed(1)), strict=True):
        places = range(2 * BORDER + 1)
        cuts = [image[:, y : y + SIZE, x : x + SIZE] for y in places for x in places]
        assert any(torch.equal(found, cut) or torch.equal(found, cut.flip(2)) for cut in cuts)


def test_training_a_small_network_learns_the_teacher() -> None:
    model = small()
    images = Images(pixels(64), torch.arange(64) % 4)
    trainable = QatProcessor(model, torch.zeros(1, 3, SIZE, SIZE)).trainable_model()
    trainable(normalized(images.pixels))
    before = [parameter.clone() for parameter in trainable.parameters()]
    train(trainable, model, images, Training(epochs=2, batch=16))
    assert not trainable.training and trainable.frozen_statistics
    assert any(not torch.equal(a, b) for a, b in zip(before, trainable.parameters(), strict=True))
    labels = torch.cat([trainable(normalized(images.pixels[i : i + 8])).argmax(1) for i in range(0, 64, 8)])
    right, loss = judged(trainable, Images(images.pixels, labels), 8)
    assert right == 100.0 and loss < judged(trainable, Images(images.pixels, (labels + 1) % 4), 8)[1]


def test_rates_rise_and_fall_and_statistics_are_frozen_towards_the_end() -> None:
    images, rates, frozen = Images(pixels(64), torch.arange(64) % 4), [], []
    trainable = QatProcessor(small(), torch.zeros(1, 3, SIZE, SIZE)).trainable_model()
    trainable(normalized(images.pixels))

    def look(optimizer: torch.optim.Optimizer, *_: object) -> None:
        if isinstance(optimizer, torch.optim.SGD):
            rates.append(optimizer.param_groups[0]["lr"])
            frozen.append(trainable.frozen_statistics)

    hook = register_optimizer_step_post_hook(look)
    train(trainable, small(), images, Training(epochs=50, batch=16, weight_rate=1e-3, by_batch=0.75))
    hook.remove()
    assert len(rates) == 200 and frozen == [False] * 149 + [True] * 51
    top = rates.index(max(rates))
    assert rates == sorted(rates[: top + 1]) + sorted(rates[top + 1 :], reverse=True)
    assert 0 < top < 150 and rates[-1] < 1e-6 < 5e-4 < rates[top] <= 1e-3


def test_every_rung_gives_a_module_in_fixed_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "float_model", small)
    monkeypatch.setattr(ladder, "CALIBRATION", 32)
    monkeypatch.setattr(ladder, "HELD_OUT", 8)
    images = Images(pixels(32), torch.arange(32) % 4)
    setting = ladder.Setting("w4a8", images, images, Training(epochs=1, batch=16), tmp_path)
    rows = {rung: ladder.climb(setting, rung) for rung in ladder.RUNGS}
    assert list(rows) == ["float", "calibrated", "tuned", "trained"]
    assert all(0 <= row["top1"] <= 100 for row in rows.values())
    assert rows["trained"]["epochs"] == 1 and "epochs" not in rows["tuned"]
    info = (tmp_path / "tuned" / "quant_info.json").read_text("utf-8")
    assert '"Small::conv1.weight": [[4,' in info and '"Small::conv1.bias": [[8,' in info
    assert (tmp_path / "trained" / "deployable.pth").exists()


def test_training_that_makes_it_worse_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "float_model", small)
    monkeypatch.setattr(ladder, "CALIBRATION", 32)
    monkeypatch.setattr(ladder, "HELD_OUT", 16)
    images = Images(pixels(48), torch.arange(48) % 4)
    wild = Training(epochs=1, batch=16, weight_rate=1e6)
    setting = ladder.Setting("int8", images, images, wild, tmp_path)
    tuned, trained = ladder.tuned(setting), ladder.trained(setting)
    x = normalized(images.pixels)
    with torch.no_grad():
        torch.testing.assert_close(trained(x), tuned(x), rtol=0, atol=0.05 * float(tuned(x).abs().max()))


def test_results_are_kept_by_rung(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for top in (70.0, 80.0):
        ladder.store(path, {"widths": "int8", "rung": "trained", "top1": top})
    ladder.store(path, {"widths": "w4a8", "rung": "float", "top1": 90.0})
    import json

    rows = json.loads(path.read_text("utf-8"))
    assert [row["top1"] for row in rows] == [80.0, 90.0]
    found = ladder.table(rows)
    assert "80.00 %" in found and "70.00 %" not in found
    assert found.splitlines()[-1].startswith("| w4a8 | 90.00 % |")
