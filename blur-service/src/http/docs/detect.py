import json
import urllib.request

with open("photo.jpg", "rb") as photo:
    request = urllib.request.Request("http://127.0.0.1:8080/v1/detect", photo.read())
with urllib.request.urlopen(request) as answer:
    for face in json.load(answer)["faces"]:
        print(face["x"], face["y"], face["width"], face["height"], face["score"])
