# Every face, and the corner that the detector cannot know of.
import json
import urllib.error
import urllib.request

with open("photo.jpg", "rb") as photo:
    request = urllib.request.Request("http://127.0.0.1:8080/v1/blur?regions=0,0,64,64&effect=solid", photo.read())
try:
    with urllib.request.urlopen(request) as answer, open("out.jpg", "wb") as out:
        print(answer.headers["X-Faces"], "faces hidden")
        out.write(answer.read())
except urllib.error.HTTPError as error:
    problem = json.load(error)
    raise SystemExit(f"{problem['code']}: {problem['detail']}")
