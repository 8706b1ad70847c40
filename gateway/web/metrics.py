"""What the operator sees: Prometheus metrics on a listener of their own. Counts and times, never ids, names or addresses."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_LATENCY = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Count(Collector):
    """A counter that one thread writes: `prometheus_client`'s own takes a lock for each number."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._count = 0

    def inc(self, more: int = 1) -> None:
        self._count += more

    def collect(self) -> Iterable[Metric]:
        """As Prometheus wants it."""
        yield CounterMetricFamily(self._name, self._text, self._count)


class Times(Collector):
    """A histogram of the same kind."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text, self._bounds = name, text, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterable[Metric]:
        """As Prometheus wants it: each bucket counts all that is not longer than its bound."""
        names = [*(f"{bound}" for bound in self._bounds), "+Inf"]
        yield HistogramMetricFamily(
            self._name, self._text, list(zip(names, accumulate(self._counts), strict=True)), self._sum
        )


class Metrics:
    """Every series of the gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Count("outrider_accepted", "Envelopes accepted and durable")
        self.refused = Counter("outrider_refused", "Requests refused", ["refusal"], registry=self.registry)
        self.delivered = Count("outrider_delivered", "Deliveries written to a session")
        self.cut = Counter(
            "outrider_connections_cut", "Connections ended by the gateway", ["reason"], registry=self.registry
        )
        self.faults = Counter("outrider_faults", "Faults of the gateway's own", registry=self.registry)
        self.decided = Times("outrider_decide_seconds", "From request to durable answer", _LATENCY)
        for kept in (self.accepted, self.delivered, self.decided):
            self.registry.register(kept)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A value that is read when somebody asks."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def page(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
