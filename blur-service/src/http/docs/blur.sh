# Every face, and the corner that the detector cannot know of.
curl --fail --silent --show-error -F image=@photo.jpg -F regions=0,0,64,64 -F effect=solid \
  http://127.0.0.1:8080/v1/blur -o out.jpg
