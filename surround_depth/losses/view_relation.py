"""What neighbouring cameras' contents have to do with each other, taught by the teacher: VRKD (distillation.md, D7).

All three variants are our design [O], inspired by arXiv 2512.08700 (its equations are not available to us). A camera's
map is pooled to a few tokens off the own vehicle; student and teacher are compared by the relations between the tokens
of two neighbouring cameras, never token by token. So they may have other channels and other map sizes.

Neighbours come from calibration (`ViewContext.neighbours`): int64 [B, N, 2], cameras whose view overlaps, -1 = none. An
edge is an unordered pair of neighbours that both live; ring or open chain, it counts once.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from surround_depth.config import StrictModel
from surround_depth.losses.masked import Term, at_least_float32, masked_mean

Relation = Literal["cosine", "softmax"]
_SHORTEST = 1e-6  # length of a vector that is divided by its length
_TEMPERATURE = 0.1  # of `relation: softmax`
_UNSEEN_LOGIT = -1.0e4  # its softmax is exactly 0, and unlike -inf it has no NaN where nothing else is seen
_LEAST_PROBABILITY = 1e-12  # the root's gradient is infinite at 0
_ANGLE_WEIGHT = 2.0  # beside distances: arXiv 1904.05068

_Cells = Annotated[int, Field(ge=1, le=64)]


class ViewRelationConfig(StrictModel):
    """Which relation between neighbouring views is taught."""

    variant: Literal["v1", "v2", "v3"] = "v1"
    """`v1`: features of tokens. `v2`: distances and angles of whole views. `v3`: bin probabilities of tokens."""
    relation: Relation = "cosine"
    """Of v1. `softmax`: which of the neighbour's tokens a token resembles most."""
    grid: tuple[_Cells, _Cells] = (6, 10)
    """Rows and columns of tokens, fewer where a map has fewer."""

    @model_validator(mode="after")
    def _relation_belongs_to_v1(self) -> Self:
        if self.relation != "cosine" and self.variant != "v1":
            raise ValueError(f"relation: {self.relation} is a choice of variant v1; {self.variant} has none")
        return self


def view_relation(
    student: Tensor, teacher: Tensor, keep: Tensor, neighbours: Tensor, camera_valid: Tensor, config: ViewRelationConfig
) -> Term:
    """Return VRKD of one pair of maps; the count is of edges.

    Args:
        student, teacher: [B, N, C, h, w], features for v1 and v2, bin probabilities (bins on axis 2) for v3; channels
            and sizes of features may differ. NaN allowed where `keep` is False and in dead cameras.
        keep: bool [B, N, H, W] of any size: not own body; for v3 where the teacher's probabilities mean something.
        neighbours: int64 [B, N, 2], -1 = none.
        camera_valid: bool [B, N].
    """
    rows, columns = (min(sizes) for sizes in zip(config.grid, student.shape[-2:], teacher.shape[-2:], strict=True))
    student_tokens, seen = pool_tokens(student, keep, (rows, columns))
    teacher_tokens, seen_by_teacher = pool_tokens(teacher.detach(), keep, (rows, columns))
    seen = seen & seen_by_teacher
    if config.variant == "v1":
        return feature_relation(student_tokens, teacher_tokens, seen, neighbours, camera_valid, config.relation)
    if config.variant == "v2":
        return pooled_relation(student_tokens, teacher_tokens, seen, neighbours, camera_valid)
    return bin_relation(student_tokens, teacher_tokens, seen, neighbours, camera_valid)


def pool_tokens(maps: Tensor, keep: Tensor, grid: tuple[int, int] = (6, 10)) -> tuple[Tensor, Tensor]:
    """Return the means of `maps` over the kept part of each cell: tokens [B, N, U, C], and whether any was kept.

    Args:
        maps: [B, N, C, h, w]. NaN allowed where nothing is kept.
        keep: bool [B, N, H, W] of any size; a pixel of the map weighs as much as the share of it that is kept.
        grid: rows and columns, U in all; fewer where the map has fewer.

    Returns:
        tokens, row by row, 0 where nothing is kept; and `seen`, bool [B, N, U].
    """
    B, N, C, h, w = maps.shape
    cells = (min(grid[0], h), min(grid[1], w))
    values = at_least_float32(maps).flatten(0, 1)
    share = F.adaptive_avg_pool2d(keep.flatten(0, 1)[:, None].to(values.dtype), (h, w))
    total = F.adaptive_avg_pool2d(torch.where(share > 0, values, 0.0) * share, cells)
    weight = F.adaptive_avg_pool2d(share, cells)
    seen = weight > 0
    tokens = total / torch.where(seen, weight, 1.0)
    return tokens.reshape(B, N, C, -1).transpose(2, 3), seen.reshape(B, N, -1)


def feature_relation(
    student_tokens: Tensor,
    teacher_tokens: Tensor,
    seen: Tensor,
    neighbours: Tensor,
    camera_valid: Tensor,
    relation: Relation = "cosine",
) -> Term:
    """Return V1: how unlike the similarities are between the tokens of two neighbouring cameras.

    `R_ij[u, v]` is the cosine of token u of camera i and token v of camera j: free of channels and of lengths.
    `cosine`: mean |R^S - R^T|. `softmax`: KL(T || S) of the rows `softmax(R / 0.1)`, mean of both directions of an
    edge. Mean over the pairs of seen tokens of an edge, then over edges (the count).

    Args:
        student_tokens, teacher_tokens: [B, N, U, C], each with its own C.
        seen: bool [B, N, U].
        neighbours, camera_valid: int64 [B, N, 2] and bool [B, N].
    """
    ours = F.normalize(_seen_tokens(student_tokens, seen, camera_valid), dim=-1, eps=_SHORTEST)
    theirs = F.normalize(_seen_tokens(teacher_tokens.detach(), seen, camera_valid), dim=-1, eps=_SHORTEST)
    sample, i, j = torch.nonzero(camera_edges(neighbours, camera_valid), as_tuple=True)
    seen_i, seen_j = seen[sample, i], seen[sample, j]
    R_student, R_teacher = (tokens[sample, i] @ tokens[sample, j].transpose(1, 2) for tokens in (ours, theirs))
    if relation == "cosine":
        return _mean_over_edges((R_student - R_teacher).abs(), seen_i[:, :, None] & seen_j[:, None])
    there = _row_divergence(R_student, R_teacher, seen_j)
    back = _row_divergence(R_student.transpose(1, 2), R_teacher.transpose(1, 2), seen_i)
    both_see = seen_i.any(dim=1, keepdim=True) & seen_j.any(dim=1, keepdim=True)
    towards, backwards = _mean_over_edges(there, seen_i & both_see), _mean_over_edges(back, seen_j & both_see)
    return Term(0.5 * (towards.value + backwards.value), towards.count)


def pooled_relation(
    student_tokens: Tensor, teacher_tokens: Tensor, seen: Tensor, neighbours: Tensor, camera_valid: Tensor
) -> Term:
    """Return V2: how unlike the shape is that the views of a rig form in feature space (`structure_relation`).

    A view is the mean of its seen tokens. Distances are those of the edges of a sample over their mean, so a sample
    with one edge says nothing; an angle lies at a camera between its two neighbours and needs both alive. Arguments
    as in `feature_relation`.
    """
    alive = camera_valid & seen.any(dim=-1)
    n_seen = seen.sum(dim=-1, keepdim=True).clamp(min=1)
    ours, theirs = (
        _seen_tokens(tokens, seen, camera_valid).sum(dim=2) / n_seen
        for tokens in (student_tokens, teacher_tokens.detach())
    )
    first, second = (_one_hot(neighbours[..., slot], alive) for slot in (0, 1))
    apart = ~torch.eye(alive.shape[1], dtype=torch.bool, device=alive.device)
    angles = first[..., None] & second[:, :, None] & apart & alive[:, :, None, None]
    return structure_relation(ours, theirs, camera_edges(neighbours, alive), angles)


def bin_relation(
    student_tokens: Tensor, teacher_tokens: Tensor, seen: Tensor, neighbours: Tensor, camera_valid: Tensor
) -> Term:
    """Return V3: how unlike the overlaps are of the bin probabilities of two neighbouring cameras' tokens.

    `R_ij[u, v] = sum_k sqrt(p_i,k(u) p_j,k(v))`, Bhattacharyya's coefficient in [0, 1]; mean |R^S - R^T| as in V1.
    It compares bin indices: free of scale where each image has bins of its own.

    Args:
        student_tokens, teacher_tokens: pooled probabilities [B, N, U, M].
        seen, neighbours, camera_valid: as in `feature_relation`.
    """
    ours, theirs = (
        torch.sqrt(_seen_tokens(tokens, seen, camera_valid).clamp(min=_LEAST_PROBABILITY))
        for tokens in (student_tokens, teacher_tokens.detach())
    )
    sample, i, j = torch.nonzero(camera_edges(neighbours, camera_valid), as_tuple=True)
    R_student, R_teacher = (tokens[sample, i] @ tokens[sample, j].transpose(1, 2) for tokens in (ours, theirs))
    return _mean_over_edges((R_student - R_teacher).abs(), seen[sample, i][:, :, None] & seen[sample, j][:, None])


def structure_relation(student: Tensor, teacher: Tensor, pairs: Tensor, angles: Tensor) -> Term:
    """Return L_D + 2 L_A, the Huber losses (delta 1) of distances, over their mean, and of the cosines of angles.

    Free of shift, rotation and scale of either space, which may differ in channels.

    Args:
        student, teacher: vectors [G, X, C] in G groups; finite everywhere.
        pairs: bool [G, X, X], the pairs whose distance counts; their mean is that of a group.
        angles: bool [G, X, X, X]: (apex, leg, leg).

    Returns:
        The term; the count is of pairs.

    Source: distance and angle as in arXiv 1904.05068 (RKD); which pairs and angles is the caller's.
    """
    teacher = teacher.detach()
    distances = F.huber_loss(_relative_distances(student, pairs), _relative_distances(teacher, pairs), reduction="none")
    cosines = F.huber_loss(_angle_cosines(student), _angle_cosines(teacher), reduction="none")
    distance = masked_mean(distances, pairs)
    return Term(distance.value + _ANGLE_WEIGHT * masked_mean(cosines, angles).value, distance.count)


def camera_edges(neighbours: Tensor, camera_valid: Tensor) -> Tensor:
    """Return bool [B, N, N], True at (i, j), i < j, where i and j are neighbours and both live."""
    beside = _one_hot(neighbours[..., 0], camera_valid) | _one_hot(neighbours[..., 1], camera_valid)
    return ((beside | beside.transpose(1, 2)) & camera_valid[:, :, None] & camera_valid[:, None]).triu(1)


def _one_hot(camera: Tensor, alive: Tensor) -> Tensor:
    """Return bool [B, N, N] of camera indices [B, N]: nothing for -1 or a camera that is not alive."""
    return (camera[..., None] == torch.arange(alive.shape[1], device=alive.device)) & alive[:, None]


def _seen_tokens(tokens: Tensor, seen: Tensor, camera_valid: Tensor) -> Tensor:
    """Return the tokens that count, 0 elsewhere: a NaN there would come back through a gradient of 0."""
    return torch.where((seen & camera_valid[..., None])[..., None], at_least_float32(tokens), 0.0)


def _row_divergence(R_student: Tensor, R_teacher: Tensor, seen_columns: Tensor) -> Tensor:
    """Return KL(T || S) of the rows of R [E, U, V] over seen columns [E, V]: [E, U]."""
    logits = (torch.where(seen_columns[:, None], R / _TEMPERATURE, _UNSEEN_LOGIT) for R in (R_student, R_teacher))
    log_student, log_teacher = (torch.log_softmax(rows, dim=-1) for rows in logits)
    return (log_teacher.exp() * (log_teacher - log_student)).sum(dim=-1)


def _mean_over_edges(values: Tensor, mask: Tensor) -> Term:
    """Return the mean over edges of each edge's mean over `mask` [E, ...]; an edge with none is left out."""
    n = mask.flatten(1).sum(dim=1)
    means = torch.where(mask, values, 0.0).flatten(1).sum(dim=1) / n.clamp(min=1)
    return masked_mean(means, n > 0)


def _relative_distances(vectors: Tensor, pairs: Tensor) -> Tensor:
    """Return |v_i - v_j| [G, X, X] over its mean over the group's pairs."""
    distances = torch.linalg.vector_norm(vectors[:, :, None] - vectors[:, None], dim=-1)
    total = torch.where(pairs, distances, 0.0).sum(dim=(1, 2), keepdim=True)
    return distances / (total / pairs.sum(dim=(1, 2), keepdim=True).clamp(min=1)).clamp(min=_SHORTEST)


def _angle_cosines(vectors: Tensor) -> Tensor:
    """Return cos(v_a - v_i, v_b - v_i) at [g, i, a, b]."""
    legs = F.normalize(vectors[:, None] - vectors[:, :, None], dim=-1, eps=_SHORTEST)  # [G, i, a, C]
    return legs @ legs.transpose(2, 3)
