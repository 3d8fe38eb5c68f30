from __future__ import annotations

from pathlib import Path

from surround_depth.export.machine import cpu_model, describe_machine, engine_versions


def test_the_processor_is_read_from_linux(tmp_path: Path) -> None:
    first = "processor\t: 0\nmodel name\t: Example CPU 9000\nflags\t\t: fpu avx avx2\n\n"
    (tmp_path / "cpuinfo").write_text(first + first.replace("9000", "1"))
    assert cpu_model(tmp_path / "cpuinfo") == "Example CPU 9000 avx2"
    assert cpu_model(tmp_path / "none")


def test_the_machine_and_versions_are_told() -> None:
    assert set(describe_machine()) == {"cpu", "cores", "memory", "gpu", "system", "commit"}
    assert engine_versions()["numpy"]
