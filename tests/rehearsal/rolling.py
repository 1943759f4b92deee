"""What an operator does on purpose, as keepalived/README.md says: restarts and upgrades of everything under load."""

import signal
import time

from faults import STOCK, Client, Outcome, restore, takeovers, warm
from topology import WORKERS, Network, until
from workers import PICTURE


def worked(network: Network, work, seconds: float) -> Outcome:
    """Does `work` one second into a stream of uploads and one of small requests."""
    warm(network, STOCK)
    before = takeovers(network)
    clients = [Client(seconds, timeout=5.0), Client(seconds, 20.0, "/v1/blur", rate=4.0, upload=PICTURE)]
    time.sleep(1.0)
    begin = time.monotonic()
    work(network)
    small, large = [client.outcome(begin) for client in clients]
    moved = takeovers(network) - before
    restore(network)
    return Outcome(max(small.outage, large.outage), small.first, max(small.slowest, large.slowest),
                   small.sent + large.sent, small.failed + large.failed, small.silent + large.silent, moved)


def restart_workers(network: Network) -> None:
    """One after the other: drained in both proxies, ended, started anew, taken back."""
    for worker in WORKERS:
        for proxy in ("p1", "p2"):
            network.command(proxy, "drain", worker)
        network.kill(worker, signal.SIGTERM)
        network.start_worker(worker)
        for proxy in ("p1", "p2"):
            network.command(proxy, "undrain", worker)
            until(f"{worker} serves again", lambda: network.backend(proxy, worker)["standing"] == "eligible")


def upgrade_proxies(network: Network) -> None:
    """USR2, the standby first: a new program takes the sockets over, and the address stays."""
    for proxy in ("p2", "p1"):
        network.upgrade_proxy(proxy)
        until(f"{proxy} is ready", lambda: network.proxy_is_ready(proxy))


def upgrade_everything(network: Network) -> None:
    upgrade_proxies(network)
    restart_workers(network)


def restart_standby(network: Network) -> None:
    """Nobody talks to it."""
    restart_proxy(network, "p2")


def restart_holder(network: Network) -> None:
    """TERM: nobody new is let in until nothing is in flight, then the address moves, and the proxy drains."""
    restart_proxy(network, "p1")


def restart_both(network: Network) -> None:
    """The standby, then the one that holds the address."""
    restart_standby(network)
    restart_holder(network)


def restart_proxy(network: Network, host: str) -> None:
    network.kill(f"veil-{host}", signal.SIGTERM)
    network.start_proxy(host)
    until(f"{host} is ready", lambda: network.proxy_is_ready(host))


# What is done, for how many seconds requests come, and how often the address moves.
WORKS = {
    "rolling restart of all workers": (restart_workers, 14.0, 0),
    "rolling upgrade of both proxies (USR2)": (upgrade_proxies, 6.0, 0),
    "rolling upgrade of both proxies and all workers": (upgrade_everything, 16.0, 0),
    "standby restarted (TERM)": (restart_standby, 8.0, 0),
    "holder restarted (TERM)": (restart_holder, 10.0, 1),
    "both restarted (TERM)": (restart_both, 16.0, 1),
}
