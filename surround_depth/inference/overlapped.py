"""The main path on threads: while one frame is fused, the next is inferred and the one after it is decoded.

prepare            decode the JPEGs, resize, crop       a thread
infer, decode      the engine, then validity            a thread
fuse               the cloud of all cameras             a thread

Depth and clouds are those of the serial path, bit for bit: the same steps run on the same frames in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from surround_depth.frame import PointCloud, SurroundDepth, SurroundFrame
from surround_depth.imaging import ImagePlans
from surround_depth.inference.backend import Inferred
from surround_depth.inference.pipeline import PreparedFrame, SurroundDepthPipeline
from surround_depth.inference.rig_pipelines import RigPipelines
from surround_depth.inference.stage_threads import Item, Outcome, Stage, StageThreads


@dataclass(frozen=True, eq=False)
class FusedFrame:
    """What comes out of the chain for one frame."""

    depth: SurroundDepth
    cloud: PointCloud
    plans: ImagePlans
    """How the frame's images became the network's; truth is brought to the depth's pixels with them too."""


def overlapped_chain(
    pipelines: RigPipelines,
    fuse: Callable[[SurroundDepth], PointCloud],
    frame_of: Callable[[Item], SurroundFrame],
    deliver: Callable[[Outcome[Item, FusedFrame]], object],
    *,
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> StageThreads[Item, FusedFrame]:
    """Return a running chain from items to fused frames; close it, or use it in a `with` block.

    Args:
        pipelines: belongs to the chain until it is closed. Let it process a frame before, so that no thread compiles.
        frame_of: gives an item's frame, or raises `DataError` where the item has none that can be used.
        deliver, clock_ns: as `StageThreads`.
    """

    def prepare(item: Item) -> tuple[SurroundDepthPipeline, PreparedFrame]:
        frame = frame_of(item)
        pipeline = pipelines.for_rig(frame.rig)
        return pipeline, pipeline.prepare(frame)

    def infer(
        work: tuple[SurroundDepthPipeline, PreparedFrame],
    ) -> tuple[SurroundDepthPipeline, PreparedFrame, Inferred]:
        pipeline, prepared = work
        return pipeline, prepared, pipeline.infer(prepared)

    def decode(
        work: tuple[SurroundDepthPipeline, PreparedFrame, Inferred],
    ) -> tuple[SurroundDepthPipeline, SurroundDepth]:
        pipeline, prepared, inferred = work
        return pipeline, pipeline.decode(prepared, inferred)

    def fuse_all(work: tuple[SurroundDepthPipeline, SurroundDepth]) -> FusedFrame:
        pipeline, depth = work
        return FusedFrame(depth, fuse(depth), pipeline.plans)

    stages: tuple[Stage, ...] = ({"prepare": prepare}, {"infer": infer, "decode": decode}, {"fuse": fuse_all})
    return StageThreads(stages, deliver, clock_ns=clock_ns)
