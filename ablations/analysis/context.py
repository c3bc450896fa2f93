"""What context does to a token: its vectors in different texts, and whether the order of the others matters.

Axes: B rows, L positions, C model width.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from ablations.analysis.sites import nats, stacks, text
from data.batch import IGNORE, Batch


def contextualisation(vectors_BLC: Tensor, ids_BL: Tensor, counts_BL: Tensor) -> dict[str, float]:
    """How far a layer tells the uses of one token apart (Ethayarajh 2019).

    self_similarity: mean over token types of the mean cosine between a type's vectors in two different rows; types of
    a single row do not count. random: mean cosine between any two tokens of different rows, the layer's anisotropy.
    corrected: their difference. 1 and 0 mean vectors that know nothing of their context, in a layer that fills its
    space. Added position vectors are context too. NaN where no type is in two rows.
    """
    rows_BL = torch.arange(len(ids_BL), device=ids_BL.device)[:, None].expand_as(ids_BL)
    unit_NC = nn.functional.normalize(vectors_BLC[counts_BL].double(), dim=-1)
    ids_N, rows_N = ids_BL[counts_BL], rows_BL[counts_BL]
    types, type_N = ids_N.unique(return_inverse=True)
    alike = _across_rows(unit_NC, type_N, len(types), rows_N)
    alone = _across_rows(unit_NC, torch.zeros_like(type_N), 1, rows_N)
    self_similarity, random = float(alike[~alike.isnan()].mean()), float(alone)
    return {"self_similarity": self_similarity, "random": random, "corrected": self_similarity - random}


def _across_rows(unit_NC: Tensor, group_N: Tensor, groups: int, rows_N: Tensor) -> Tensor:
    """Per group the mean u_i . u_j over ordered pairs in different rows, NaN without one.

    All such products at once: |sum of the group|^2 less those within a row, sum over rows of |sum of the row|^2.
    """
    if not len(unit_NC):
        return unit_NC.new_full((groups,), torch.nan)
    cells, cell_N = (group_N * (int(rows_N.max()) + 1) + rows_N).unique(return_inverse=True)
    group_P = torch.div(cells, int(rows_N.max()) + 1, rounding_mode="floor")

    def total(x: Tensor, index: Tensor, size: int) -> Tensor:
        return x.new_zeros(size, *x.shape[1:]).index_add_(0, index, x)

    sums_PC, counts_P = total(unit_NC, cell_N, len(cells)), total(torch.ones_like(unit_NC[:, 0]), cell_N, len(cells))
    within = total(sums_PC.square().sum(-1), group_P, groups)
    pairs = total(counts_P, group_P, groups).square() - total(counts_P.square(), group_P, groups)
    return (total(sums_PC, group_P, groups).square().sum(-1) - within) / pairs.masked_fill(pairs == 0, torch.nan)


def by_layer(model: nn.Module, batch: Batch, specials: tuple[int, ...]) -> dict[str, dict[str, list[float]]]:
    """Stack -> the measures of `contextualisation`, each a list: the embeddings, then the stream after every block.

    Special tokens do not count.
    """
    seen: dict[str, list[Tensor]] = {stack: [] for stack in stacks(model)}
    handles = []
    for stack, blocks in stacks(model).items():
        handles.append(
            blocks[0].register_forward_pre_hook(lambda _, inputs, stack=stack: seen[stack].append(inputs[0]))
        )
        handles += [
            block.register_forward_hook(lambda _, __, output, stack=stack: seen[stack].append(output))
            for block in blocks
        ]
    try:
        model(**batch.inputs)
    finally:
        for handle in handles:
            handle.remove()
    found = {}
    for stack, (ids, real) in text(batch).items():
        counts = real & ~torch.isin(ids, torch.tensor(specials, device=ids.device))
        layers = [contextualisation(vectors, ids, counts) for vectors in seen[stack]]
        found[stack] = {name: [layer[name] for layer in layers] for name in layers[0]}
    return found


def order_sensitivity(model: nn.Module, batch: Batch, specials: tuple[int, ...], seed: int = 0) -> dict[str, float]:
    """Nats per target that a model loses when what it reads is put in another order: ordered, shuffled, difference.

    Translator, classifier: all tokens of the source but specials change places among themselves, targets stay.
    Language model: the first half of each window does, and in both cases only targets that follow a token of the
    second half are scored, so that what is lost is the order of a context whose words are all still there. 0: "the cat
    eats the fish" and "the fish eats the cat" are the same to the model.
    """
    generator = torch.Generator().manual_seed(seed)
    stack = "encoder" if "encoder" in text(batch) else "decoder"
    name = "source" if "source" in batch.inputs else "tokens"
    ids, real = text(batch)[stack]
    moves, targets = real, batch.targets
    if stack == "decoder":
        columns = torch.arange(ids.shape[1], device=ids.device)
        moves = real & (columns < real.sum(1, keepdim=True) // 2)
        targets = targets.masked_fill(moves, IGNORE)
    moves = moves & ~torch.isin(ids, torch.tensor(specials, device=ids.device))
    ordered = replace(batch, targets=targets)
    shuffled = replace(ordered, inputs={**batch.inputs, name: shuffle(ids, moves, generator)})
    before, after = float(nats(model, ordered)), float(nats(model, shuffled))
    return {"ordered": before, "shuffled": after, "difference": after - before}


def shuffle(ids_BL: Tensor, moves_BL: Tensor, generator: torch.Generator) -> Tensor:
    """The tokens that may move change places within their row, by random permutations."""
    result = ids_BL.clone()
    for row, moves in enumerate(moves_BL):
        places = moves.nonzero().flatten()
        order = torch.randperm(len(places), generator=generator).to(places.device)
        result[row, places] = ids_BL[row, places[order]]
    return result
