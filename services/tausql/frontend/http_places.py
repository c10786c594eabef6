"""Places that clusters share: requests being served, transactions held.

A limit for all alone would let one cluster's slow statements turn everybody else away. A fixed share each would leave
most places empty most of the time. So a cluster may take what it likes while there is room, and no more than half once
three quarters are taken.
"""

from __future__ import annotations


class Places:
    __slots__ = ("_by_cluster", "_count_max", "taken")

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._by_cluster: dict[str, int] = {}
        self.taken = 0

    def take(self, cluster: str) -> bool:
        """False: there is none. Each one taken is to be given back once."""
        own = self._by_cluster.get(cluster, 0)
        scarce = self.taken >= self._count_max * 3 // 4
        if self.taken >= self._count_max or (scarce and own >= max(self._count_max // 2, 1)):
            return False
        self._by_cluster[cluster] = own + 1
        self.taken += 1
        return True

    def give_back(self, cluster: str) -> None:
        left = self._by_cluster[cluster] - 1
        if left:
            self._by_cluster[cluster] = left
        else:
            del self._by_cluster[cluster]
        self.taken -= 1
