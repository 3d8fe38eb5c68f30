"""The only decode, resize, crop and mirror of the project. A plan moves pixels and K together, so they cannot drift."""

from __future__ import annotations

from surround_depth.imaging.decode import decode_image as decode_image
from surround_depth.imaging.decode import encode_jpeg as encode_jpeg
from surround_depth.imaging.decode import read_encoded as read_encoded
from surround_depth.imaging.mirroring import mirrored_camera as mirrored_camera
from surround_depth.imaging.mirroring import mirrored_cloud as mirrored_cloud
from surround_depth.imaging.mirroring import mirrored_frame as mirrored_frame
from surround_depth.imaging.mirroring import mirrored_mount as mirrored_mount
from surround_depth.imaging.mirroring import mirrored_pose as mirrored_pose
from surround_depth.imaging.plan import ENGINE_FRAMING as ENGINE_FRAMING
from surround_depth.imaging.plan import RAY_STRIDE_PX as RAY_STRIDE_PX
from surround_depth.imaging.plan import Framing as Framing
from surround_depth.imaging.plan import ImagePlan as ImagePlan
from surround_depth.imaging.plan import ImagePlans as ImagePlans
from surround_depth.imaging.plan import InputSpec as InputSpec
from surround_depth.imaging.plan import parse_size as parse_size
from surround_depth.imaging.plan import plan_image as plan_image
from surround_depth.imaging.plan import plan_images as plan_images
from surround_depth.imaging.windowing import windowed_camera as windowed_camera
