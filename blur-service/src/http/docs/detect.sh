curl --fail --silent --show-error --data-binary @photo.jpg http://127.0.0.1:8080/v1/detect
