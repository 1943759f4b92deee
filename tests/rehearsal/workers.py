"""The workers' faults: uploads go on through the virtual address while workers die, hang, and come back."""

import signal
import time

from faults import STOCK, Client, Outcome, restore, warm
from topology import REPOSITORY, Network

PICTURE = REPOSITORY / "tests" / "pictures" / "astronaut.png"
PRIMARIES = ["w1", "w2"]


def uploads(network: Network, fault, seconds: float, rate: float = 6.0) -> Outcome:
    warm(network, STOCK)
    client = Client(seconds, timeout=20.0, path="/v1/blur", rate=rate, upload=PICTURE)
    time.sleep(1.0)
    begin = time.monotonic()
    fault(network)
    outcome = client.outcome(begin, 0)
    restore(network)
    return outcome


def home(network: Network) -> str:
    """The worker that the client's uploads go to."""
    backends = network.pools("p1")[0]["backends"]
    busiest = max(backends, key=lambda backend: backend["requests"])
    return {"192.168.1.10:5000": "w1", "192.168.1.11:5000": "w2"}[busiest["address"]]


def worker_killed(network: Network) -> None:
    worker = home(network)
    network.kill(worker)
    time.sleep(3.0)
    network.start_worker(worker)


def worker_hangs(network: Network) -> None:
    worker = home(network)
    network.send(worker, signal.SIGSTOP)
    time.sleep(5.0)
    network.send(worker, signal.SIGCONT)


def all_primaries_die_and_return(network: Network) -> None:
    for worker in PRIMARIES:
        network.kill(worker)
    time.sleep(4.0)
    for worker in PRIMARIES:
        network.start_worker(worker)


FAULTS = {
    "a worker killed -9, back after 3 s": (worker_killed, 8.0),
    "a worker hangs for 5 s": (worker_hangs, 10.0),
    "all primaries killed, back after 4 s": (all_primaries_die_and_return, 10.0),
}
