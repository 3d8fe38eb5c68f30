"""Draw LiDAR over a data set's images, and its rig from above: two pictures that show whether a calibration is right.

    python tools/show_rig.py --dataset nuscenes --root data/nuscenes --out out/rig
    python tools/show_rig.py --dataset ddad --root data/ddad --scene 000150 --frame 10 --out out/rig

Where LiDAR depth jumps, the image must have an edge: at poles, cars, the corners of buildings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import run_cli


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, choices=("nuscenes", "ddad", "synthetic"))
    parser.add_argument("--root", required=True, type=Path, help="folder of the data set")
    parser.add_argument("--version", help="folder of the tables (nuscenes, synthetic)")
    parser.add_argument("--scene", help="name of the scene; the first by default")
    parser.add_argument("--frame", type=int, default=0, help="index of the sample in the scene")
    parser.add_argument("--out", required=True, type=Path, help="folder for overlay.png and rig.png")
    return parser.parse_args()


def main() -> None:
    """Write the two pictures and print how many LiDAR points each camera sees."""
    arguments = parse_arguments()
    from surround_depth.data.build import open_dataset, open_sequence, sample_at
    from surround_depth.data.lidar_depth import project_lidar
    from surround_depth.imaging import decode_image
    from surround_depth.viz.colors import DepthScale
    from surround_depth.viz.drawing import write_picture
    from surround_depth.viz.lidar_overlay import draw_overlay_mosaic, draw_points
    from surround_depth.viz.rig_view import draw_rig_view

    dataset = open_dataset(arguments.dataset, arguments.root, version=arguments.version)
    sequence = open_sequence(dataset, arguments.scene)
    sample = sample_at(sequence, arguments.frame)
    frame, scale, pictures = sample.frame, DepthScale(), {}
    print(
        f"{dataset.name}, scene {sequence.name}, frame {arguments.frame} of {len(sequence)}; licence: {dataset.licence}"
    )
    for i, camera in enumerate(frame.rig.cameras):
        image = frame.images[i]
        if image is None:
            print(f"  {camera.name}: no image")
            continue
        picture = decode_image(image, camera, camera.height_px, camera.width_px)
        if sample.lidar is not None:
            pose = None if frame.T_world_ego is None else frame.T_world_ego[i]
            points = project_lidar(sample.lidar, pose, camera)
            picture = draw_points(picture, points.uv_px, points.depth_m, scale, radius_px=camera.width_px / 500)
            behind_ms = (sample.lidar.stamp_ns - int(frame.stamps_ns[i])) / 1e6
            print(f"  {camera.name}: {len(points.depth_m)} LiDAR points, sweep {behind_ms:+.1f} ms after the image")
        pictures[camera.name] = picture
    arguments.out.mkdir(parents=True, exist_ok=True)
    title = f"{dataset.name}   {sequence.name}   frame {arguments.frame}   LiDAR over images"
    write_picture(arguments.out / "overlay.png", draw_overlay_mosaic(frame.rig, pictures, title, scale))
    write_picture(arguments.out / "rig.png", draw_rig_view(frame.rig))
    print(f"wrote {arguments.out / 'overlay.png'} and {arguments.out / 'rig.png'}")


if __name__ == "__main__":
    run_cli(main)
