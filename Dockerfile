# One image for every service of TauSQL; the pod's command says which: python -m tausql.<service>.
#
#   docker build --tag tausql/tausql:0.1.0 .
#
# What goes into it is made by k8s/image/tree.py. The same file makes the tree for test clusters without Docker
# (tests/kubernetes/packing.py), and a test compares user, folders, environment and entry point of the two.

# Pinned by tag for people and by digest (of the multi-architecture index) for machines. The minor version is the one
# that the tests run on. A mirror: --build-arg PYTHON=registry.example/python:3.11.14-slim-bookworm@sha256:...
ARG PYTHON=docker.io/library/python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

FROM ${PYTHON} AS dependencies
WORKDIR /src
COPY pyproject.toml ./
COPY k8s/image/tree.py k8s/image/
RUN ["python3", "k8s/image/tree.py", "dependencies", "/made"]

# A stage of its own: a change of the code leaves the dependencies' layer, nine tenths of what is pulled, as it is.
FROM dependencies AS code
COPY services services
RUN ["python3", "k8s/image/tree.py", "code", "/code"]

FROM ${PYTHON}
LABEL org.opencontainers.image.title="TauSQL" \
      org.opencontainers.image.description="A serverless, PostgreSQL-compatible, distributed SQL database" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11.14-slim-bookworm"
RUN --mount=type=bind,source=k8s/image/tree.py,target=/run/k8s/image/tree.py \
    ["python3", "/run/k8s/image/tree.py", "runtime", "/"]
# No program may raise its user: there is one user here, and nothing it would need more for.
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && groupadd --gid 10001 tausql \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin tausql \
 && install --directory --owner 10001 --group 10001 --mode 0750 /data
COPY --from=dependencies /made /
COPY --from=code /code /

# HOME: the root file system is read-only, /tmp is a volume. Byte code is there already, and could not be written.
ENV PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
WORKDIR /app
USER 10001:10001
# PostgreSQL's protocol; between services; sessions of processors; health, metrics and SQL over HTTP; the API; WebSocket
EXPOSE 5432 7400 7500 8080 8081 8443
# For Docker alone: Kubernetes has probes of its own and does not look at this.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["python3", "-c", \
    "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('TAUSQL_HTTP_LISTEN', ':8080').rpartition(':')[2] + '/livez', timeout=2)"]
ENTRYPOINT ["python3"]
