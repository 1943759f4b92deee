"""The workers' faults: uploads go on through the virtual address while workers die, hang, and come back."""

import signal
import time

from faults import STOCK, Client, Outcome, restore, takeovers, warm
from topology import REPOSITORY, Network, until

PICTURE = REPOSITORY / "tests" / "pictures" / "astronaut.png"
PRIMARIES, BACKUP = ["w1", "w2"], "w3"


def uploads(network: Network, fault, seconds: float, rate: float = 6.0) -> Outcome:
    warm(network, STOCK)
    before, client = takeovers(network), Client(seconds, timeout=20.0, path="/v1/blur", rate=rate, upload=PICTURE)
    time.sleep(1.0)
    begin = time.monotonic()
    fault(network)
    outcome = client.outcome(begin)
    outcome.takeovers = takeovers(network) - before
    restore(network)
    return outcome


def home(network: Network) -> str:
    """The worker that the client's uploads go to."""
    return max(PRIMARIES, key=network.served)


def killed(network: Network) -> None:
    """While it is away, its host refuses connections."""
    worker = home(network)
    network.kill(worker)
    time.sleep(3.0)
    network.start_worker(worker)


def hangs(network: Network) -> None:
    worker = home(network)
    network.send(worker, signal.SIGSTOP)
    time.sleep(5.0)
    network.send(worker, signal.SIGCONT)


def host_dies(network: Network) -> None:
    """Nothing refuses a connection: nobody answers at all."""
    worker = home(network)
    network.cut(worker)
    time.sleep(4.0)
    network.mend(worker)


def takes_nothing_large(network: Network) -> None:
    """Checks pass, for they are small; an upload's packets do not, and nobody says so."""
    worker = home(network)
    network.lose_large(worker)
    time.sleep(12.0)
    network.take_all(worker)


def half_open(network: Network) -> None:
    """The kept connections and those with an upload on them are dead without a word; checks come by new ones."""
    worker = home(network)
    network.forget_connections(worker)
    time.sleep(12.0)
    network.remember_connections(worker)


def stops(network: Network) -> None:
    worker = home(network)
    network.kill(worker, signal.SIGTERM)
    time.sleep(2.0)
    network.start_worker(worker)


def dies_again_and_again(network: Network) -> None:
    worker = home(network)
    for _ in range(6):
        network.kill(worker)
        time.sleep(0.2)
        network.start_worker(worker)
        time.sleep(0.5)


def severed(network: Network) -> None:
    """The proxy that has the address hears no worker any more, and the other one does."""
    network.sever("p1")
    time.sleep(6.0)
    network.rejoin("p1")


def all_primaries_die_and_return(network: Network) -> None:
    for worker in PRIMARIES:
        network.kill(worker)
    away_and_back(network, network.start_worker)


def all_primaries_hang(network: Network) -> None:
    for worker in PRIMARIES:
        network.send(worker, signal.SIGSTOP)
    away_and_back(network, lambda worker: network.send(worker, signal.SIGCONT))


def away_and_back(network: Network, bring_back) -> None:
    """The backup takes over, and gives back."""
    before = network.served(BACKUP)
    until("the backup serves", lambda: network.served(BACKUP) > before)
    time.sleep(2.0)
    for worker in PRIMARIES:
        bring_back(worker)
    before = [network.served(worker) for worker in PRIMARIES]
    until("a primary serves again", lambda: [network.served(worker) for worker in PRIMARIES] != before)


# What is done, and for how many seconds uploads come.
FAULTS = {
    "a worker killed -9, back after 3 s": (killed, 8.0),
    "a worker hangs for 5 s": (hangs, 10.0),
    "a worker's host dies, back after 4 s": (host_dies, 10.0),
    "an MTU black hole on the way to a worker, for 12 s": (takes_nothing_large, 14.0),
    "a worker's connections half open, for 12 s": (half_open, 14.0),
    "a worker stopped (TERM), back after 2 s": (stops, 6.0),
    "a worker dies six times in 4 s": (dies_again_and_again, 8.0),
    "all primaries killed, back after 2 s of backup": (all_primaries_die_and_return, 12.0),
    "all primaries hang, back after 2 s of backup": (all_primaries_hang, 14.0),
}
# The same, where the address moves and requests may be refused. Only whom the move itself meets may be left without an
# answer: that is over in 0.3 s.
SILENT_A_MOVE = 2
SEVERED = {"the holder reaches no worker for 6 s": (severed, 10.0)}
