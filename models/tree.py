"""The past of several hypotheses that share their beginnings, kept once.

Axes: B sentences, K live hypotheses of each, S cells: one token of one hypothesis, in the order they were made.
"""

import torch
from torch import Tensor

SPARSE = 2  # cells are forgotten where so many times fewer would do: each is copied once for each that is dropped


class Tree:
    """Which cells each live hypothesis came by, its own newest last among them: what its query may look at.

    Nothing that is remembered of a cell is ever moved when hypotheses change places: they look elsewhere (as tree
    attention does, Miao et al. 2024).
    """

    def __init__(self, parents_BK: Tensor) -> None:
        self.depth = 0  # position of the newest cells
        B, K = parents_BK.shape
        self.seen_BKS = torch.ones(B, K, 0, dtype=torch.bool, device=parents_BK.device)
        self.positions_BS = parents_BK.new_empty(B, 0)
        self.grow()

    def descend(self, parents_BK: Tensor) -> None:
        """The next hypotheses see what their parents saw."""
        self.seen_BKS = self.seen_BKS.gather(1, parents_BK[:, :, None].expand(-1, -1, self.seen_BKS.shape[2]))
        self.depth += 1

    def grow(self) -> None:
        """A new cell for each hypothesis, which it alone sees."""
        B, K, _ = self.seen_BKS.shape
        own_KK = torch.eye(K, dtype=torch.bool, device=self.seen_BKS.device)
        self.seen_BKS = torch.cat([self.seen_BKS, own_KK.expand(B, -1, -1)], dim=2)
        self.positions_BS = torch.cat([self.positions_BS, self.positions_BS.new_full((B, K), self.depth)], dim=1)

    def prune(self) -> Tensor | None:
        """Forgets cells that no hypothesis came by, if they are many; the places [B, S] of those that stay.

        Rows that need fewer cells than others keep some that nobody sees.
        """
        needed_BS = self.seen_BKS.any(1)
        most = int(needed_BS.sum(1).max())
        if SPARSE * most > needed_BS.shape[1]:
            return None
        places_BS = needed_BS.int().argsort(dim=1, descending=True, stable=True)[:, :most]
        self.seen_BKS = self.seen_BKS.gather(2, places_BS[:, None].expand(-1, self.seen_BKS.shape[1], -1))
        self.positions_BS = self.positions_BS.gather(1, places_BS)
        return places_BS

    def select(self, rows: Tensor) -> None:
        """Keeps these sentences."""
        self.seen_BKS, self.positions_BS = self.seen_BKS[rows], self.positions_BS[rows]
