#!/bin/bash
# Runs PostgreSQL; on an empty volume it first makes the cluster, the database and the roles.
#
# The cluster is made beside its place and moved there when it is complete, so an interrupted first
# start begins again and never leaves half of one. Passwords are files:
# /run/secrets/{postgres,proxy,audit}_password.
set -euo pipefail

readonly BINARIES=/usr/lib/postgresql/15/bin
readonly VOLUME=/var/lib/postgresql/data
readonly DATA=$VOLUME/15
readonly SECRETS=/run/secrets
readonly SOCKETS=/run/postgresql

# fsync and synchronous_commit stand here so that no file on the volume turns them off: an intent
# counts as recorded only once it is on disk.
readonly SETTINGS=(-c fsync=on -c full_page_writes=on -c synchronous_commit=on
                   -c unix_socket_directories=$SOCKETS)

make_cluster() {
  local new=$DATA.new
  rm -rf "$new"
  "$BINARIES/initdb" --pgdata="$new" --username=postgres --pwfile="$SECRETS/postgres_password" \
    --auth-local=peer --auth-host=scram-sha-256 --data-checksums \
    --encoding=UTF8 --locale=C.UTF-8
  # samenet: the network this container shares with the others, and nothing that is routed to it.
  cat > "$new/pg_hba.conf" <<'RULES'
local all      postgres                                       peer
host  holdfast postgres,holdfast_proxy,holdfast_audit,holdfast_retention samenet scram-sha-256
RULES
  "$BINARIES/pg_ctl" --pgdata="$new" --wait start \
    -o "${SETTINGS[*]} -c listen_addresses=''" >/dev/null
  "$BINARIES/psql" --no-psqlrc --quiet --host="$SOCKETS" --username=postgres --dbname=postgres \
    --set=ON_ERROR_STOP=1 <<SQL
\set proxy_password \`cat $SECRETS/proxy_password\`
\set audit_password \`cat $SECRETS/audit_password\`
CREATE ROLE holdfast_proxy LOGIN PASSWORD :'proxy_password';
CREATE ROLE holdfast_audit LOGIN PASSWORD :'audit_password';
CREATE DATABASE holdfast;
REVOKE ALL ON DATABASE holdfast FROM PUBLIC;
GRANT CONNECT ON DATABASE holdfast TO holdfast_proxy, holdfast_audit;
SQL
  "$BINARIES/pg_ctl" --pgdata="$new" --wait --mode=fast stop >/dev/null
  mv "$new" "$DATA"
  sync --file-system "$VOLUME"
}

[ -s "$DATA/PG_VERSION" ] || make_cluster
exec "$BINARIES/postgres" -D "$DATA" "${SETTINGS[@]}" -c listen_addresses='*' "$@"
