"""The ladder goes on after a rung that fails, refuses engines of another student, and its page shows every rung."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from surround_depth.errors import EngineMismatchError
from surround_depth.export.checkpoint import TrainedStudent, read_trained_student
from surround_depth.export.frames import ProofFrames, calibration_frames, random_frames
from surround_depth.export.parity import PARITY_BOUNDS, ParityBound
from surround_depth.export.parity_ladder import ProvenRung, climb, engine_rungs, possible_rungs
from surround_depth.export.parity_page import draw_difference, write_parity_report
from surround_depth.inference.backend import EngineSpec, engine_spec
from surround_depth.inference.manifest import load_manifest

Proven = tuple[tuple[ProvenRung, ...], ProofFrames, EngineSpec]


@pytest.fixture(scope="module")
def trained(checkpoint: Path) -> TrainedStudent:
    return read_trained_student(checkpoint)


@pytest.fixture(scope="module")
def proven(engine: Path, checkpoint: Path, trained: TrainedStudent) -> Proven:
    """The same engine twice, the second time against a bound that nothing can hold."""
    spec = engine_spec(load_manifest(engine))
    frames = random_frames(spec, 2, height_px=90, width_px=160)
    held, strict = engine_rungs([engine, engine], trained, checkpoint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PARITY_BOUNDS, "int8", ParityBound(-1.0, -1.0, -1.0, -1.0, -1.0))
        strict = dataclasses.replace(strict, name="too strict", precision="int8")
        return climb(trained, spec, frames, [strict, held], lambda line: None), frames, spec


def test_a_rung_that_fails_does_not_end_the_ladder(proven: Proven) -> None:
    strict, held = proven[0]
    assert strict.failure is not None
    assert "too strict is not torch fp32 at int8: abs_rel_difference" in strict.failure
    assert held.failure is None
    assert held.record.candidate == "onnxruntime fp32"
    assert held.record.p99_relative < 1e-4


def test_the_report_says_it_in_three_ways(proven: Proven, tmp_path: Path) -> None:
    rungs, frames, spec = proven
    write_parity_report(tmp_path / "out", rungs, frames, spec.input)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["parity.html", "parity.json", "parity.md"]
    report = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert [rung["candidate"] for rung in report["rungs"]] == ["too strict", "onnxruntime fp32"]
    assert [rung["failure"] is None for rung in report["rungs"]] == [False, True]
    assert report["machine"]["cpu"]
    page = (tmp_path / "out" / "parity.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.count('class="over"') == 1
    assert "over its bound: too strict" in (tmp_path / "out" / "parity.md").read_text()


def test_the_picture_is_red_where_depth_is_off(proven: Proven) -> None:
    """Half as deep again in the upper left of one camera: red there, blue below."""
    rungs, frames, spec = proven
    rung = rungs[1]
    counted = rung.worst.counted
    alive = int(np.argmax(counted.sum(axis=(1, 2))))
    got = rung.worst.expected.depth_m.copy()
    got[alive, :32] *= 1.5
    worst = dataclasses.replace(rung.worst, got=dataclasses.replace(rung.worst.got, depth_m=got))
    picture = draw_difference(dataclasses.replace(rung, worst=worst), frames, spec.input)
    top_px, left_px = 2 * (spec.input.height_px + 4), alive * (spec.input.width_px + 4)
    difference = picture[top_px : top_px + spec.input.height_px, left_px : left_px + spec.input.width_px].astype(int)
    difference = np.where(counted[alive, ..., None], difference, np.nan)
    red, _, blue = np.moveaxis(difference, -1, 0)
    assert np.nanmedian(red[24:32]) > 150 > np.nanmedian(blue[24:32])
    assert np.nanmedian(blue[32:]) > 150 > np.nanmedian(red[32:])


def test_engines_of_other_weights_are_refused(engine: Path, checkpoint: Path, tmp_path: Path) -> None:
    other = shutil.copytree(checkpoint, tmp_path / "other")
    content = bytearray((other / "model.safetensors").read_bytes())
    content[-2] ^= 1  # one bit of one weight
    (other / "model.safetensors").write_bytes(bytes(content))
    with pytest.raises(EngineMismatchError, match="was made of weights"):
        engine_rungs([engine], read_trained_student(other), other)


def test_engines_of_another_input_are_refused(
    engine: Path, checkpoint: Path, trained: TrainedStudent, tmp_path: Path
) -> None:
    wider = shutil.copytree(engine, tmp_path / "wider")
    manifest = json.loads((wider / "model.json").read_text())
    manifest["input"]["width_px"] = 128
    (wider / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(EngineMismatchError, match=r"takes images \[2, 64, 128, 3\].*prove them apart"):
        engine_rungs([engine, wider], trained, checkpoint)


@pytest.mark.slow
def test_every_precision_of_this_machine_is_a_rung(trained: TrainedStudent, tmp_path: Path) -> None:
    spec = trained.engine_spec(2)
    frames = random_frames(spec, 1, height_px=90, width_px=160)
    calibration = calibration_frames(spec, None)
    planned = tuple(possible_rungs(trained, spec, calibration, tmp_path, lambda line: None))
    assert {"onnxruntime fp32", "onnxruntime int8"} <= {rung.name for rung in planned}
    assert [rung.failure for rung in climb(trained, spec, frames, planned, lambda line: None)] == [None] * len(planned)
