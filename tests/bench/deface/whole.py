"""What deface spends on one picture, as its command would, without starting: `whole.py PICTURE` prints JSON."""

import json
import pathlib
import resource
import sys
import tempfile

from deface.centerface import CenterFace
from deface.deface import image_detect

LEAST_SECONDS = 2


def main(picture):
    network = CenterFace(in_shape=None, backend="onnxrt")
    with tempfile.TemporaryDirectory() as folder:
        output = str(pathlib.Path(folder) / "output.jpg")
        choices = dict(threshold=0.2, replacewith="blur", mask_scale=1.3, ellipse=True, draw_scores=False)

        def work():
            image_detect(picture, output, network, enable_preview=False, keep_metadata=False, **choices)

        work()
        before, runs = spent().ru_utime + spent().ru_stime, 0
        while runs == 0 or spent().ru_utime + spent().ru_stime - before < LEAST_SECONDS:
            work()
            runs += 1
    cpu_ms = (spent().ru_utime + spent().ru_stime - before) * 1000 / runs
    print(json.dumps({"cpu_ms": cpu_ms, "peak_mb": spent().ru_maxrss / 1024}))


def spent():
    return resource.getrusage(resource.RUSAGE_SELF)


main(sys.argv[1])
