"""Write the rig of one scene as a YAML file that `load_rig` reads.

python tools/export_rig.py --dataset nuscenes --root data/nuscenes --scene scene-0061 --out my_rig.yaml
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
    parser.add_argument("--frame", type=int, default=0, help="sample whose calibration is written")
    parser.add_argument("--name", help="name of the rig; the data set's by default")
    parser.add_argument("--source", help="provenance written into the file; data set, scene and calibration by default")
    parser.add_argument("--out", required=True, type=Path, help="YAML file to write")
    return parser.parse_args()


def main() -> None:
    """Write the rig file."""
    arguments = parse_arguments()
    from dataclasses import replace

    from surround_depth.data.build import open_dataset, open_sequence, sample_at
    from surround_depth.rig import save_rig

    dataset = open_dataset(arguments.dataset, arguments.root, version=arguments.version)
    rig = sample_at(open_sequence(dataset, arguments.scene), arguments.frame).frame.rig
    rig = replace(rig, name=arguments.name or rig.name, source=arguments.source or rig.source)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_rig(rig, arguments.out)
    print(f"wrote {arguments.out}: {len(rig)} cameras, {rig.source}")


if __name__ == "__main__":
    run_cli(main)
