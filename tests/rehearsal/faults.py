"""The faults, one function each: what is done to the network between two healthy states, and how it is undone."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from topology import REPOSITORY, VIRTUAL_ADDRESS, WORKERS, Network, until

HERE = Path(__file__).resolve().parent
STOCK = REPOSITORY / "keepalived"
ARTICLE = HERE / "article"
RATE = 100.0


@dataclass
class Outcome:
    """What the client saw: `outage` is from the fault to the end of the first success after the last failure."""

    outage: float
    sent: int
    failed: int
    takeovers: int


class Client:
    """A client on its own host, asking at a steady rate while a fault runs."""

    def __init__(self, seconds: float, timeout: float, path: str = "/", rate: float = RATE, upload: Path | None = None):
        arguments = [VIRTUAL_ADDRESS, "80", path, str(rate), str(seconds), str(timeout)]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", "veil-client", sys.executable, str(HERE / "probe.py"), *arguments]
            + ([str(upload)] if upload else []),
            stdout=subprocess.PIPE,
            text=True,
        )

    def outcome(self, fault: float, takeovers: int) -> Outcome:
        rows = sorted(tuple(map(float, line.split())) for line in self.process.communicate()[0].splitlines())
        failures = [start for start, _, status in rows if status != 200]
        outage = 0.0
        if failures:
            after = [end for start, end, status in rows if status == 200 and start > failures[-1]]
            outage = (min(after) if after else float("inf")) - fault
        return Outcome(outage, len(rows), len(failures), takeovers)


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
    until("the client is answered", lambda: Client(0.1, 0.5).outcome(0, 0).failed == 0)


def restore(network: Network) -> None:
    """Back to nothing but the workers, whatever the fault left behind."""
    for name in [n for n in network.processes if n.startswith(("keepalived-", "veil-"))]:
        network.kill(name, signal.SIGTERM if name.startswith("keepalived-") else signal.SIGKILL)
    for host in ("p1", "p2"):
        network.mend(host)
        subprocess.run(["ip", "-n", f"veil-{host}", "addr", "del", f"{VIRTUAL_ADDRESS}/24", "dev", "eth0"], capture_output=True)


def takeovers(network: Network) -> int:
    return sum(network.log(f"keepalived-{host}").count("Entering MASTER STATE") for host in ("p1", "p2"))


def failover(network: Network, config: Path, fault, seconds: float) -> Outcome:
    """Runs `fault` one second into a steady stream of requests."""
    warm(network, config)
    before, client = takeovers(network), Client(seconds, timeout=0.25)
    time.sleep(1.0)
    begin = time.monotonic()
    fault(network)
    outcome = client.outcome(begin, 0)
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


def split_brain(network: Network) -> None:
    """Keepalived alone is killed -9: its address stays on the first host. Its supervisor starts it again 0.2 s later
    (as `Restart=always` does), and it removes the address it finds."""
    network.kill("keepalived-p1")
    time.sleep(0.2)
    network.start_keepalived("p1", STOCK / "master.conf")


FAILOVERS = {
    "host death": (host_death, 5.0, 0.5),
    "proxy killed": (proxy_killed, 4.0, 0.15),
    "proxy hangs": (proxy_hangs, 6.0, 2.5),
    "Keepalived stopped": (keepalived_stops, 4.0, None),
    "link lost 2 s, and back": (link_lost_and_back, 6.0, None),
    "Keepalived killed -9, restarted": (split_brain, 5.0, None),
}
