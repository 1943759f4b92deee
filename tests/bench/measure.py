"""What the benchmarks share: servers as child processes, their CPU time and memory, and wrk as the load."""

import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "veil"


# Those of other names than what they hold.
PACKAGES = {"h2load": "nghttp2-client"}


class Server:
    """A child process that serves HTTP; killed with all its children at the end of a `with` block."""

    def __init__(self, name, command, base_url=None, path="/", env=None):
        self.name, self.path = name, path
        output = subprocess.DEVNULL if base_url else subprocess.PIPE
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.DEVNULL,
            text=True, start_new_session=True, env={**os.environ, **(env or {})},
        )
        self.base_url = base_url or self._printed_url()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def url(self):
        return self.base_url + self.path

    def wait_until_ready(self, path, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(self.base_url + path, timeout=5):
                    return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    sys.exit(f"{self.name} does not become ready at {self.base_url}{path}")
                time.sleep(0.05)

    def cpu_seconds(self):
        """User and system time of the process, its children and those they have waited for."""
        ticks = 0
        for process in self._processes():
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def wait_until_idle(self):
        """Work begun for clients that have left is still this run's."""
        before = -1.0
        while (now := self.cpu_seconds()) - before > 0.02:
            before = now
            time.sleep(0.25)

    def forget_peak_memory(self):
        for process in self._processes():
            pathlib.Path(f"/proc/{process}/clear_refs").write_text("5")

    def peak_megabytes(self):
        """The sum of the processes' peaks of resident memory since `forget_peak_memory`."""
        total = 0
        for process in self._processes():
            for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1])
        return total / 1024

    def _processes(self):
        """The process and all below it."""
        parents = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parents.setdefault(int(stat.rsplit(") ", 1)[1].split()[1]), []).append(int(entry.name))
        found = [self.process.pid]
        for process in found:
            found += parents.get(process, [])
        return found

    def _printed_url(self):
        for line in self.process.stdout:
            if "listening on " in line:
                return line.split("listening on ", 1)[1].split()[0].rstrip("/")
        sys.exit(f"{self.name} ended before it printed where it listens")


def load(server, connections, seconds, body=None, threads=1, headers=()):
    """One run of wrk against a server: rate, latencies, CPU and memory."""
    server.wait_until_idle()
    server.forget_peak_memory()
    cpu = server.cpu_seconds()
    env = {**os.environ, **({"BODY": str(body)} if body else {})}
    command = ["wrk", f"-t{min(threads, connections)}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s",
               "-s", str(BENCH / "post.lua"), *(part for header in headers for part in ("-H", header)), server.url]
    output = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    run = json.loads(output.strip().splitlines()[-1])
    server.wait_until_idle()
    run["cpu_ms"] = (server.cpu_seconds() - cpu) * 1000 / max(run["requests"], 1)
    run["rate"] = run["requests"] / run["seconds"]
    run["peak_mb"] = server.peak_megabytes()
    return run


def median(runs):
    """The median of each figure; of failures, the sum."""
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    for key in ("refused", "broken", "requests"):
        middle[key] = sum(run[key] for run in runs)
    return middle


def ratio(figure, base):
    return f"{figure / base:.2f}" if base else "–"


def table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


def need(*commands):
    """Has these commands, or installs their Debian packages, or says what is missing."""
    missing = [PACKAGES.get(command, command) for command in commands if not shutil.which(command)]
    if missing and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        # At this run level Debian starts no service because of an installation.
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "RUNLEVEL": "1"})
    elif missing:
        sys.exit(f"missing: {', '.join(missing)} (Debian: apt-get install {' '.join(missing)})")


def build(binary, profile="release"):
    """The path of a workspace binary, built first: as tests/run builds it, or with the profile that ships."""
    what = ["--all-targets"] if profile == "release" else ["--bin", binary]
    subprocess.run(["cargo", "build", "--locked", "--profile", profile, "--workspace", *what], cwd=ROOT, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / profile / binary


def build_example(example):
    """The path of an example of the workspace, built first."""
    subprocess.run(["cargo", "build", "--locked", "--release", "--workspace", "--example", example], cwd=ROOT, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "examples" / example


def baseline_environment():
    """The Python of a virtual environment with the article's packages, made once."""
    environment = CACHE / "article-venv"
    python, done = environment / "bin" / "python", environment / "complete"
    if not done.exists():
        print("installing the article's packages", flush=True)
        subprocess.run(["python3.11", "-m", "venv", "--clear", environment], check=True)
        requirements = BENCH / "baseline" / "requirements.txt"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        done.touch()
    return python


def environment(name, requirements):
    """The Python of a virtual environment with these packages, made once."""
    folder = CACHE / f"{name}-venv"
    python, done = folder / "bin" / "python", folder / "complete"
    if not done.exists():
        subprocess.run(["python3.11", "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        done.touch()
    return python


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{os.cpu_count()} × {model}, load {os.getloadavg()[0]:.1f} at the start"
