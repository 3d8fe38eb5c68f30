"""Check a rig file and say what it describes: sizes, lenses, views, mounting, overlaps; or what is wrong with it.

python calib/check_rig.py my_truck.yaml
python calib/check_rig.py nuscenes
"""

from __future__ import annotations

import argparse

from surround_depth.errors import run_cli


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rig", help="a rig YAML file, or the name of a shipped rig")
    arguments = parser.parse_args()

    import numpy as np

    from surround_depth.rig import load_rig

    rig = load_rig(arguments.rig)
    print(f"{rig.name}: {len(rig)} cameras, {rig.source}")
    for i in rig.ring_order():
        camera = rig.cameras[i]
        left_rad, right_rad = camera.yaw_limits_rad
        x_m, y_m, z_m = camera.T_ego_cam[:3, 3]
        pitch_deg = np.degrees(np.arcsin(-camera.T_ego_cam[2, 2]))
        print(
            f"  {camera.name:<18} {camera.width_px}x{camera.height_px} {camera.lens.model:<8}"
            f" focal {camera.focal_px:7.1f} px  view {np.degrees(left_rad - right_rad):5.1f} deg"
            f"  yaw {np.degrees(camera.yaw_rad):+7.1f} deg  down {pitch_deg:+5.1f} deg"
            f"  at {x_m:+.2f} {y_m:+.2f} {z_m:+.2f} m  fires {camera.trigger_offset_ms:+.1f} ms"
        )
    pairs = ", ".join(f"{rig.names[i]} - {rig.names[j]}" for i, j in rig.adjacent_pairs())
    print(f"overlapping neighbours: {pairs or 'none'}")


if __name__ == "__main__":
    run_cli(main)
