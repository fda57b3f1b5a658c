# Images of everything that docker-compose.yml runs. Each service is a stage of its own:
#   postgres    PostgreSQL 15 with the roles Holdfast logs in as
#   simulator   a stand-in for Microsoft Graph, for trying things out
#   holdfast    proxy, audit service and commands
# The stage that compiles comes last but one, so that the first two never wait for it.

FROM debian:bookworm-slim AS postgres
# A fixed uid, so that volumes survive a rebuilt image. No cluster is made while installing.
RUN groupadd --gid 10002 postgres \
 && useradd --uid 10002 --gid 10002 --home-dir /var/lib/postgresql --shell /usr/sbin/nologin postgres \
 && apt-get update \
 && apt-get install -y --no-install-recommends postgresql-common \
 && sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' \
      /etc/postgresql-common/createcluster.conf \
 && apt-get install -y --no-install-recommends postgresql-15 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data
COPY docker/postgres-entrypoint.sh /usr/local/bin/postgres-entrypoint
USER 10002:10002
VOLUME /var/lib/postgresql/data
EXPOSE 5432
# Fast shutdown: ends sessions and writes a checkpoint. SIGTERM would wait for clients to leave.
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/local/bin/postgres-entrypoint"]

FROM debian:bookworm-slim AS simulator
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-minimal libpython3-stdlib \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10003 --user-group --no-create-home --shell /usr/sbin/nologin simulator
COPY tests/support/graph_simulator.py /opt/simulator/
COPY tests/support/graphsim /opt/simulator/graphsim
USER 10003:10003
EXPOSE 9443
ENTRYPOINT ["python3", "-B", "/opt/simulator/graph_simulator.py"]

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY tools/packages.txt tools/
# What a release build needs of the list: no clang, no server, no optional groups.
RUN apt-get update \
 && sed -E '/^#|:|clang|^lld|^ccache|^postgresql|^slowhttptest/d' tools/packages.txt \
      | xargs apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release && cmake --build --preset release --target holdfast \
 && strip build/release/holdfast

FROM debian:bookworm-slim AS holdfast
# tzdata: rules speak of local time. ca-certificates: what vouches for Graph; it brings openssl, which
# the health check uses.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates openssl tzdata \
      libcjose0 libdate-tz3 libjemalloc2 libpistache0 libpqxx-6.4 libprometheus-cpp-core1.0 \
      libre2-9 libspdlog1.10 libssl3 libyaml-cpp0.7 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin holdfast \
 && install -d -o holdfast -g holdfast -m 0700 /var/lib/holdfast/spool /var/lib/holdfast/audit /var/lib/holdfast/lists \
 && install -d /etc/holdfast
COPY docker/healthcheck.sh /usr/local/bin/holdfast-healthcheck
COPY --from=build /src/build/release/holdfast /usr/local/bin/holdfast
RUN holdfast --version
USER 10001:10001
EXPOSE 8443 8444
ENV HOLDFAST_CONFIG=/etc/holdfast/holdfast.yaml
ENTRYPOINT ["/usr/local/bin/holdfast"]
