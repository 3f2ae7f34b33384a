"""Progress: silent without a terminal, complete with a listener, a line on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from quantforge.progress import Progress, peak_memory_bytes, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silence_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track([1, 2, 3], "counting")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


def test_a_listener_hears_every_item() -> None:
    seen: list[Progress] = []
    assert list(track(iter("abc"), "spelling", total=4, listener=seen.append)) == ["a", "b", "c"]
    assert [(state.done, state.total) for state in seen] == [(1, 4), (2, 4), (3, 4)]
    assert all(state.peak_bytes == peak_memory_bytes() or state.peak_bytes > 0 for state in seen)


def test_rate_and_time_left() -> None:
    state = Progress("work", done=10, total=40, elapsed_s=5.0, peak_bytes=0)
    assert (state.rate, state.left_s) == (2.0, 15.0)
    assert Progress("work", 0, 40, 0.0, 0).left_s is None
    assert Progress("work", 3, None, 1.0, 0).left_s is None


def test_a_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track(range(3), "calibrating")) == [0, 1, 2]
    text = terminal.getvalue()
    assert "calibrating" in text and "3/3" in text and "/s" in text and "peak" in text


def test_an_interrupt_leaves_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())

    def stopped() -> None:
        for item in track(range(3), "calibrating"):
            if item == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()


def test_peak_memory_is_plausible() -> None:
    assert peak_memory_bytes() > 10 << 20
