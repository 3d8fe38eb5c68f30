"""What a teacher's label is kept under: a hash of everything recorded that it depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np

from surround_depth.data.sample import Sample
from surround_depth.frame import EncodedImage
from surround_depth.geometry import for_hash
from surround_depth.imaging import InputSpec


def label_id(sample: Sample, spec: InputSpec) -> str:
    """Return the SHA-256 of a sample's name, pictures, partners, cameras, truth and the input it is brought to.

    Names alone do not do: a seed renders the same moments whatever rig drives through them, and a tree may be rendered
    anew. Pictures count as recorded, so that one cache serves machines that decode or resize a little differently.
    LiDAR, ego poses and own-body masks do not count (but where truth is masked by them): no teacher sees them.
    """
    frame, truth = sample.frame, sample.truth
    cameras = [
        (c.name, c.height_px, c.width_px, *(for_hash(one).tolist() for one in (c.K, c.T_ego_cam)), asdict(c.lens))
        for c in frame.rig.cameras
    ]
    facts = [frame.frame_id, spec.model_dump(mode="json"), cameras, frame.camera_valid.tolist()]
    parts: list[object] = [json.dumps(facts).encode(), *frame.images]
    if truth is not None:
        parts += [*truth.depth_m, *truth.sky, *(camera.own_body for camera in frame.rig.cameras)]
    if sample.partners is not None:  # without any the id is what it was before there were partners
        parts += [for_hash(sample.partners.baseline_m), *sample.partners.images]
    digest = hashlib.sha256()
    for part in parts:
        content = _bytes_of(part)
        digest.update(len(content).to_bytes(8, "little"))  # or two parts could share a border
        digest.update(content)
    return digest.hexdigest()


def _bytes_of(part: object) -> bytes:
    match part:
        case bytes():
            return part
        case EncodedImage():
            return part.data
        case np.ndarray():
            return part.tobytes()
        case None:
            return b""
        case _:
            raise TypeError(f"{type(part).__name__} is no part of a recording")
