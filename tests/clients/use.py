"""What a program does with the client that openapi-python-client makes: find, hide, report, fail."""

import io
import sys
from pathlib import Path

from client import Client
from client.api.default import blur, detect, options, report
from client.models import Box, BlurEffect, Detection, Form, Options, Problem, Report
from client.types import File

address, picture = sys.argv[1], Path(sys.argv[2]).read_bytes()
client = Client(base_url=address, raise_on_unexpected_status=True)


def file():
    return File(payload=io.BytesIO(picture), file_name="photo.png", mime_type="image/png")


found = detect.sync(client=client, body=Form(image=file()))
assert isinstance(found, Detection) and len(found.faces) == 1 and found.width == 512, found
region = Box(x=10, y=300, width=60, height=40)
hidden = blur.sync_detailed(client=client, body=Form(image=file(), options=Options(regions=[region])), effect=BlurEffect.SOLID)
assert hidden.status_code == 200 and hidden.headers["x-faces"] == "1"
assert hidden.parsed.payload.read().startswith(b"\x89PNG")
raw = blur.sync(client=client, body=file(), regions="10,300,60,40")
assert raw.payload.read().startswith(b"\x89PNG")
told = report.sync(client=client, body=Form(image=file(), regions="10,300,60,40"))
assert isinstance(told, Report) and len(told.faces) == 1 and told.regions[0].width == 60, told
assert "solid" in [str(effect) for effect in options.sync(client=client).effect.allowed]
problem = blur.sync(client=client, body=Form(image=File(payload=io.BytesIO(b"no picture"), file_name="a", mime_type="image/png")))
assert isinstance(problem, Problem) and problem.code == "unsupported_format" and problem.type_.endswith("unsupported_format"), problem
