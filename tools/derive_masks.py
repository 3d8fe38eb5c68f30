"""Derive own-body masks of a vehicle from its drives: what stays in place while the world moves.

    python tools/derive_masks.py --dataset nuscenes --root DATA --scenes scene-0061 scene-0103 ... --out out/masks

Give drives of ONE vehicle through different streets, four or more. Writes CHANNEL.png per camera (255 = keep, 0 = own
vehicle; tools/evaluate.py --masks takes the folder; for DDAD CHANNEL_mask.png), masks.json and overlay.png: look at it.
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
    parser.add_argument("--scenes", nargs="+", metavar="SCENE", help="drives of one vehicle (default: all)")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="a new folder, or one of masks: replaced"
    )
    return parser.parse_args()


def main() -> None:
    """Write masks and overlay, print what was found."""
    arguments = parse_arguments()
    from surround_depth.data.build import open_dataset
    from surround_depth.data.mask_folder import DDAD_SUFFIX
    from surround_depth.data.own_body import derive_own_body, intersection_over_union
    from surround_depth.data.own_body_masks import require_replaceable, write_own_body_masks
    from surround_depth.imaging import decode_image
    from surround_depth.provenance import command_line, source_commit
    from surround_depth.viz.drawing import write_picture
    from surround_depth.viz.mask_overlay import draw_mask, draw_mask_mosaic

    require_replaceable(arguments.out)  # before the work of minutes
    dataset = open_dataset(arguments.dataset, arguments.root, version=arguments.version)
    scenes = arguments.scenes or list(dataset.scenes())
    estimates = derive_own_body(dataset.sequence(scene) for scene in scenes)
    source = {
        "dataset": dataset.name,
        "licence": dataset.licence,
        "scenes": scenes,
        "command": command_line(),
        "commit": source_commit(),
    }
    suffix = DDAD_SUFFIX if arguments.dataset == "ddad" else ""
    write_own_body_masks(arguments.out, estimates, source, suffix=suffix)
    sequence = dataset.sequence(scenes[-1])
    frame = sequence[len(sequence) // 2].frame
    for name, estimate in estimates.items():
        known = frame.rig.camera(name).own_body  # rendered trees bring exact ones, which were not looked at
        iou = None if known is None else intersection_over_union(estimate.own_body, known)
        agreement = "" if iou is None else f"; IoU with the tree's own mask {iou:.3f}"
        found = "sees nothing of the vehicle"
        if estimate.support is not None:
            found = f"{estimate.hidden_share:.1%} hidden, its outline {estimate.support:.0%} lasting"
        print(f"  {name}: {found}; best refused {estimate.runner_up:.0%}; {estimate.n_frames} frames{agreement}")
    pictures = {
        camera.name: draw_mask(
            decode_image(image, camera, camera.height_px, camera.width_px), estimates[camera.name].own_body
        )
        for camera, image in zip(frame.rig.cameras, frame.images, strict=True)
        if image is not None
    }
    title = f"own body   {dataset.name}   from {len(scenes)} drives, over {sequence.name}"
    write_picture(arguments.out / "overlay.png", draw_mask_mosaic(frame.rig, pictures, title))
    print(
        f"wrote {len(estimates)} masks to {arguments.out}; look at {arguments.out / 'overlay.png'} before you use them"
    )


if __name__ == "__main__":
    run_cli(main)
