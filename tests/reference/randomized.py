"""Random numbers for what is held to PyTorch."""

from typing import TypeVar

import numpy as np
import torch

Module = TypeVar("Module", bound=torch.nn.Module)


def random_array(*shape: int, seed: int = 3) -> np.ndarray:
    """Return normal numbers in float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def randomize(module: Module, std: float = 0.5) -> Module:
    """Return the module, every parameter filled with normal numbers, biases and norms too, and fixed."""
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=std, generator=generator)
    return module.requires_grad_(False)
