"""How much is measured: all of it, quickly, or hardly anything (to see that it works)."""

from dataclasses import dataclass, field


@dataclass
class Settings:
    name: str
    kinds: tuple = ()
    """Servers; none: all."""
    parts: tuple = ()
    """Measures, if none are asked for; none: all."""
    rounds: int = 5
    long_rounds: int = 2
    """Of measures that take many seconds for each server."""
    starvation_rounds: int = 1
    """A minute for each server, with hundreds of probes in it."""
    window: float = 0.4
    """Seconds that are measured of each load at full speed ..."""
    warm_up: float = 0.2
    """... after so many."""
    file_sizes: dict = field(default_factory=lambda: {"1 MB": 10**6, "10 MB": 10**7, "1 GB": 10**9})
    fast_clients: tuple = (1, 16, 64)
    small_sizes: dict = field(
        default_factory=lambda: {
            "1 kB": 1000,
            "16 kB": 16 * 1024,
            "64 kB": 64 * 1024,
            "256 kB": 256 * 1024,
            "1 MB": 1024 * 1024,
        }
    )
    slow_clients: tuple = (200, 1000, 5000)
    memory_clients: int = 1000
    probe_seconds: int = 3
    settle: float = 2.0
    """Seconds from the last client's request until slow downloads are taken as steady."""
    growth: tuple = (1000, 5000, 10000, 20000, 50000)
    cold_seconds: float = 2.0
    hot_clients: int = 100


FULL = Settings("full")
QUICK = Settings(
    "quick",
    kinds=("nginx", "lighttpd", "stock-prefork", "stock-event", "embedded-event", "service-prefork", "sendfile"),
    rounds=1,
    long_rounds=1,
    window=0.3,
    warm_up=0.15,
    fast_clients=(16,),
    small_sizes={"1 kB": 1000, "64 kB": 64 * 1024, "1 MB": 1024 * 1024},
    slow_clients=(1000,),
    memory_clients=400,
    probe_seconds=2,
    settle=1.0,
    growth=(5000,),
    cold_seconds=1.0,
)
SELF_TEST = Settings(
    "self-test",
    kinds=("nginx", "stock-event", "service-prefork", "sendfile"),
    parts=("throughput", "small-files", "worker-time", "starvation"),
    rounds=1,
    long_rounds=1,
    window=0.1,
    warm_up=0.05,
    file_sizes={"1 MB": 10**6},
    fast_clients=(4,),
    small_sizes={"64 kB": 64 * 1024},
    slow_clients=(20,),
    memory_clients=20,
    probe_seconds=1,
    settle=0.2,
    growth=(20,),
    cold_seconds=0.5,
    hot_clients=10,
)
