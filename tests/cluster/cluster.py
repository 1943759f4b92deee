"""Plays a cluster with what is rendered in FOLDER/rendered.yaml, in namespaces that tests/cluster/run has made.
usage: cluster.py FOLDER PROGRAMS"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import yaml

TOKEN = "nobody-knows-this-one"
PICTURE = Path(__file__).parents[1] / "pictures" / "astronaut.png"
# CoreDNS' time to live, and what a Service's rules take to reach every node.
TIME_TO_LIVE, SPREADING = 5, 2
SOON = 60


def main(folder, programs):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    rendered = list(yaml.safe_load_all((folder / "rendered.yaml").read_text()))
    with contextlib.ExitStack() as stack:
        cluster = Cluster(rendered, folder, programs, stack)
        cluster.begin()
        load = stack.enter_context(Load(cluster))
        for name, event in [
            ("another worker", cluster.scale_out),
            ("a worker's pod ends", cluster.end_worker),
            ("a worker's node dies", cluster.lose_worker),
            ("a proxy's pod ends", cluster.end_proxy),
        ]:
            load.goes_on()
            event()
            load.goes_on()
            print(f"{name}: {load.count()}", flush=True)
        assert not load.failed, load.failed[:5]
    print("cluster: passed")


class Cluster:
    """Two proxies and three workers, each at an address of its own, and who knows of them: name server and Service."""

    def __init__(self, rendered, folder, programs, stack):
        self.folder, self.programs, self.stack = folder, programs, stack
        services = [each for each in rendered if each["kind"] == "Service"]
        pods = {each["metadata"]["labels"]["app.kubernetes.io/name"]: each for each in rendered if each["kind"] == "Deployment"}
        self.proxy, self.worker = (pods[name]["spec"]["template"]["spec"] for name in ("veil", "blur-service"))
        of_workers = next(each for each in services if each["metadata"]["name"].endswith("blur-service"))
        self.namespace = of_workers["metadata"]["namespace"]
        self.name = f"{of_workers['metadata']['name']}.{self.namespace}.svc.cluster.local"
        self.configuration = next(each for each in rendered if each["kind"] == "ConfigMap")["data"]["veil.yaml"]
        self.workers, self.proxies, self.endpoints, self.names = {}, {}, [], None

    def begin(self):
        for number in (1, 2):
            self.start_worker(f"127.0.1.{number}")
        self.serve_names()
        for number in (1, 2):
            self.start_proxy(f"127.0.2.{number}")
        assert status(self.endpoints[0], 8081, "/metrics") == 401, "the admin listener wants its token"
        assert status(self.endpoints[0], 8081, "/metrics", {"authorization": f"Bearer {TOKEN}"}) == 200
        for path in ("/metrics", "/health"):
            assert status(self.endpoints[0], 8080, path) == 404, f"{path} of a worker is for nobody outside"

    def serve_names(self):
        """As in a pod: the namespace's domains are searched, and only the headless Service's ready pods are named."""
        resolv = self.folder / "resolv.conf"
        domains = f"{self.namespace}.svc.cluster.local svc.cluster.local cluster.local"
        resolv.write_text(f"search {domains}\nnameserver 127.0.0.1\noptions ndots:5\n")
        subprocess.run(["mount", "--bind", resolv, os.path.realpath("/etc/resolv.conf")], check=True)
        (self.folder / "hosts").write_text("")
        self.names = self.run("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--bind-interfaces", "--pid-file=",
                              "--user=root", "--local=/cluster.local/", f"--local-ttl={TIME_TO_LIVE}", "--conf-file=/dev/null",
                              "--listen-address=127.0.0.1", f"--addn-hosts={self.folder / 'hosts'}")
        until("the name server listens", lambda: listens("127.0.0.1", 53))
        self.publish()

    def publish(self):
        ready = [address for address, worker in self.workers.items() if worker.ready]
        (self.folder / "hosts").write_text("".join(f"{address} {self.name}\n" for address in ready))
        self.names.send_signal(signal.SIGHUP)

    def start_worker(self, address):
        container = self.worker["containers"][0]
        named = {each["name"]: each["value"] for each in container["env"]}
        environment = named | {"BLUR_LISTEN": f"{address}:5000", "BLUR_DETAIL": "fast"}
        self.workers[address] = Pod(self.run(self.programs / "blur-service", **environment))
        until(f"{address} is ready", lambda: status(address, 5000, "/health") == 200)

    def start_proxy(self, address):
        container = self.proxy["containers"][0]
        named = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        file = self.folder / f"{address}.yaml"
        file.write_text(self.configuration.replace("address: 0.0.0.0", f"address: {address}"))
        process = self.run(self.programs / "veil", "run", "-c", file, **named, VEIL_ADMIN_TOKEN=TOKEN)
        self.proxies[address] = Pod(process)
        until(f"{address} is ready", lambda: status(address, 8081, "/readyz") == 200)
        self.endpoints.append(address)

    def scale_out(self):
        self.start_worker("127.0.1.3")
        self.publish()
        until("both proxies have found it", lambda: all(
            'backend="127.0.1.3:5000",pool="blur"} 1' in self.metrics(proxy, "veil_backend_up") for proxy in self.endpoints))

    def end_worker(self):
        """Out of the Service at once; TERM after `preStop`; KILL when the pod's time is over."""
        worker = self.workers["127.0.1.1"]
        worker.ready = False
        self.publish()
        before = self.worker["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        time.sleep(before)
        worker.end(self.worker["terminationGracePeriodSeconds"] - before)

    def lose_worker(self):
        """Nobody is told before the node's lease has run out."""
        worker = self.workers["127.0.1.2"]
        worker.process.kill()
        time.sleep(SPREADING)
        worker.ready = False
        self.publish()

    def end_proxy(self):
        """TERM at once, since it waits itself; clients come until the Service's rules have changed everywhere."""
        address = self.endpoints[0]
        removal = threading.Timer(SPREADING, self.endpoints.remove, [address])
        removal.start()
        self.proxies[address].end(self.proxy["terminationGracePeriodSeconds"])
        removal.join()

    def metrics(self, address, name):
        _, text = ask(address, 8081, "/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        return "\n".join(line for line in text.decode().splitlines() if line.startswith(name))

    def run(self, *command, **environment):
        log = open(self.folder / "log", "a")
        process = subprocess.Popen([str(word) for word in command], env=os.environ | environment, stdout=log, stderr=log)
        self.stack.callback(stop, process)
        return process


class Pod:
    def __init__(self, process):
        self.process, self.ready = process, True

    def end(self, patience):
        self.process.terminate()
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("it was still there when the kubelet would have killed it") from None
        assert code == 0, f"it ended with {code}"


class Load:
    """Four clients, each one upload after the other to a proxy that the Service names at that moment."""

    def __init__(self, cluster):
        self.cluster, self.sent, self.failed, self.over = cluster, 0, [], False
        self.picture = PICTURE.read_bytes()
        self.threads = [threading.Thread(target=self.upload, args=[number]) for number in range(4)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for thread in self.threads:
            thread.join()

    def upload(self, number):
        while not self.over:
            number += 1
            endpoints = list(self.cluster.endpoints)
            address = endpoints[number % len(endpoints)]
            try:
                code, body = ask(address, 8080, "/v1/blur", "POST", self.picture)
                if code != 200:
                    self.failed.append((address, code, body[:200]))
            except (OSError, http.client.HTTPException) as error:
                self.failed.append((address, repr(error)))
            self.sent += 1

    def goes_on(self):
        before = self.sent
        until("uploads go on", lambda: self.sent > before + 8)

    def count(self):
        return f"{len(self.failed)} of {self.sent} uploads failed so far"


def ask(address, port, path, method="GET", body=None, headers={}):
    connection = http.client.HTTPConnection(address, port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def status(address, port, path, headers={}):
    try:
        return ask(address, port, path, headers=headers)[0]
    except OSError:
        return None


def listens(address, port):
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def until(what, holds):
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, f"not within {SOON} s: {what}"
        time.sleep(0.1)


def stop(process):
    process.kill()
    process.wait()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except AssertionError:
        print((Path(sys.argv[1]) / "log").read_text()[-4000:])
        raise
