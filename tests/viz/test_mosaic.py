from __future__ import annotations

import numpy as np
import pytest
from box_world import BoxDrive, exact_depth, make_rig

from surround_depth.fusion import fuse
from surround_depth.rig import load_rig
from surround_depth.viz.colors import SKY_RGB, hatch
from surround_depth.viz.mosaic import MosaicStyle, camera_rows, draw_camera, draw_mosaic


@pytest.mark.parametrize(
    "names, rows",
    [
        (("FL", "F", "FR", "BR", "B", "BL"), (("FL", "F", "FR"), ("BL", "B", "BR"))),
        (("B", "BL", "BR", "F", "FL", "FR"), (("FL", "F", "FR"), ("BL", "B", "BR"))),
        (("FL", "F", "FR"), (("FL", "F", "FR"),)),
        (("F",), (("F",),)),
        (("F", "FR", "BR", "B", "FL"), (("FL", "F", "FR"), ("B", "BR"))),
    ],
)
def test_cameras_stand_where_they_look(names: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
    rig = make_rig(names)
    assert tuple(tuple(rig.names[i] for i in row) for row in camera_rows(rig)) == rows


def test_the_nuscenes_rig_reads_as_its_users_know_it() -> None:
    rig = load_rig("nuscenes")
    front, rear = (tuple(rig.names[i] for i in row) for row in camera_rows(rig))
    assert front == ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT")
    assert rear == ("CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")


def test_mosaic_is_even_sided_and_the_same_size_for_every_frame() -> None:
    drive = BoxDrive()
    sizes = set()
    for index in (0, 1):
        depth = exact_depth(drive, index)
        sizes.add(draw_mosaic(depth, fuse(depth), title="a", status="b", lidar=drive[index].lidar).shape)
    ((height_px, width_px, _),) = sizes
    assert height_px % 2 == 0
    assert width_px % 2 == 0


@pytest.mark.parametrize("names", [("F",), ("FL", "F", "FR"), ("FL", "F", "FR", "B")])
def test_rigs_of_other_sizes_are_drawn(names: tuple[str, ...]) -> None:
    depth = exact_depth(BoxDrive(rig=make_rig(names)))
    assert draw_mosaic(depth, fuse(depth)).shape[2] == 3


def test_a_dead_camera_and_the_sky_are_told_apart() -> None:
    depth = exact_depth(BoxDrive(dead=("F",)))
    image, depth_picture = draw_camera(depth, 1, MosaicStyle())
    np.testing.assert_array_equal(depth_picture, hatch(64, 96))
    assert image.std() > 0  # stripes and a word, not a black image
    _, alive = draw_camera(depth, 0, MosaicStyle())
    assert (alive[depth.sky[0]] == SKY_RGB).all()
