"""Hosts made of network namespaces: two proxies with real Keepalived, three workers and a client on one bridge.

Addresses are the article's: proxies 192.168.1.2 and .3, workers .10 to .12, client .50, virtual address .100.
Namespaces and programs are named after this process, so that rehearsals do not meet; `Network.close` ends and removes
all of it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Of namespaces and programs: the kernel tells programs apart by fifteen characters.
PREFIX = f"veil{os.getpid()}"
# Keepalived wants its scripts where only root can write.
STATE = Path(f"/run/{PREFIX}")
VIRTUAL_ADDRESS = "192.168.1.100"
HOSTS = {"p1": 2, "p2": 3, "w1": 10, "w2": 11, "w3": 12, "client": 50}
WORKERS = ["w1", "w2", "w3"]


def sh(command: str, check: bool = True) -> str:
    done = subprocess.run(command, shell=True, text=True, capture_output=True)
    if check and done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.strip()}")
    return done.stdout


def until(what: str, condition, seconds: float = 20.0) -> None:
    """Waits for `condition` with a deadline; never longer."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for: {what}")
        time.sleep(0.02)


def namespace(host: str) -> str:
    return f"{PREFIX}-{host}"


def program(host: str) -> Path:
    """The host's own copy of `veil`: all hosts share one process table, and Keepalived watches by name."""
    return STATE / f"{PREFIX}-{host}"


def address(worker: str) -> str:
    return f"192.168.1.{HOSTS[worker]}:5000"


class Network:
    def __init__(self, veil: Path):
        self.veil = veil
        self.processes: dict[str, subprocess.Popen] = {}
        shutil.rmtree(STATE, ignore_errors=True)
        STATE.mkdir(mode=0o755)
        shutil.copy(Path(__file__).with_name("veil.yaml"), STATE)

    def __enter__(self):
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def open(self) -> None:
        for name in ["switch", *HOSTS]:
            sh(f"ip netns add {namespace(name)}")
            sh(f"ip netns exec {namespace(name)} ip link set lo up")
        switch = namespace("switch")
        sh(f"ip -n {switch} link add bridge0 type bridge && ip -n {switch} link set bridge0 up")
        for name, last in HOSTS.items():
            host = namespace(name)
            sh(f"ip -n {host} link add eth0 type veth peer name {name} netns {switch}")
            sh(f"ip -n {host} addr add 192.168.1.{last}/24 dev eth0 && ip -n {host} link set eth0 up")
            sh(f"ip -n {switch} link set {name} master bridge0 up")
            shutil.copy(self.veil, program(name))
        for proxy in ("p1", "p2"):
            sh(f"ip netns exec {namespace(proxy)} sysctl -q -w net.ipv4.neigh.eth0.retrans_time_ms=50")

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        for name in ["switch", *HOSTS]:
            sh(f"ip netns del {namespace(name)}", check=False)
        shutil.rmtree(STATE, ignore_errors=True)

    # Processes

    def start(self, name: str, host: str, command: list[str], inside: bool = True) -> None:
        """Starts `command` on `host`; `name` is how it is signalled. Its output goes to a log of its name."""
        prefix = ["ip", "netns", "exec", namespace(host)] if inside else []
        log = open(STATE / f"{name}.log", "ab")
        self.processes[name] = subprocess.Popen(
            prefix + command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def runs(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def send(self, name: str, number: signal.Signals) -> None:
        os.killpg(self.processes[name].pid, number)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        process = self.processes.pop(name, None)
        if process is None:
            return
        for each in (number, signal.SIGCONT):
            try:
                os.killpg(process.pid, each)
            except ProcessLookupError:
                pass
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log(self, name: str) -> str:
        path = STATE / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # Parts

    def start_worker(self, host: str) -> None:
        self.start(host, host, [str(program(host)), "worker", "--listen", address(host), "--detail", "fast"])

    def start_proxy(self, host: str) -> None:
        self.start(f"veil-{host}", host, [str(program(host)), "run", "-c", str(STATE / "veil.yaml")])

    def proxy_is_ready(self, host: str) -> bool:
        command = f"ip netns exec {namespace(host)} curl -sf -m 0.5 http://127.0.0.1:8081/readyz"
        return subprocess.run(command, shell=True, capture_output=True).returncode == 0

    def upgrade_proxy(self, host: str) -> None:
        """USR2: the program's file is started anew and gets the sockets; the one before it ends."""
        before = self.pid(host)
        os.kill(before, signal.SIGUSR2)
        until("the one before it ends", lambda: str(before) not in sh(f"pidof {program(host)}", check=False).split(), 30)
        # Not there any more where its parent is this process.
        self.processes[f"veil-{host}"].poll()

    def pid(self, host: str) -> int:
        """The proxy's, which may be the successor of the one that was started."""
        return int(sh(f"pidof -s {program(host)}").split()[0])

    def hang_up(self, host: str) -> None:
        os.kill(self.pid(host), signal.SIGHUP)

    def usage(self, host: str) -> tuple[int, int]:
        """Descriptors, and resident bytes."""
        process = Path(f"/proc/{self.pid(host)}")
        pages = int((process / "statm").read_text().split()[1])
        return len(list((process / "fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE")

    def command(self, host: str, command: str, worker: str) -> None:
        sh(f"ip netns exec {namespace(host)} {program(host)} pools {command} blur {address(worker)}")

    def pool(self, host: str) -> dict:
        """The only pool, as the proxy on `host` sees it."""
        return json.loads(sh(f"ip netns exec {namespace(host)} curl -sf -m 2 http://127.0.0.1:8081/pools"))[0]

    def backend(self, host: str, worker: str) -> dict:
        """A worker as the proxy on `host` sees it."""
        return next(each for each in self.pool(host)["backends"] if each["address"] == address(worker))

    def served(self, worker: str) -> int:
        """The requests that the first proxy has sent to a worker."""
        return self.backend("p1", worker)["requests"]

    def start_keepalived(self, host: str, config: Path) -> None:
        """Runs Keepalived on `host` with a shipped file and the scripts beside it, changed only as an operator would:
        the addresses are the article's already; the process to watch has the host's own name here, since all hosts
        share one process table."""
        home = STATE / host
        home.mkdir(exist_ok=True)
        for script in config.parent.glob("*.sh"):
            target = home / script.name
            target.write_text(script.read_text().replace("killall -0 veil", f"killall -0 {program(host).name}"))
            target.chmod(0o755)
        text = config.read_text().replace("/etc/keepalived/", f"{home}/")
        text = re.sub(r"^(\s*process) veil$", rf"\1 {program(host).name}", text, flags=re.M)
        (home / "keepalived.conf").write_text(text)
        files = ["-f", f"{home}/keepalived.conf", f"--pid={home}/keepalived.pid", f"--vrrp_pid={home}/vrrp.pid"]
        command = ["keepalived", "--vrrp", "--dont-fork", "--log-console", "--log-detail", "-s", namespace(host), *files]
        self.start(f"keepalived-{host}", host, command, inside=False)

    def cut(self, host: str) -> None:
        sh(f"ip -n {namespace('switch')} link set {host} down")

    def mend(self, host: str) -> None:
        sh(f"ip -n {namespace('switch')} link set {host} up")

    def forward(self, host: str, does: bool) -> None:
        """Whether the switch takes anything from, or gives anything to the host; its link stays up."""
        sh(f"ip -n {namespace('switch')} link set {host} {'master bridge0' if does else 'nomaster'}")

    def sever(self, host: str) -> None:
        """Nothing gets from the proxy to any worker, without a word, until `rejoin`."""
        rule, hook = "tcp dport 5000 drop", "{ type filter hook output priority 0; }"
        sh(f"ip netns exec {namespace(host)} nft 'add table ip severed; add chain ip severed output {hook}; add rule ip severed output {rule}'")

    def rejoin(self, host: str) -> None:
        sh(f"ip netns exec {namespace(host)} nft delete table ip severed", check=False)

    def lose_large(self, host: str) -> None:
        """What comes in of more than a few hundred bytes, without a word (an MTU black hole), until `take_all`."""
        rule, hook = "ip length > 600 drop", "{ type filter hook input priority 0; }"
        sh(f"ip netns exec {namespace(host)} nft 'add table ip large; add chain ip large input {hook}; add rule ip large input {rule}'")

    def take_all(self, host: str) -> None:
        sh(f"ip netns exec {namespace(host)} nft delete table ip large", check=False)

    def forget_connections(self, host: str) -> None:
        """Nothing of the worker's connections of this moment passes any more, without a word, as behind a firewall that has
        forgotten them (half-open TCP); new ones do. Until `remember_connections`."""
        inside = f"ip netns exec {namespace(host)}"
        peers = [line.split()[3] for line in sh(f"{inside} ss -Htn state established sport = :5000").splitlines()]
        rules = [f"ip saddr {ip} tcp sport {port} drop" for ip, port in (peer.rsplit(":", 1) for peer in peers)]
        hook = "{ type filter hook input priority 0; }"
        added = "".join(f"; add rule ip forgotten input {rule}" for rule in rules)
        sh(f"{inside} nft 'add table ip forgotten; add chain ip forgotten input {hook}{added}'")

    def remember_connections(self, host: str) -> None:
        sh(f"ip netns exec {namespace(host)} nft delete table ip forgotten", check=False)

    def lose_adverts(self, host: str, percent: int) -> None:
        """Of VRRP's packets (IP protocol 112) that come in, until `hear_all`."""
        rule = f"ip protocol 112 numgen random mod 100 < {percent} drop"
        hook = "{ type filter hook input priority 0; }"
        sh(f"ip netns exec {namespace(host)} nft 'add table ip loss; add chain ip loss input {hook}; add rule ip loss input {rule}'")

    def hear_all(self, host: str) -> None:
        sh(f"ip netns exec {namespace(host)} nft delete table ip loss", check=False)

    def busy(self, loops: int, seconds: float) -> None:
        """Keeps that many processes running in circles for so long."""
        loop = f"timeout {seconds} sh -c 'while :; do :; done'"
        running = [subprocess.Popen(loop, shell=True, start_new_session=True) for _ in range(loops)]
        for each in running:
            each.wait()

    def holders(self) -> list[str]:
        """The proxies whose interface carries the virtual address, whether they can be reached or not."""
        return [h for h in ("p1", "p2") if f" {VIRTUAL_ADDRESS}/" in sh(f"ip -n {namespace(h)} -o addr show dev eth0")]
