"""`blur` on a bucket beside `blur` on a folder of the same pictures: whatever is killed, both come to hold the same bytes, and
the manifests tell of each picture once."""

import collections
import json
import logging
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

PORTRAIT = Path(__file__).resolve().parents[1] / "pictures/astronaut.png"
PARTS = 4
# A manifest is written anew after so many pictures at the latest, or a tenth of all.
OFTEN = 100


def main(program, count):
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="veil-stores-") as folder:
            Stores(Path(program).resolve(), Path(folder), server.get_host_and_port()[1]).all(int(count))
    finally:
        server.stop()


class Stores:
    def __init__(self, program, folder, port):
        self.program, self.folder = program, folder
        self.environment = {
            **os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "NO_PROXY": "127.0.0.1",
            "AWS_ACCESS_KEY_ID": "of the test", "AWS_SECRET_ACCESS_KEY": "of the test", "AWS_REGION": "us-east-1",
            "BLUR_DETAIL": "fast", "BLUR_NOISE_KEY": "a key of the tests, long enough for it",
        }
        self.s3 = boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"], region_name="us-east-1",
                               aws_access_key_id="of the test", aws_secret_access_key="of the test")
        for bucket in ("album", "hidden"):
            self.s3.create_bucket(Bucket=bucket)
        # Each writing of an object is then to be seen.
        self.s3.put_bucket_versioning(Bucket="hidden", VersioningConfiguration={"Status": "Enabled"})

    def all(self, count):
        self.fill(count)
        expected = self.by_folder()
        self.one_killed_one_ended(expected)
        self.nothing_is_left(expected)
        self.another_state_of_a_picture()
        self.between_store_and_folder(expected)
        self.what_is_not_there()

    def fill(self, count):
        """The last of them is broken, one has a region of its own; a note and a marker of a folder are no pictures."""
        portrait = PORTRAIT.read_bytes()
        files = {f"2026/{index % 7}/{index} ä+.png": portrait if index % 50 == 1 else png(index) for index in range(count - 1)}
        files["2026/broken.png"] = portrait[:9000]
        files["2026/1/8 ä+.png.veil.json"] = b'{"regions": [[8, 8, 16, 16]], "effect": "solid"}'
        for name, content in files.items():
            path = self.folder / "album" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self.s3.put_object(Bucket="album", Key=name, Body=content)
        self.s3.put_object(Bucket="album", Key="2026/", Body=b"")
        self.s3.put_object(Bucket="album", Key="2026/notes.txt", Body=b"no picture")
        self.names = sorted(name for name in files if name.endswith(".png"))

    def by_folder(self):
        self.blur("album/2026", "-r", "-o", "by-folder", code=1)
        made = {str(path.relative_to(self.folder / "by-folder")): path.read_bytes()
                for path in (self.folder / "by-folder").rglob("*.png")}
        assert len(made) == len(self.names) - 1, f"{len(made)} of {len(self.names)} by folder"
        return made

    def part(self, index):
        return self.start("s3://album/2026", "-r", "-o", "s3://hidden/2026", "--quiet",
                          "--shard", f"{index}/{PARTS}", "--manifest", f"s3://hidden/told/{index}.jsonl")

    def one_killed_one_ended(self, expected):
        begun = time.monotonic()
        parts = [self.part(index) for index in range(PARTS)]
        wait_until(lambda: len(self.written()) > len(expected) // 3)
        parts[1].kill()
        parts[2].send_signal(signal.SIGTERM)
        codes = [part.wait(timeout=900) for part in parts]
        assert codes[1] == -signal.SIGKILL and codes[2] == 3, codes
        before = len(self.written())
        assert before < len(expected), "all was done before anything could be killed"
        codes = [codes[0], self.part(1).wait(timeout=900), self.part(2).wait(timeout=900), codes[3]]
        # Whose part the broken one is.
        assert sorted(codes) == [0, 0, 0, 1], codes
        seconds = time.monotonic() - begun
        versions = self.written()
        self.holds(expected)
        told = self.told()
        for part in range(PARTS):
            again = [key for key in versions if versions[key] > 1 and told[key.removeprefix("2026/")][0] == part]
            most = max(OFTEN, len(expected) // PARTS // 10) if part == 1 else 0
            assert len(again) <= most and all(versions[key] == 2 for key in again), f"part {part} has done {len(again)} twice"
            print(f"ok      part {part}: {sum(index == part for index, _ in told.values())} told of, {len(again)} written again")
        print(f"ok      {len(self.names)} pictures, {before} of them before one part was killed and one ended: {seconds:.0f} s",
              flush=True)

    def holds(self, expected):
        there = {key.removeprefix("2026/"): key for key in self.written()}
        assert there.keys() == expected.keys(), sorted(there.keys() ^ expected.keys())[:5]
        for name, key in there.items():
            assert self.get("hidden", key) == expected[name], f"{name} is not what a folder's is"

    def told(self):
        """Of each picture, by its name: the part that tells of it, and what."""
        found = {}
        for index in range(PARTS):
            for line in self.get("hidden", f"told/{index}.jsonl").decode().splitlines():
                line = json.loads(line)
                name = line["path"].removeprefix("s3://album/2026/")
                assert name not in found, f"{name} is told of twice"
                found[name] = (index, line)
        assert sorted(found) == [name.removeprefix("2026/") for name in self.names]
        for name, (_, line) in found.items():
            status = "refused" if name == "broken.png" else "blurred"
            assert line["status"] == status and (status == "refused" or line["output"] == f"s3://hidden/2026/{name}"), line
        faces = sum(len(line.get("faces", [])) for _, line in found.values())
        assert faces >= len(self.names) // 50 and found["1/8 ä+.png"][1]["regions"], f"{faces} faces"
        return found

    def nothing_is_left(self, expected):
        before = self.written()
        for part in [self.part(index) for index in range(PARTS)]:
            assert part.wait(timeout=900) in (0, 1)
        assert self.written() == before, "what was done is done again"
        self.told()
        print("ok      once more: nothing is written", flush=True)

    def another_state_of_a_picture(self):
        name = self.names[0].removeprefix("2026/")
        self.s3.put_object(Bucket="album", Key=f"2026/{name}", Body=png(10**6))
        words = [f"s3://album/2026/{name}", "-o", f"s3://hidden/2026/{name.rpartition('/')[0]}"]
        said = self.blur(*words, code=1)
        assert "of another time" in said, said
        self.blur(*words, "--overwrite", code=0)
        assert "1 done before" in self.blur(*words, code=0)
        print("ok      another state of a picture is told of, and replaced when told to", flush=True)

    def between_store_and_folder(self, expected):
        name = next(name for name in expected if name.startswith("1/"))
        parent = name.rpartition("/")[0]
        for _ in range(2):
            self.blur(f"s3://album/2026/{name}", "-o", "fetched", code=0)
            self.blur(f"album/2026/{name}", "-o", f"s3://hidden/sent/{parent}", code=0)
        fetched = (self.folder / "fetched" / Path(name).name).read_bytes()
        assert fetched == self.get("hidden", f"sent/{name}") == expected[name]
        # Beside the picture, and then no picture of its own.
        self.blur(f"s3://album/2026/{name}", code=0)
        beside = f"2026/{name}".replace(".png", ".blurred.png")
        assert self.get("album", beside) == expected[name]
        self.blur(f"s3://album/2026/{parent}", "-r", "--shard", "0/1000", "--quiet", code=0)
        assert "looked at" in self.blur(f"s3://album/{beside}", "--check", code=0)
        print("ok      from a store to a folder, from a folder to a store, and beside", flush=True)

    def what_is_not_there(self):
        for words, said in {
            ("s3://nowhere/x.png",): "s3://nowhere",
            ("s3://album/2026/none.png",): "none.png",
            ("ftp://album/x.png",): "s3://",
            ("s3://album/2026", "-r", "-o", "out", "--manifest", "s3://album/2026/notes.txt"): "is no manifest",
        }.items():
            told = self.blur(*words, code=2)
            assert said in told, told
        assert self.get("album", "2026/notes.txt") == b"no picture"
        print("ok      what is not there is told of", flush=True)

    def start(self, *words, **more):
        return subprocess.Popen([self.program, "blur", *words], cwd=self.folder, env=self.environment,
                                stderr=subprocess.PIPE if more else subprocess.DEVNULL, text=True)

    def blur(self, *words, code):
        blur = self.start(*words, told=True)
        said = blur.communicate(timeout=900)[1]
        assert blur.returncode == code, f"{words}: {blur.returncode}: {said}"
        return said

    def written(self):
        """How often each result was written."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket="hidden", Prefix="2026/")
        return collections.Counter(version["Key"] for page in pages for version in page.get("Versions", []))

    def get(self, bucket, key):
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def png(number):
    """64 × 64 in a colour of its own."""
    row = b"\0" + struct.pack(">I", number * 997 % 2**24)[1:] * 64
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(row * 64)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def wait_until(condition):
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


main(*sys.argv[1:])
