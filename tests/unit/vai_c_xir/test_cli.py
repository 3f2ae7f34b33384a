from __future__ import annotations

from pathlib import Path

import pytest

from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.write import write_xmodel
from tests.flat_xmodels import B4096, Net
from vai_c_xir.cli import main


@pytest.fixture
def quantized(tmp_path: Path) -> Path:
    net = Net()
    net.fix(net.conv("conv", net.data("x", (1, 5, 5, 3), 4), 4), 3)
    return write_xmodel(net.done(), tmp_path / "quantized.xmodel")


def test_the_documented_arguments(
    quantized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arch = tmp_path / "arch.json"
    arch.write_text(f'{{"target": "{B4096}"}}')
    out = tmp_path / "out.xmodel"  # a folder, whatever it is called
    words = [
        "-x",
        str(quantized),
        "-a",
        str(arch),
        "-o",
        str(out),
        "-n",
        "net",
        "--options",
        '{"prefetch": "true"}',
    ]
    assert main(words) == 0
    assert sorted(path.name for path in out.iterdir()) == ["md5sum.txt", "meta.json", "net.xmodel"]
    model = read_xmodel(out / "net.xmodel")
    assert model.root.get("prefetch") is True
    assert list(model.attrs["files_md5sum"].value) == [str(quantized)]
    assert "DPU subgraph number 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "code"),
    [(("-a", "DPU9"), "Q1000"), (("--options", "{"), "Q1103"), (("-x", "nowhere.xmodel"), "Q0902")],
)
def test_mistakes_are_coded(
    change: tuple[str, str], code: str, quantized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-x", str(quantized), "-a", B4096, "-o", str(tmp_path / "out"), "-n", "net", *change]
    assert main(words) == 2
    assert code in capsys.readouterr().err


def test_an_output_that_is_a_file(quantized: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-x", str(quantized), "-a", B4096, "-o", str(quantized), "-n", "net"]) == 2
    assert "Q0601" in capsys.readouterr().err
    assert main(["-x", str(quantized)]) == 2
