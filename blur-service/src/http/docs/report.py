# What was found, done and left behind, with the picture inside.
import base64
import json
import urllib.request

with open("photo.jpg", "rb") as photo:
    request = urllib.request.Request("http://127.0.0.1:8080/v1/blur/report", photo.read())
with urllib.request.urlopen(request) as answer:
    report = json.load(answer)
print(len(report["faces"]), "faces hidden; left behind:", report["removed"])
with open("out.jpg", "wb") as out:
    out.write(base64.b64decode(report["picture"]["base64"]))
