"""What the operator sees: Prometheus metrics on a listener of their own. Counts and times, never ids, names or addresses."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCY = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Every series of the gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter("outrider_accepted", "Envelopes accepted and durable", registry=self.registry)
        self.refused = Counter("outrider_refused", "Requests refused", ["refusal"], registry=self.registry)
        self.delivered = Counter("outrider_delivered", "Deliveries written to a session", registry=self.registry)
        self.cut = Counter(
            "outrider_connections_cut", "Connections ended by the gateway", ["reason"], registry=self.registry
        )
        self.faults = Counter("outrider_faults", "Faults of the gateway's own", registry=self.registry)
        self.decided = Histogram(
            "outrider_decide_seconds", "From request to durable answer", buckets=_LATENCY, registry=self.registry
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A value that is read when somebody asks."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def page(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
