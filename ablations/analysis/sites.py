"""What every analysis starts from: the attention sites of a model by name, the text of a batch, nats per target.

Axes: B rows, L positions, H query heads, E width of a head's values, C model width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.batch import IGNORE, PAD, Batch

STACKS = ("encoder", "decoder")


def sites(model: nn.Module) -> dict[str, Any]:
    """The attention layers by name, in the order they work: "encoder.0.self", "decoder.1.self", "decoder.1.cross"."""
    found = {}
    for stack, blocks in stacks(model).items():
        for layer, block in enumerate(blocks):
            found[f"{stack}.{layer}.self"] = block.attention
            if hasattr(block, "cross"):
                found[f"{stack}.{layer}.cross"] = block.cross
    return found


def stacks(model: nn.Module) -> dict[str, Any]:
    """The lists of blocks that a model has, "encoder", "decoder" or both."""
    return {stack: getattr(model, stack) for stack in STACKS if hasattr(model, stack)}


def query_stack(site: str) -> str:
    """The stack whose positions ask at a site."""
    return site.split(".")[0]


def key_stack(site: str) -> str:
    """The stack whose positions are attended to at a site."""
    return "encoder" if site.endswith(".cross") else query_stack(site)


def text(batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
    """Per stack what it reads: ids [B, L] and, True at real tokens, mask [B, L]."""
    inputs = batch.inputs
    if "source" in inputs:
        return {
            "encoder": (inputs["source"], inputs["source_mask"]),
            "decoder": (inputs["target"], batch.targets != IGNORE),
        }
    if "mask" in inputs:
        return {"encoder": (inputs["tokens"], inputs["mask"])}
    return {"decoder": (inputs["tokens"], inputs["tokens"] != PAD)}


def nats(model: nn.Module, batch: Batch) -> Tensor:
    """Mean negative log-likelihood over the real targets of a batch, a scalar."""
    logits = model(**batch.inputs)
    return F.cross_entropy(logits.flatten(0, -2), batch.targets.flatten(), ignore_index=IGNORE)


def output_map(attention: Any) -> Tensor:
    """W_O cut by heads, [H, E, C]: a head adds y_h W_O^h to the stream (and all together one bias)."""
    if isinstance(attention.out, nn.Linear):
        whole = attention.out.weight.T
    else:  # nn.Identity: the heads side by side are the output
        anchor = next(attention.parameters(), torch.zeros(()))
        width = attention.heads * attention.project.sizes.value_head_dim
        whole = torch.eye(width, dtype=anchor.dtype, device=anchor.device)
    return whole.unflatten(0, (attention.heads, -1))
