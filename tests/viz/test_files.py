from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.frame import PointCloud
from surround_depth.viz.drawing import canvas, draw_text, fit, paste, text_width_px, write_picture
from surround_depth.viz.ply import write_ply
from surround_depth.viz.video import VideoWriter


def full_cloud() -> PointCloud:
    random = np.random.default_rng(0)
    return PointCloud(
        points_m=random.normal(size=(50, 3)).astype(np.float32),
        coordinate_frame="ego",
        stamp_ns=123,
        rgb=random.integers(0, 256, (50, 3), dtype=np.uint8),
        confidence=random.random(50).astype(np.float32),
        camera_index=np.arange(50, dtype=np.int16) % 6,
    )


def test_open3d_reads_the_cloud_back(tmp_path: Path) -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    cloud = full_cloud()
    write_ply(tmp_path / "cloud.ply", cloud)
    read = open3d.t.io.read_point_cloud(str(tmp_path / "cloud.ply"))
    np.testing.assert_array_equal(read.point.positions.numpy(), cloud.points_m)
    np.testing.assert_array_equal(read.point.colors.numpy(), cloud.rgb)
    np.testing.assert_array_equal(read.point["confidence"].numpy()[:, 0], cloud.confidence)
    np.testing.assert_array_equal(read.point["camera_index"].numpy()[:, 0], cloud.camera_index)


def test_header_says_frame_stamp_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "lidar.ply"
    write_ply(path, PointCloud(np.zeros((2, 3), np.float32), "sensor", 7, intensity=np.ones(2, np.float32)))
    header, _, body = path.read_bytes().partition(b"end_header\n")
    assert b"comment frame sensor, metres\ncomment stamp_ns 7\nelement vertex 2\n" in header
    assert header.count(b"property") == 4
    assert len(body) == 2 * 16


def test_a_cloud_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.*cannot be written"):
        write_ply(tmp_path / "nowhere" / "cloud.ply", full_cloud())


def test_the_video_plays_back_what_was_written(tmp_path: Path) -> None:
    colors = [(220, 40, 40), (40, 220, 40), (40, 40, 220)]
    with VideoWriter(tmp_path / "v.mp4", 10.0) as video:
        for color in colors:
            video.write(canvas(64, 96, color))
    capture = cv2.VideoCapture(str(tmp_path / "v.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10.0)
    # "vp09" in the container is what browsers ask for.
    assert int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little") in (b"vp09", b"VP90")
    for color in colors:
        read, frame = capture.read()
        assert read
        assert np.abs(frame[..., ::-1].reshape(-1, 3).mean(axis=0) - color).max() < 12
    assert not capture.read()[0]


def test_videos_that_no_player_would_take_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\.mp4"):
        VideoWriter(tmp_path / "v.avi", 10.0)
    with VideoWriter(tmp_path / "v.mp4", 10.0) as video:
        with pytest.raises(DataError, match="even sides"):
            video.write(canvas(63, 96))
        video.write(canvas(64, 96))
        with pytest.raises(DataError, match="96, 32"):
            video.write(canvas(32, 96))


def test_pictures_keep_their_colours(tmp_path: Path) -> None:
    write_picture(tmp_path / "p.png", canvas(4, 4, (250, 120, 10)))
    assert cv2.imread(str(tmp_path / "p.png"))[0, 0].tolist() == [10, 120, 250]
    with pytest.raises(DataError, match="does the folder exist"):
        write_picture(tmp_path / "nowhere" / "p.png", canvas(4, 4))


def test_text_is_as_wide_as_it_says() -> None:
    picture = canvas(40, 400, (0, 0, 0))
    draw_text(picture, "CAM_FRONT 12 m", 10, 30, 16, (255, 255, 255))
    columns = np.flatnonzero(picture.any(axis=(0, 2)))
    assert abs((columns[-1] - columns[0]) - text_width_px("CAM_FRONT 12 m", 16)) <= 6


def test_fit_keeps_the_aspect_and_paste_cuts() -> None:
    fitted = fit(canvas(50, 100, (255, 255, 255)), 100, 100)
    assert (fitted[25:75] == 255).all()
    assert (fitted[:25] < 50).all()
    picture = canvas(4, 4, (0, 0, 0))
    paste(picture, canvas(4, 4, (9, 9, 9)), 2, 3)
    assert picture[3, 2:].tolist() == [[9, 9, 9]] * 2
    assert picture.sum() == 2 * 27
