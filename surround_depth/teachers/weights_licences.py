"""Licences of the weights of known teachers: what a student that learns from their labels inherits."""

from __future__ import annotations

from pathlib import Path

from surround_depth.provenance import portable_argument

_APACHE = "Apache-2.0"
_NON_COMMERCIAL = "CC BY-NC 4.0"
_VKITTI = "CC BY-NC-SA 3.0 (of VKITTI, which it was fine-tuned on)"

# distillation.md, section 5, and ecosystem.md, section 9. Depth Anything 3 is here for its licences alone: transformers
# 5.23 has no such model.
KNOWN_LICENCES = {
    "depth-anything/Depth-Anything-V2-Small-hf": _APACHE,
    "depth-anything/Depth-Anything-V2-Base-hf": _NON_COMMERCIAL,
    "depth-anything/Depth-Anything-V2-Large-hf": _NON_COMMERCIAL,
    "depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf": _VKITTI,
    "depth-anything/Depth-Anything-V2-Metric-Outdoor-Base-hf": f"{_NON_COMMERCIAL}; {_VKITTI}",
    "depth-anything/Depth-Anything-V2-Metric-Outdoor-Large-hf": f"{_NON_COMMERCIAL}; {_VKITTI}",
    "depth-anything/DA3-SMALL": _APACHE,
    "depth-anything/DA3-BASE": _APACHE,
    "depth-anything/DA3METRIC-LARGE": _APACHE,
    "depth-anything/DA3MONO-LARGE": _APACHE,
    "depth-anything/DA3-LARGE": _NON_COMMERCIAL,
    "depth-anything/DA3-LARGE-1.1": _NON_COMMERCIAL,
    "depth-anything/DA3-GIANT": _NON_COMMERCIAL,
    "depth-anything/DA3-GIANT-1.1": _NON_COMMERCIAL,
    "depth-anything/DA3NESTED-GIANT-LARGE": _NON_COMMERCIAL,
    "depth-anything/DA3NESTED-GIANT-LARGE-1.1": _NON_COMMERCIAL,
    "Intel/zoedepth-nyu": "MIT",
    "Intel/zoedepth-kitti": "MIT",
    "Intel/zoedepth-nyu-kitti": "MIT",
}


def weights_licence(source: str, stated: str | None) -> str:
    """Return the licence of the weights at `source` (hub id or directory): the stated one, or of a known hub id.

    A directory is not known by its name: what lies in it may be anything.
    """
    if stated is not None:
        return stated
    if source in KNOWN_LICENCES and not Path(source).is_dir():
        return KNOWN_LICENCES[source]
    return f"not known here; the card of {portable_argument(source)} says it"
