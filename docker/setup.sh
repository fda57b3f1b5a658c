#!/usr/bin/env bash
# Makes what docker-compose.yml expects in .local/compose: development certificates, passwords,
# officers' tokens and rules. What is there already stays, so it is safe to run again.
#
#   docker/setup.sh                          # then: docker-compose up -d
#
# Secrets become files that containers read under other user ids than yours, which file permissions
# alone would forbid. So the files are readable, and the directory around them is open to you only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly HOME_FOLDER=.local/compose
readonly SECRETS=$HOME_FOLDER/secrets
readonly DAYS=365

umask 077
mkdir -p "$SECRETS"
chmod 0700 "$HOME_FOLDER" "$SECRETS"

# keep FILE: gives what standard input holds to the containers as that secret.
keep() {
  cat > "$SECRETS/$1.new"
  chmod 0444 "$SECRETS/$1.new"
  mv "$SECRETS/$1.new" "$SECRETS/$1"
}

make_password() {
  [ -e "$SECRETS/$1" ] || openssl rand -hex 32 | keep "$1"
}

make_authority() {
  [ -e "$HOME_FOLDER/ca.key" ] && return
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$DAYS" \
    -subj '/CN=Holdfast development CA' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout "$HOME_FOLDER/ca.key" 2>/dev/null | keep ca
}

# make_certificate SERVICE: a key and a certificate for localhost and for the service's own name.
make_certificate() {
  [ -e "$SECRETS/$1_certificate" ] && return
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$DAYS" \
    -subj "/CN=$1" -CA "$SECRETS/ca" -CAkey "$HOME_FOLDER/ca.key" \
    -addext 'basicConstraints=critical,CA:FALSE' \
    -addext 'keyUsage=critical,digitalSignature' -addext 'extendedKeyUsage=serverAuth' \
    -addext "subjectAltName=DNS:localhost,DNS:$1,IP:127.0.0.1" \
    -keyout "$HOME_FOLDER/$1.key" 2>/dev/null | keep "$1_certificate"
  keep "$1_key" < "$HOME_FOLDER/$1.key"
  rm "$HOME_FOLDER/$1.key"
}

# One token for each kind of officer; the service gets digests only.
make_tokens() {
  [ -e "$SECRETS/officer_tokens" ] && return
  local name token
  {
    echo 'tokens:'
    for name in auditor approver admin; do
      token=hfa_$(openssl rand -hex 32)
      printf '%s\n' "$token" > "$HOME_FOLDER/$name.token"
      printf '  - { name: %s, roles: [%s], sha256: "%s" }\n' "$name" "$name" \
        "$(printf %s "$token" | openssl dgst -sha256 -r | cut -d' ' -f1)"
    done
  } | keep officer_tokens
}

# Of the application that asks Graph; the simulator's until you write yours into it.
make_graph_secret() {
  [ -e "$SECRETS/graph_secret" ] || echo simulator-app-secret | keep graph_secret
}

make_rules() {
  [ -e "$HOME_FOLDER/rules" ] && return
  mkdir -p "$HOME_FOLDER/rules.new/lists"
  cp tools/demo/rules.yaml "$HOME_FOLDER/rules.new/"
  cp tools/demo/lists/*.csv "$HOME_FOLDER/rules.new/lists/"
  chmod -R a+rX "$HOME_FOLDER/rules.new"
  mv "$HOME_FOLDER/rules.new" "$HOME_FOLDER/rules"
}

for role in postgres proxy audit; do make_password "${role}_password"; done
make_authority
for service in proxy audit simulator; do make_certificate "$service"; done
make_tokens
make_graph_secret
make_rules

cat <<TEXT
Ready in $HOME_FOLDER:
  secrets/       passwords, certificates and digests for the containers
  *.token        officers' API tokens, for you
  secrets/ca     what clients must trust to talk to https://localhost:8443 and :8444
  rules/         the approval rules; edit them, then: docker-compose kill -s HUP proxy
TEXT
