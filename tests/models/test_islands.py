"""Float32 islands: values that float16 arithmetic loses come out right, in float16 again."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import torch
import torch.nn.functional as F

from surround_depth.models.islands import Float32Islands, halve


def test_a_sum_that_half_cannot_hold_keeps_its_mean_and_norm() -> None:
    # 4 x 40000 = 160000 is beyond 65504; so is the square of 40000
    values = torch.full((1, 4), 40000.0, dtype=torch.float16)
    with Float32Islands():
        mean = values.mean(dim=1)
        norm = torch.linalg.vector_norm(values / 4, dim=1)
    assert mean.dtype == norm.dtype == torch.float16
    assert mean.item() == pytest.approx(40000, rel=1e-3)
    assert norm.item() == pytest.approx(20000, rel=1e-3)


def test_a_layer_norm_of_large_features_is_numpys() -> None:
    values = np.random.default_rng(0).normal(1000.0, 400.0, (3, 16)).astype(np.float16)
    expected = values.astype(np.float64)
    expected = (expected - expected.mean(1, keepdims=True)) / expected.std(1, keepdims=True)
    norm = torch.nn.LayerNorm(16)
    halve(norm)
    assert norm.weight.dtype == torch.float32
    with Float32Islands():
        result = norm(torch.from_numpy(values))
    assert result.dtype == torch.float16
    np.testing.assert_allclose(result.detach().numpy(), expected, atol=2e-3)


def test_a_softmax_is_scipys_and_keeps_the_type_that_is_asked_for() -> None:
    scores = np.array([[-8.0, 0.0, 8.0, 11.0]], np.float16)
    expected = scipy.special.softmax(scores.astype(np.float64), axis=1)
    with Float32Islands():
        half = F.softmax(torch.from_numpy(scores), dim=1)
        full = F.softmax(torch.from_numpy(scores), dim=1, dtype=torch.float32)
    assert (half.dtype, full.dtype) == (torch.float16, torch.float32)
    np.testing.assert_allclose(full.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(half.numpy(), expected, rtol=1e-3, atol=1e-7)


def test_weights_say_the_precision_of_a_layer() -> None:
    conv, linear = torch.nn.Conv2d(3, 4, 1), torch.nn.Linear(4, 2)
    halve(conv)
    with Float32Islands():
        features = conv(torch.ones(1, 3, 2, 2))
        tokens = linear(features.flatten(2).transpose(1, 2))
    assert (features.dtype, tokens.dtype) == (torch.float16, torch.float32)


def test_attention_in_half_is_numpys() -> None:
    rng = np.random.default_rng(0)
    query, key, value = (rng.normal(size=(5, 8)).astype(np.float16) for _ in range(3))
    added = rng.normal(size=(5, 5)).astype(np.float16)
    q, k, v = (a.astype(np.float64) for a in (query, key, value))
    expected = scipy.special.softmax(q @ k.T / np.sqrt(8) + added, axis=1) @ v
    with Float32Islands():
        result = F.scaled_dot_product_attention(
            *(torch.from_numpy(a)[None] for a in (query, key, value)), attn_mask=torch.from_numpy(added)
        )
    assert result.dtype == torch.float16
    np.testing.assert_allclose(result[0].numpy(), expected, atol=1e-3)


def test_float32_passes_unchanged() -> None:
    values = torch.randn(2, 3, 4, 4)
    with Float32Islands():
        inside = F.layer_norm(values, (4,)), values.mean((2, 3)), torch.softmax(values, dim=1)
    outside = F.layer_norm(values, (4,)), values.mean((2, 3)), torch.softmax(values, dim=1)
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))
