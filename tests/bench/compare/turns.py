"""Servers in turns: each round begins with another one, since the machine's speed changes more than they differ."""

import statistics


def in_turns(servers, rounds):
    """(round, server), all servers in each round."""
    servers = list(servers)
    for number in range(rounds):
        for i in range(len(servers)):
            yield number, servers[(number + i) % len(servers)]


class Rows:
    """What was measured: for each key (a tuple of names) a list of dictionaries, one a round."""

    def __init__(self, names):
        self.names = names
        self.rounds = {}

    def add(self, key, measured):
        self.rounds.setdefault(key, []).append(measured)

    def summary(self):
        """For JSON: a dictionary a key, with the median, least and most of each figure."""
        rows = []
        for key, rounds in self.rounds.items():
            row = dict(zip(self.names, key))
            row["rounds"] = rounds
            for name in rounds[0]:
                values = [one[name] for one in rounds]
                known = [one for one in values if one is not None]
                # Without an answer is longer than any answer.
                missing = len(values) - len(known)
                row[name] = statistics.median(known) if len(known) > missing else None
                row[name + "_min"] = min(known) if known else None
                row[name + "_max"] = max(known) if known and not missing else None
            rows.append(row)
        return rows
