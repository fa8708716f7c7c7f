# One image, every role: the command says which. docker-compose.yml runs the gateway and each module from it.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# Static: the image that it goes into has no C library. SQLite is modernc.org/sqlite, which needs none.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/cache \
    CGO_ENABLED=0 GOCACHE=/go/cache go build -trimpath -ldflags="-s -w" -o /out/cleave ./cmd/cleave && mkdir /out/data

# No shell and no package manager; certificates, time zones and a user without rights are in it.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/cleave /cleave
COPY --from=build --chown=nonroot:nonroot /out/data /data
USER nonroot:nonroot
WORKDIR /data
EXPOSE 8080
ENTRYPOINT ["/cleave"]
# Without a command: the whole shop, on a volume at /data.
CMD ["up", "--listen", "0.0.0.0:8080", "--data-dir", "/data"]
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 CMD ["/cleave", "healthcheck", "http://127.0.0.1:8080/healthz"]
