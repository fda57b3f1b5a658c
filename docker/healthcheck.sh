#!/bin/bash
# holdfast-healthcheck PORT PATH CA_FILE: succeeds when https://localhost:PORT/PATH answers 200 with
# a certificate that the CA vouches for.
set -euo pipefail

answer=$(printf 'GET %s HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n\r\n' "$2" "$1" |
  timeout 5 openssl s_client -quiet -connect "127.0.0.1:$1" -servername localhost \
    -verify_hostname localhost -CAfile "$3" -verify_return_error 2>/dev/null)
# The whole answer, so that the container's state tells why it is not ready.
printf '%s\n' "$answer"
[[ $answer == 'HTTP/1.1 200 '* ]]
