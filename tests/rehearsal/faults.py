"""The faults, one function each: what is done to the network between two healthy states, and how it is undone."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from topology import REPOSITORY, VIRTUAL_ADDRESS, WORKERS, Network, namespace, until

HERE = Path(__file__).resolve().parent
STOCK = REPOSITORY / "keepalived"
ARTICLE = HERE / "article"
RATE = 100.0


@dataclass
class Outcome:
    """What the client saw, in seconds. `outage` is from the fault to the end of the first success after the last failure,
    `first` to that of the first request sent after the fault; `slowest` is the longest request; `silent` are those that
    got no answer at all, where a 503 is one."""

    outage: float
    first: float
    slowest: float
    sent: int
    failed: int
    silent: int
    takeovers: int = 0


class Client:
    """A client on its own host, asking at a steady rate while a fault runs."""

    def __init__(self, seconds: float, timeout: float, path: str = "/", rate: float = RATE, upload: Path | None = None):
        arguments = [VIRTUAL_ADDRESS, "80", path, str(rate), str(seconds), str(timeout)]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace("client"), sys.executable, str(HERE / "probe.py"), *arguments]
            + ([str(upload)] if upload else []),
            stdout=subprocess.PIPE,
            text=True,
        )

    def outcome(self, fault: float) -> Outcome:
        rows = sorted(tuple(map(float, line.split())) for line in self.process.communicate()[0].splitlines())
        failures = [start for start, _, status in rows if status != 200]

        def first_success(since: float) -> float:
            ends = [end for start, end, status in rows if status == 200 and start > since]
            return min(ends, default=float("inf")) - fault

        outage = first_success(failures[-1]) if failures else 0.0
        slowest = max(end - start for start, end, _ in rows)
        silent = sum(status == 0 for _, _, status in rows)
        return Outcome(outage, first_success(fault), slowest, len(rows), len(failures), silent)


def warm(network: Network, config: Path) -> None:
    """Both proxies ready, the first one holding the address alone, and answering the client."""
    for worker in WORKERS:
        if worker not in network.processes:
            network.start_worker(worker)
    for host, name in (("p1", "master.conf"), ("p2", "backup.conf")):
        if f"veil-{host}" not in network.processes:
            network.start_proxy(host)
    for host, name in (("p1", "master.conf"), ("p2", "backup.conf")):
        until(f"{host} is ready", lambda: network.proxy_is_ready(host))
        if f"keepalived-{host}" not in network.processes:
            network.start_keepalived(host, config / name)
            wanted = ["p1"]
            until("the first proxy holds the address", lambda: network.holders() == wanted)
    until("the client is answered", lambda: Client(0.1, 0.5).outcome(0).failed == 0)


def restore(network: Network) -> None:
    """Back to nothing but the workers, whatever the fault left behind."""
    for name in [n for n in network.processes if n.startswith(("keepalived-", "veil-"))]:
        network.kill(name, signal.SIGTERM if name.startswith("keepalived-") else signal.SIGKILL)
    for host in ("p1", "p2"):
        network.mend(host)
        network.hear_all(host)
        network.rejoin(host)
        subprocess.run(["ip", "-n", namespace(host), "addr", "del", f"{VIRTUAL_ADDRESS}/24", "dev", "eth0"], capture_output=True)


def takeovers(network: Network) -> int:
    return sum(network.log(f"keepalived-{host}").count("Entering MASTER STATE") for host in ("p1", "p2"))


def failover(network: Network, config: Path, fault, seconds: float) -> Outcome:
    """Runs `fault` one second into a steady stream of requests."""
    warm(network, config)
    before, client = takeovers(network), Client(seconds, timeout=0.25)
    time.sleep(1.0)
    begin = time.monotonic()
    fault(network)
    outcome = client.outcome(begin)
    outcome.takeovers = takeovers(network) - before
    restore(network)
    return outcome


def host_death(network: Network) -> None:
    network.cut("p1")
    network.kill("veil-p1")
    network.kill("keepalived-p1")


def proxy_killed(network: Network) -> None:
    network.kill("veil-p1")


def proxy_hangs(network: Network) -> None:
    network.send("veil-p1", signal.SIGSTOP)


def keepalived_stops(network: Network) -> None:
    network.kill("keepalived-p1", signal.SIGTERM)


def link_lost_and_back(network: Network) -> None:
    network.cut("p1")
    time.sleep(2.0)
    network.mend("p1")


def keepalived_killed(network: Network) -> None:
    """Keepalived alone is killed -9, for good: its address stays on the first host while the second announces it too."""
    network.kill("keepalived-p1")


def keepalived_killed_and_restarted(network: Network) -> None:
    """A supervisor starts it again as often as need be, as `keepalived/systemd/restart.conf` says: the new one takes the
    address off, once the kernel has forgotten the old one."""
    network.kill("keepalived-p1")
    time.sleep(0.1)

    def supervised() -> bool:
        if not network.runs("keepalived-p1"):
            network.start_keepalived("p1", STOCK / "master.conf")
        return network.holders() == ["p2"]

    until("the second host alone holds the address", supervised)


def hosts_apart(network: Network) -> None:
    """The switch forwards nothing from or to the first host for 2 s, and its link stays up: both hold the address."""
    network.forward("p1", False)
    time.sleep(2.0)
    network.forward("p1", True)


def all_workers_die_and_return(network: Network) -> None:
    """For 3 s neither host has anybody to ask: the address stays with one of them, which says so."""
    for worker in WORKERS:
        network.kill(worker)
    time.sleep(3.0)
    for worker in WORKERS:
        network.start_worker(worker)


def losses(percent: int, seconds: float):
    """Between the two hosts that many adverts are lost, each way."""

    def fault(network: Network) -> None:
        for host in ("p1", "p2"):
            network.lose_adverts(host, percent)
        time.sleep(seconds)

    return fault


def starved(network: Network) -> None:
    """The machine has eight times as much to do as it can, for 5 s."""
    network.busy(8 * (os.cpu_count() or 1), 5.0)


# What is done, for how long the client asks, how often the address may move, and how many requests may find nobody for
# each move: a flip is over in 0.3 s.
HELD = {
    "all workers dead for 3 s, and back": (all_workers_die_and_return, 9.0, 2),
    "5 % of adverts lost": (losses(5, 8.0), 10.0, 1),
    "20 % of adverts lost": (losses(20, 8.0), 10.0, 1),
    "the machine starved of CPU": (starved, 8.0, 1),
}
LONG_LOSSES = {f"{percent} % of adverts lost for 60 s": (losses(percent, 60.0), 62.0, 1) for percent in (5, 10, 20)}
SILENT_A_MOVE = round(0.3 * RATE)

# What is done, for how long the client asks, the longest outage that is fine (in seconds), and how often the address moves.
FAILOVERS = {
    "host death": (host_death, 5.0, 0.5, 1),
    "proxy killed": (proxy_killed, 4.0, 0.15, 1),
    "proxy hangs": (proxy_hangs, 6.0, 2.5, 1),
    "Keepalived stopped": (keepalived_stops, 4.0, None, 1),
    "link lost 2 s, and back": (link_lost_and_back, 6.0, None, 1),
    "Keepalived killed -9, restarted": (keepalived_killed_and_restarted, 5.0, None, 1),
    "Keepalived killed -9, for good": (keepalived_killed, 5.0, None, 1),
    "hosts cut apart 2 s, links up": (hosts_apart, 6.0, None, None),
}
