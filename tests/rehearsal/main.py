"""Rehearses every failure of the whole system on stock files and prints one table. See `tests/rehearse --help`."""

import argparse
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import faults
import rolling
import soak
import workers
from topology import PREFIX, REPOSITORY, STATE, Network, sh

CLAIMS = {
    "host death": "2.3 s",
    "proxy killed": "2.3 s",
    "proxy hangs": "not noticed",
    "a worker killed -9, back after 3 s": "5 s",
}
ARTICLE_TOO = ["host death", "proxy killed", "proxy hangs", "Keepalived stopped"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/rehearse", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each failover, of which the median counts (default 5)")
    parser.add_argument("--counts-only", action="store_true", help="one run each; judge counts, not times (what CI does)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the faults whose names contain TEXT")
    parser.add_argument("--article", action="store_true", help="run the article's Keepalived files too, in the same topology")
    parser.add_argument("--veil", type=Path, default=REPOSITORY / "target/release/veil", help="the binary to rehearse")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="only this: random faults for so long (ten minutes: 600)")
    parser.add_argument("--seed", type=int, default=1, help="which random faults")
    return parser.parse_args()


def row(*cells) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def check_stock_files() -> list[str]:
    """Keepalived itself must find nothing to say about any shipped file."""
    home, broken = STATE / "stock", []
    home.mkdir()
    for script in faults.STOCK.glob("*.sh"):
        shutil.copy(script, home)
    interface = f"{PREFIX}-t"
    sh(f"ip link add {interface} type veth peer name {interface}2")
    for file in [*faults.STOCK.glob("*.conf"), *faults.STOCK.glob("examples/*/*.conf")]:
        copy = home / "keepalived.conf"
        copy.write_text(file.read_text().replace("eth0", interface).replace("/etc/keepalived/", f"{home}/"))
        said = subprocess.run(["keepalived", "-t", "-f", str(copy)], capture_output=True, text=True)
        if said.returncode or said.stderr or said.stdout:
            broken.append(f"keepalived -t {file.relative_to(faults.STOCK)}: {said.returncode} {said.stdout}{said.stderr}")
    sh(f"ip link del {interface}")
    return broken


def failovers(network: Network, options: argparse.Namespace) -> list[str]:
    broken = []
    row("fault", "first success, median (min–max)", "failed of sent", "takeovers", "with the article's files", "the article's claim")
    row(*["---"] * 6)
    for name, (fault, seconds, limit, moves) in chosen(faults.FAILOVERS, options):
        runs = [faults.failover(network, faults.STOCK, fault, seconds) for _ in range(1 if options.counts_only else options.runs)]
        theirs = "–"
        if options.article and name in ARTICLE_TOO:
            theirs = seconds_of([faults.failover(network, faults.ARTICLE, fault, 9.0) for _ in range(options.runs)])
        failed, sent = sum(run.failed for run in runs), sum(run.sent for run in runs)
        moved = [run.takeovers for run in runs]
        row(name, seconds_of(runs), f"{failed} of {sent}", sum(moved), theirs, CLAIMS.get(name, "–"))
        if moves is not None and any(count != moves for count in moved):
            broken.append(f"{name}: takeovers {moved}, expected {moves} each")
        if any(run.outage == float("inf") for run in runs):
            broken.append(f"{name}: never served again")
        if limit and not options.counts_only and statistics.median(run.outage for run in runs) > limit:
            broken.append(f"{name}: median outage above {limit} s")
    return broken


def held(network: Network, options: argparse.Namespace) -> list[str]:
    """The address stays with somebody, whatever happens."""
    broken = []
    print()
    row("fault", "without an answer", "failed of sent", "first success after the last failure", "takeovers")
    row(*["---"] * 5)
    all_rows = faults.HELD if options.counts_only else {**faults.HELD, **faults.LONG_LOSSES}
    for name, (fault, seconds, moves) in chosen(all_rows, options):
        run = faults.failover(network, faults.STOCK, fault, seconds)
        row(name, run.silent, f"{run.failed} of {run.sent}", f"{run.outage:.2f} s", run.takeovers)
        if run.takeovers > moves or run.silent > faults.SILENT_A_MOVE * run.takeovers or run.outage == float("inf"):
            broken.append(f"{name}: {run.silent} without an answer, {run.takeovers} takeovers")
    return broken


def worker_faults(network: Network, options: argparse.Namespace) -> list[str]:
    broken = []
    print()
    row("fault", "failed of uploads", "first success", "slowest upload", "the article's claim")
    row(*["---"] * 5)
    for name, (fault, seconds) in chosen(workers.FAULTS, options):
        run = workers.uploads(network, fault, seconds)
        row(name, f"{run.failed} of {run.sent}", f"{run.first:.2f} s", f"{run.slowest:.2f} s", CLAIMS.get(name, "–"))
        if run.failed or run.takeovers:
            broken.append(f"{name}: {run.failed} uploads failed, {run.takeovers} takeovers")
    for name, (fault, seconds) in chosen(workers.SEVERED, options):
        run = workers.uploads(network, fault, seconds)
        row(name, f"{run.failed} of {run.sent}, {run.silent} without an answer", f"{run.first:.2f} s", f"{run.slowest:.2f} s", "–")
        if run.silent > workers.SILENT_A_MOVE or run.takeovers != 1:
            broken.append(f"{name}: {run.silent} without an answer, {run.takeovers} takeovers")
    return broken


def rolling_work(network: Network, options: argparse.Namespace) -> list[str]:
    broken = []
    print()
    row("work under load", "failed of requests", "takeovers", "slowest request")
    row(*["---"] * 4)
    for name, (work, seconds, moves) in chosen(rolling.WORKS, options):
        run = rolling.worked(network, work, seconds)
        row(name, f"{run.failed} of {run.sent}", run.takeovers, f"{run.slowest:.2f} s")
        if run.failed or run.takeovers != moves or run.outage == float("inf"):
            broken.append(f"{name}: {run.failed} requests failed, {run.takeovers} takeovers")
    return broken


def soaked(network: Network, options: argparse.Namespace) -> list[str]:
    failed, sent, wrong = soak.soak(network, options.soak, options.seed)
    print(f"random faults for {options.soak:.0f} s: {failed} failed of {sent}")
    return wrong + ([f"{failed} requests failed"] if failed else [])


def chosen(all_faults: dict, options: argparse.Namespace) -> list:
    return [(name, fault) for name, fault in all_faults.items() if options.only in name]


def seconds_of(runs) -> str:
    outages = sorted(run.outage for run in runs)
    if len(outages) == 1:
        return f"{outages[0]:.2f} s"
    return f"{statistics.median(outages):.2f} s ({outages[0]:.2f}–{outages[-1]:.2f})"


def main() -> int:
    options = arguments()
    with Network(options.veil) as network:
        try:
            broken = soaked(network, options) if options.soak else (
                check_stock_files()
                + failovers(network, options)
                + held(network, options)
                + worker_faults(network, options)
                + rolling_work(network, options)
            )
        except (TimeoutError, RuntimeError) as error:
            logs = {path.name: path.read_text(errors="replace")[-1500:] for path in sorted(STATE.glob("*.log"))}
            print(f"{error}", *(f"--- {name}\n{text}" for name, text in logs.items()), sep="\n", file=sys.stderr)
            return 1
    print()
    for line in broken:
        print(f"failed: {line}")
    print("rehearsal:", "failed" if broken else "every failure survived")
    return 1 if broken else 0


sys.exit(main())
