"""The environments: made once, made anew when their packages change; sizes of what is installed and of networks."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import environments
from benchmarks.peers.environments import ROOT, make_environment, make_environments, megabytes, tools_of
from benchmarks.peers.networks import network_figures, network_size


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have installed packages."""
    made: list[list[str]] = []
    monkeypatch.setattr(environments, "_call", lambda words, folder: made.append(words))
    monkeypatch.setattr(environments, "checkout", lambda: "abc")
    return made


def test_an_environment_is_made_once_and_anew_when_its_packages_change(tmp_path: Path, calls: list[list[str]]) -> None:
    wanted: dict[str, Any] = {"kind": "node", "install": ["a@1"]}
    folder = make_environment("a", wanted, tmp_path)
    assert calls[0][:2] == ["npm", "install"] and calls[0][-1] == "a@1"
    (folder / "left").touch()
    assert make_environment("a", dict(wanted), tmp_path) == folder
    assert len(calls) == 1 and (folder / "left").exists()
    make_environment("a", wanted | {"install": ["a@2"]}, tmp_path)
    assert calls[-1][-1] == "a@2" and not (folder / "left").exists()


def test_an_environment_that_failed_is_made_again(
    tmp_path: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(words: list[str], folder: Path) -> None:
        raise OSError("no network")

    wanted = {"kind": "node", "install": ["a@1"]}
    with monkeypatch.context() as patch:
        patch.setattr(environments, "_call", fail)
        with pytest.raises(OSError, match="no network"):
            make_environment("a", wanted, tmp_path)
    make_environment("a", wanted, tmp_path)
    assert len(calls) == 1


def test_a_package_that_cannot_be_installed_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str], folder: Path) -> None:
        if "bad@1" in words:
            raise subprocess.CalledProcessError(1, words)

    monkeypatch.setattr(environments, "_call", fail)
    wanted = {name: {"kind": "node", "install": [f"{name}@1"]} for name in ("bad", "good")}
    assert make_environments(wanted, tmp_path) == {"bad": tmp_path / "bad", "good": tmp_path / "good"}
    assert (tmp_path / "good.json").exists() and not (tmp_path / "bad.json").exists()
    assert capsys.readouterr().err.splitlines()[1].startswith("bad: cannot be installed: ")


def test_moodspace_is_installed_anew_for_each_state_of_the_checkout(
    tmp_path: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"kind": "wheel", "extra": "map"}
    make_environment("own", wanted, tmp_path)
    make_environment("own", wanted, tmp_path)
    assert len(calls) == 2 and calls[-1][-1] == f"{ROOT}[map]"
    assert calls[-1][0] != "uv" or "--refresh-package" in calls[-1]  # else uv installs what it built before
    monkeypatch.setattr(environments, "checkout", lambda: "abc changed")
    make_environment("own", wanted, tmp_path)
    assert len(calls) == 4


def test_requirements_and_tools_are_kept_apart(tmp_path: Path, calls: list[list[str]]) -> None:
    wanted = {"kind": "python", "without_requirements": ["a==1"], "install": ["b==1"], "tools": ["c==1"]}
    folder = make_environment("a", wanted, tmp_path)
    _, alone, usual, tools = calls
    assert alone[-2:] == ["--no-deps", "a==1"] and usual[-1] == "b==1" and "--no-deps" not in usual
    assert tools[-3:] == ["--target", str(tools_of(folder)), "c==1"] and tools_of(folder).parent == tmp_path


def test_linked_files_count_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1_000_000))
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert megabytes(tmp_path) == pytest.approx(1.0)


def test_weights_and_multiply_adds_are_counted_from_the_shapes() -> None:
    found = network_size(ROOT / "bundles" / "fer2013" / "encoder.tflite")
    # Four bytes hold at most one weight, one byte at most two.
    size = (ROOT / "bundles" / "fer2013" / "encoder.tflite").stat().st_size
    assert size / 8 < found.weights < 2 * size and found.multiply_adds > 10 * found.weights


def test_the_size_of_a_network_is_measured_where_it_can_be_and_stated_otherwise(tmp_path: Path) -> None:
    peer = {"network": "lib/*/net.bin", "weights": 5}
    assert network_figures(peer, tmp_path) == {"weights": 5}
    (tmp_path / "lib" / "x").mkdir(parents=True)
    (tmp_path / "lib" / "x" / "net.bin").write_bytes(bytes(1_500_000))
    assert network_figures(peer, tmp_path) == {"weights": 5, "network_mb": 1.5}
    (tmp_path / "net.tflite").symlink_to(ROOT / "bundles" / "fer2013" / "encoder.tflite")
    found = network_figures({"network": "net.tflite"}, tmp_path)
    assert found["weights"] > 10_000 and found["multiply_adds"] > 1e6
    assert network_figures({}, tmp_path) == {}
