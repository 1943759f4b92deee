# What was found, done and left behind, with the picture inside.
curl --fail --silent --show-error --data-binary @photo.jpg http://127.0.0.1:8080/v1/blur/report -o report.json
