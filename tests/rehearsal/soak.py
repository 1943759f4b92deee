"""Random faults, one every few seconds, under load from end to end: nothing fails, and nothing is left behind."""

import random
import signal
import threading
import time

from faults import STOCK, Client, restore, takeovers, warm
from topology import WORKERS, Network, until
from workers import PICTURE


def killed(network: Network, worker: str) -> None:
    network.kill(worker)
    time.sleep(2.0)
    network.start_worker(worker)


def stopped(network: Network, worker: str) -> None:
    network.kill(worker, signal.SIGTERM)
    time.sleep(1.0)
    network.start_worker(worker)


def hangs(network: Network, worker: str) -> None:
    network.send(worker, signal.SIGSTOP)
    time.sleep(2.5)
    network.send(worker, signal.SIGCONT)


def unreachable(network: Network, worker: str) -> None:
    network.cut(worker)
    time.sleep(2.5)
    network.mend(worker)


def drained(network: Network, worker: str) -> None:
    for command in ("drain", "undrain"):
        for proxy in ("p1", "p2"):
            network.command(proxy, command, worker)
        time.sleep(1.0)


def reloaded(network: Network, _: str) -> None:
    for proxy in ("p1", "p2"):
        network.hang_up(proxy)


def upgraded(network: Network, _: str) -> None:
    """Both, as nobody restarts a program that he does not upgrade."""
    for proxy in ("p2", "p1"):
        network.upgrade_proxy(proxy)
        until(f"{proxy} is ready", lambda: network.proxy_is_ready(proxy))


FAULTS = [killed, stopped, hangs, unreachable, drained, reloaded, upgraded]
# Seconds between the beginnings of two faults.
EVERY = 5.0
# What memory may have grown by, in bytes: of buffers that are kept for the next upload.
GROWTH = 48 << 20


def soak(network: Network, seconds: float, seed: int) -> tuple[int, int, list[str]]:
    """Requests failed, of how many, and what is not as it was."""
    choice = random.Random(seed)
    warm(network, STOCK)
    # The first uploads make what is kept.
    Client(5.0, 20.0, "/v1/blur", rate=6.0, upload=PICTURE).outcome(0)
    upgraded(network, "")
    before, moved = {proxy: network.usage(proxy) for proxy in ("p1", "p2")}, takeovers(network)
    clients = [Client(seconds, 5.0, rate=20.0), Client(seconds, 20.0, "/v1/blur", rate=4.0, upload=PICTURE)]
    begin = time.monotonic()
    while time.monotonic() < begin + seconds - 2 * EVERY:
        fault, worker, due = choice.choice(FAULTS), choice.choice(WORKERS), time.monotonic() + EVERY
        print(f"{time.monotonic() - begin:6.1f} s: {worker} {fault.__name__}", flush=True)
        fault(network, worker)
        # One that has come back serves before the next one goes.
        serve = [threading.Thread(target=eligible, args=(network, proxy, worker)) for proxy in ("p1", "p2")]
        for each in serve:
            each.start()
        for each in serve:
            each.join()
        time.sleep(max(0.0, due - time.monotonic()))
    outcomes = [client.outcome(begin) for client in clients]
    wrong = left_behind(network, before)
    if takeovers(network) != moved:
        wrong.append("the address has moved")
        print(network.log("keepalived-p1")[-2000:])
    restore(network)
    return sum(each.failed for each in outcomes), sum(each.sent for each in outcomes), wrong


def eligible(network: Network, proxy: str, worker: str) -> None:
    until(f"{proxy} takes {worker} for eligible", lambda: network.backend(proxy, worker)["standing"] == "eligible")


def left_behind(network: Network, before: dict) -> list[str]:
    wrong = []
    for proxy in ("p1", "p2"):
        pool = network.pool(proxy)
        if pool["in_flight"] or pool["queued"] or pool["eligible"] != len(WORKERS):
            wrong.append(f"{proxy}: {pool['in_flight']} in flight, {pool['queued']} queued, {pool['eligible']} eligible")
        try:
            # Kept connections close when they have idled for long enough.
            until(f"{proxy} has as many descriptors as before", lambda: network.usage(proxy)[0] <= before[proxy][0] + 4, 90)
        except TimeoutError:
            wrong.append(f"{proxy}: {network.usage(proxy)[0]} descriptors, {before[proxy][0]} before")
        grown = network.usage(proxy)[1] - before[proxy][1]
        if grown > GROWTH:
            wrong.append(f"{proxy}: grown by {grown >> 20} MiB")
        print(f"{proxy}: descriptors {before[proxy][0]} before, {network.usage(proxy)[0]} after; memory {grown >> 10:+} KiB")
    return wrong
