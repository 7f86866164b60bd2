"""Counts of what happened to many sweeps, with a few names for each kind."""

from collections import Counter, defaultdict

_NAMED = 3


class Tally:
    """Counts by kind and the first names of each kind."""

    def __init__(self):
        self.counts = Counter()
        self.names = defaultdict(list)

    def add(self, kind, name=None, count=1):
        """Count ``count`` things of ``kind``; ``name`` is one of them, shown in the report."""
        if count:
            self.counts[kind] += count
            if name is not None and len(self.names[kind]) < _NAMED:
                self.names[kind].append(str(name))

    def merge(self, other):
        """Add the counts and names of another tally."""
        self.counts.update(other.counts)
        for kind, names in other.names.items():
            self.names[kind] = (self.names[kind] + names)[:_NAMED]

    def lines(self, kinds):
        """list[str]: ``<count> <kind>``, with names, of those of ``kinds`` that happened, in their order."""
        lines = []
        for kind in kinds:
            if self.counts[kind]:
                lines.append(f'{self.counts[kind]:>10} {kind}')
                lines += [f'{"":>10}   {name}' for name in self.names[kind]]
                if self.names[kind] and self.counts[kind] > len(self.names[kind]):
                    lines.append(f'{"":>10}   ...')
        return lines
