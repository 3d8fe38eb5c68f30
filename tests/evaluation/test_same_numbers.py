"""Playback and evaluation judge by one rule: on the same frames they report the same numbers, digit for digit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from box_world import BoxDrive, OracleBackend

from surround_depth.data.network_truth import TruthKind
from surround_depth.evaluation.moment import ListedSample
from surround_depth.evaluation.predictors import EnginePredictor
from surround_depth.evaluation.protocol_run import Evaluator
from surround_depth.evaluation.run import samples_of, score_predictors
from surround_depth.files import write_json
from surround_depth.inference.backend import NetworkInputs, NetworkOutputs
from surround_depth.metrics.protocol_means import protocol_means
from surround_depth.metrics.protocols import protocol
from surround_depth.runtime.pacing import PlaybackOptions
from surround_depth.runtime.session import play_headless


class HonestlyBad(OracleBackend):
    """Too far by 20 %, sky where there are houses, no answer elsewhere; answers for where the drive began."""

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        outputs = super().infer(inputs)
        depth_m = outputs.depth_m * np.float32(1.2)
        depth_m[:, 40:44] = self.spec.max_depth_m
        depth_m[:, 50:52] = np.nan
        return NetworkOutputs(depth_m.clip(0.1, self.spec.max_depth_m), outputs.confidence)


def drive() -> BoxDrive:
    """Two dead ends of scoring in one rig: a dead camera and an own-body mask."""
    plain = BoxDrive(n_samples=3, dead=("BL",))
    body = np.zeros((128, 192), np.bool_)
    body[110:] = True
    cameras = plain.rig.cameras
    return replace(plain, rig=plain.rig.with_cameras((cameras[0].with_own_body(body), *cameras[1:])))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict]:  # type: ignore[type-arg]
    """(report.json of a playback without drops, scores.json of the evaluation) of one engine and drive."""
    folder, sequence = tmp_path_factory.mktemp("numbers"), drive()
    play_headless(HonestlyBad(sequence), sequence, PlaybackOptions(rate=0.0), folder, source={})
    backend = HonestlyBad(sequence)
    scores = score_predictors(samples_of([sequence]), {"model": EnginePredictor(backend)}, backend.spec.input)
    write_json(folder / "scores.json", {kind: named["model"].as_dict() for kind, named in scores.items()})
    played, evaluated = (json.loads((folder / name).read_text()) for name in ("report.json", "scores.json"))
    assert played["frames"] == {"played": 3, "dropped": 0, "failed": 0}
    return played, evaluated


@pytest.mark.parametrize("key, kind", [("error_lidar", "lidar"), ("error_dense_truth", "dense")])
def test_the_same_numbers(both: tuple[dict, dict], key: str, kind: str) -> None:  # type: ignore[type-arg]
    played, evaluated = both[0][key], both[1][kind]
    assert played == evaluated
    assert played["range_m"] == [0.5, 80.0]
    assert 0.2 < played["mean"]["abs_rel"] < 5.0
    assert 0.5 < played["coverage"] < 1.0
    assert played["per_camera"]["BL"]["n_pixels"] == 0
    assert played["per_camera"]["BL"]["abs_rel"] is None


def test_sky_over_houses_is_not_rewarded(both: tuple[dict, dict]) -> None:  # type: ignore[type-arg]
    """Four of 64 rows are called sky: counted at 80 m they cost far more than the other rows' 20 %."""
    assert both[0]["error_dense_truth"]["per_camera"]["B"]["abs_rel"] > 0.4


@pytest.mark.parametrize("key, kind", [("error_lidar", "lidar"), ("error_dense_truth", "dense")])
def test_protocol_network_says_what_playback_says(both: tuple[dict, dict], key: str, kind: TruthKind) -> None:  # type: ignore[type-arg]
    sequence, rule = drive(), protocol("network")
    evaluator = Evaluator(EnginePredictor(HonestlyBad(sequence)), rule, "nuscenes", kind=kind)
    records = [r for i in range(3) for r in evaluator.score((ListedSample(i, sequence, i),)).records]
    means = protocol_means(records, rule)["metric"]
    for name in ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3", "silog"):
        assert means.mean[name] == pytest.approx(both[0][key]["mean"][name], rel=1e-9)
        assert means.cameras["B"][name] == pytest.approx(both[0][key]["per_camera"]["B"][name], rel=1e-9)
