"""Starts the images that tests/container/run has unpacked in FOLDER as their own configuration says: as their user, the root
read-only, no capabilities, no new privileges; blurs a picture through each, and ends them. In namespaces that are this
script's own.
usage: start.py FOLDER"""

import contextlib
import ctypes
import http.client
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

PICTURE = Path(__file__).parents[1] / "pictures" / "astronaut.png"
PHONE = Path(__file__).parents[2] / "blur-service" / "tests" / "formats" / "files" / "420.heic"
SHELLS = re.compile(r"/(ba|da|a|z|k)?sh$|/busybox$|/perl$|/python[0-9.]*$")
SOON = 60
# Inside the container only, which here is the same.
ADMIN = 8081


def main(folder):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for image in ("veil", "blur-service", "standalone"):
        is_well(folder, image)
    with started(folder, "standalone") as standalone:
        blurs(8080, "standalone: one `run` gives page and API")
        assert ask(8080, "/")[0] == 200, "the page"
        ends(standalone, "standalone")
    with started(folder, "blur-service") as worker, started(folder, "veil", VEIL_WORKERS="localhost") as proxy:
        blurs(8080, "veil and blur-service, each an image")
        assert ask(8080, "/metrics")[0] == 404, "a worker's metrics are for nobody outside"
        ends(proxy, "veil")
        ends(worker, "blur-service")
    print("container: passed")


def is_well(folder, image):
    """Its user is not root, and nothing in it could run a script."""
    user = configuration(folder, image)["User"]
    assert user.split(":")[0] not in ("", "0", "root"), f"{image} runs as {user!r}"
    shells = [path for path in (folder / image).rglob("*") if path.is_file() and SHELLS.search(str(path))]
    assert not shells, f"{image} has {shells}"


def configuration(folder, image):
    return json.loads((folder / f"{image}.json").read_text())["OCIv1"]["config"]


@contextlib.contextmanager
def started(folder, image, **environment):
    own = configuration(folder, image)
    user, group = own["User"].split(":")
    root = folder / image
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    command = [*own["Entrypoint"], *(own.get("Cmd") or [])]
    variables = dict(each.split("=", 1) for each in own.get("Env") or []) | environment
    log = open(folder / "log", "a")
    process = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", sys.executable, __file__, "--inside", root, user, group, *command],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def inside(root, user, group, *command):
    """From within the new namespaces: the root as an engine makes it, then the program and nothing else."""
    def mount(*words):
        subprocess.run(["mount", *words], check=True)

    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{root}/dev")
    for device in ("null", "zero", "random", "urandom"):
        Path(f"{root}/dev/{device}").touch()
        mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
    mount("-o", "remount,bind,ro", root)
    os.chroot(root)
    os.chdir("/")
    drop_all_privileges(int(user), int(group))
    os.execve(command[0], command, os.environ)


def drop_all_privileges(user, group):
    """As an engine with `--cap-drop=all --security-opt=no-new-privileges`."""
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privileges, drop_of_bounding_set = 38, 24
    for capability in range(41):
        libc.prctl(drop_of_bounding_set, capability, 0, 0, 0)
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    assert libc.prctl(set_no_new_privileges, 1, 0, 0, 0) == 0


def blurs(port, what):
    until(what, lambda: ask(ADMIN, "/readyz")[0] == 200)
    status, body, headers = ask(port, "/v1/blur", PICTURE.read_bytes())
    assert status == 200 and headers["x-faces"] == "1", (status, headers, body[:300])
    status, body, headers = ask(port, "/v1/blur", PHONE.read_bytes())
    assert status == 200 and headers["x-faces"] == "1", (status, headers, body[:300])
    print(f"{what}: a face is hidden, in HEIC too")


def ends(process, image):
    """TERM to the first process of the container, which is the program: it drains, and ends well."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), 15)
    code = process.wait(SOON)
    assert code == 0, f"{image} ended with {code}"


def ask(port, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST" if body else "GET", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): each for name, each in answer.getheaders()}
    except OSError:
        return None, b"", {}
    finally:
        connection.close()


def until(what, holds):
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, f"not within {SOON} s: {what}"
        time.sleep(0.1)


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(*sys.argv[2:])
    else:
        try:
            main(Path(sys.argv[1]))
        except AssertionError:
            print((Path(sys.argv[1]) / "log").read_text()[-4000:])
            raise
