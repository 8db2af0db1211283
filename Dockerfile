# All of Cellblock in one container: Redis, the API and a worker, under tini.
# Everything up to "base" is as in Dockerfile.worker, so that they share layers.
ARG GO_VERSION=1.26
ARG PYTHON_VERSION=3.13

FROM golang:${GO_VERSION}-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X cellblock/internal/buildinfo.version=${VERSION}" -o /out/ ./cmd/...

# A program of its own: it stays the same, and with it the layers below, when the
# service changes.
FROM golang:${GO_VERSION}-bookworm AS environment-builder
WORKDIR /src
ENV CGO_ENABLED=0
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY internal/environment internal/environment
COPY deploy/python/build-environments deploy/python/build-environments
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -ldflags "-s -w" -o /out/ ./deploy/python/build-environments

# Also the container that builds environments later (deploy/compose/environments.yml).
FROM python:${PYTHON_VERSION}-slim-bookworm AS environments
ENV CELLBLOCK_PYTHON=/usr/local/bin/python3 ENVIRONMENTS_SOURCE=/environments
COPY --from=environment-builder /out/build-environments /usr/local/bin/
COPY environments/default /environments/default
RUN --mount=type=cache,target=/root/.cache/pip build-environments default
ARG ENVIRONMENTS=default
COPY environments /environments
RUN --mount=type=cache,target=/root/.cache/pip mkdir -p /opt/cellblock-environments && build-environments default $ENVIRONMENTS
ENTRYPOINT ["build-environments"]

FROM python:${PYTHON_VERSION}-slim-bookworm AS base
# Scripts have no use for an installer. The standard library is compiled here:
# sandboxes see it read-only, and each would compile it again.
RUN library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
 && python3 -m pip --quiet --disable-pip-version-check uninstall -y setuptools wheel pip 2>/dev/null \
 && rm -rf "$library/ensurepip" /usr/local/bin/pip* \
 && python3 -m compileall -q -j 0 -x '/(test|tests|lib2to3)/' "$library"
COPY --from=environments /opt/cellblock /opt/cellblock
COPY --from=environments /opt/cellblock-environments /opt/cellblock-environments

FROM base
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server tini >/dev/null \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /app/
# Every client that reaches the published port can run scripts: publish it on
# 127.0.0.1, or set API_TOKEN.
ENV API_ADDR=0.0.0.0:8080 \
    ALLOW_ANONYMOUS=true \
    CELLBLOCK_DATA=/var/lib/cellblock
VOLUME /var/lib/cellblock
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s CMD ["/app/api", "--probe"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "/app/cellblock"]
CMD ["up"]
ARG VERSION=dev
LABEL org.opencontainers.image.title="cellblock" \
      org.opencontainers.image.description="Runs untrusted Python in sandboxes, behind an HTTP API: all in one container" \
      org.opencontainers.image.version="${VERSION}"
