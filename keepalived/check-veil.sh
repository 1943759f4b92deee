#!/bin/sh
# check-veil.sh [ADMIN]: succeeds while veil can serve: its /readyz answers 200 within 0.6 s, at the second asking at the
# latest. ADMIN is the `admin:` of veil.yaml.
for _ in 1 2; do
    curl --silent --fail --output /dev/null --max-time 0.6 "http://${1:-127.0.0.1:8081}/readyz" && exit 0
done
exit 1
