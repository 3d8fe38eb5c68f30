"""Annotated boxes of a DGP scene, by hand, and annotations that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dgp_edits import edit_scene

from surround_depth.data.ddad import DdadDataset
from surround_depth.errors import DataError
from surround_depth.geometry import transform


@pytest.fixture
def tree(dgp_tree) -> Path:
    return dgp_tree


BOX = {
    "class_id": 2,
    "instance_id": 7,
    "box": {
        "length": 4.0,
        "width": 2.0,
        "height": 1.5,
        "pose": {"rotation": {"qw": 1, "qx": 0, "qy": 0, "qz": 0}, "translation": {"x": 10, "y": 3, "z": 1}},
    },
}


def annotate(tree: Path, annotation: object, ontology: object = None) -> None:
    """Give the first cloud an annotation file, and the scene an ontology."""
    (tree / "000150" / "boxes.json").write_text(json.dumps({"annotations": [annotation]}))

    def change(scene):
        scene["data"][0]["datum"]["point_cloud"]["annotations"] = {"1": "boxes.json"}
        if ontology is not None:
            (tree / "000150" / "ontology").mkdir()
            (tree / "000150" / "ontology" / "abc.json").write_text(json.dumps(ontology))
            scene["ontologies"] = {"1": "abc"}

    edit_scene(tree, change)


def test_boxes_by_hand(tree):
    assert DdadDataset(tree).sequence("000150").boxes(0) == ()
    annotate(tree, BOX)
    sequence = DdadDataset(tree).sequence("000150")
    (box,) = sequence.boxes(0)
    assert (box.size_m, box.label, box.track) == ((4.0, 2.0, 1.5), "class 2", "7")
    T_world_ego = sequence[0].lidar.T_world_ego
    np.testing.assert_allclose(box.T_world_box[:3, 3], transform(T_world_ego, np.array([[10.0, 3.0, 1.0]]))[0])
    assert sequence.boxes(1) == ()
    annotate(tree, BOX, {"items": [{"id": 2, "name": "Car"}]})
    assert DdadDataset(tree).sequence("000150").boxes(0)[0].label == "Car"


@pytest.mark.parametrize(
    "annotation, message",
    [
        ({**BOX, "class_id": "car"}, r"annotations\[0\]: class_id must be an integer"),
        ({**BOX, "box": {**BOX["box"], "width": 0.0}}, r"4.0 x 0.0 x 1.5 is no box in metres"),
        ({**BOX, "box": {**BOX["box"], "length": 4000.0}}, "is no box in metres"),
        ({**BOX, "box": {**BOX["box"], "length": float("nan")}}, "length must be finite numbers"),
        (7, "expected a list of objects"),
    ],
)
def test_broken_boxes(tree, annotation, message):
    annotate(tree, annotation)
    with pytest.raises(DataError, match=message):
        DdadDataset(tree).sequence("000150").boxes(0)
