from __future__ import annotations

from pathlib import Path

import pytest

from bench import contestants, peers


def test_an_environment_is_made_once_and_again_when_its_packages_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[str, ...]] = []

    def call(*command: str) -> None:
        calls.append(command)
        (tmp_path / "tool" / "bin").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    monkeypatch.setattr(peers, "_call", call)
    monkeypatch.setattr(peers, "ENVIRONMENTS", {"tool": ("one==1",)})
    assert peers.interpreter("tool") == tmp_path / "tool" / "bin" / "python"
    assert [command[-1] for command in calls] == [str(tmp_path / "tool"), "one==1"]
    peers.interpreter("tool")
    assert len(calls) == 2
    monkeypatch.setattr(peers, "ENVIRONMENTS", {"tool": ("one==2",)})
    peers.interpreter("tool")
    assert calls[-1][-1] == "one==2"


def test_a_failed_installation_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    monkeypatch.setattr(peers.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="/bin/false -m venv"):
        peers.interpreter("nncf")


def test_peers_are_asked_for_by_name_only() -> None:
    assert contestants.PEERS
    assert not set(contestants.PEERS) & set(contestants.HOME)
    assert {contestants.ALL[name].environment for name in contestants.PEERS} == set(peers.ENVIRONMENTS)
