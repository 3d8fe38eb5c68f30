"""3-D boxes of a DGP scene: annotation files of type "1", in the frame of the sensor that they were drawn for."""

from __future__ import annotations

from pathlib import Path

from surround_depth.data.dgp_calibration import pose_of, require_object
from surround_depth.data.dgp_scene import BOXES_3D, Datum
from surround_depth.data.paths import path_inside, read_json
from surround_depth.data.rows import Row, require_rows
from surround_depth.data.sample import Box
from surround_depth.errors import DataError

# What no vehicle or train exceeds: a size beyond it is in another unit.
_MAX_SIDE_M = 200.0


def read_boxes(scene_dir: Path, cloud: Datum, categories: dict[int, str]) -> tuple[Box, ...]:
    """Return the boxes of a point cloud at its own time; empty where it has no annotation.

    Args:
        categories: name of each class, see `read_categories`; a class without a name is called by its number.

    Raises:
        DataError: the annotation file is missing or damaged.
    """
    relative = annotation_of(cloud)
    if relative is None:
        return ()
    path = path_inside(scene_dir, relative, cloud.label)
    content = Row(f"{scene_dir.name}/{relative}", require_object(read_json(path), path))
    rows = require_rows(content.items("annotations"), f"{content.label} annotations")
    return tuple(_box(Row(f"{content.label} annotations[{i}]", row), cloud, categories) for i, row in enumerate(rows))


def read_categories(scene_dir: Path, ontology: str, referrer: str) -> dict[int, str]:
    """Return class number -> name of a scene's ontology file.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = path_inside(scene_dir, f"ontology/{ontology}.json", referrer)
    content = Row(f"{scene_dir.name}/ontology/{path.name}", require_object(read_json(path), path))
    rows = [
        Row(f"{content.label} items[{i}]", row)
        for i, row in enumerate(require_rows(content.items("items"), f"{content.label} items"))
    ]
    return {row.integer("id"): row.text("name") for row in rows}


def annotation_of(cloud: Datum) -> str | None:
    """Return the path of a point cloud's annotation file in its scene; None where it was not annotated."""
    if "annotations" not in cloud.values.values:
        return None
    annotations = cloud.values.child("annotations")
    return annotations.text(BOXES_3D) if BOXES_3D in annotations.values else None


def _box(row: Row, cloud: Datum, categories: dict[int, str]) -> Box:
    box, number = row.child("box"), row.integer("class_id")
    length_m, width_m, height_m = (box.number(key) for key in ("length", "width", "height"))
    if not (min(length_m, width_m, height_m) > 0 and max(length_m, width_m, height_m) < _MAX_SIDE_M):
        size = f"{length_m} x {width_m} x {height_m}"
        raise DataError(f"{box.label}: its size {size} is no box in metres; mend the row")
    return Box(
        T_world_box=cloud.T_world_sensor @ pose_of(box.child("pose")),
        size_m=(length_m, width_m, height_m),
        label=categories.get(number, f"class {number}"),
        track=str(row.integer("instance_id")),
        stamp_ns=cloud.stamp_ns,
    )
