#!/bin/sh
# check-veil.sh livez|readyz [ADMIN]: succeeds while veil says so: it answers 200 within 0.5 s, at the second asking at the
# latest. ADMIN is the `admin:` of veil.yaml.
for _ in 1 2; do
    curl --silent --fail --output /dev/null --max-time 0.5 "http://${2:-127.0.0.1:8081}/$1" && exit 0
done
exit 1
