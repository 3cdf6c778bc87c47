# A small image with nothing in it but the program and the certificates it trusts.
#
#   docker build -t outrigger .
#   docker run --rm -p 3500:3500 -p 50001:50001 -v "$PWD/resources:/resources:ro" outrigger \
#     --app-id order-processor --resources-path /resources

# Alpine's Rust builds static executables, which need no system around them.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache musl-dev gcc ca-certificates-bundle
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY proto proto
COPY src src
# Cargo wants all targets and members of the manifest to be there, even those it does not build.
COPY tests tests
COPY benches benches
RUN cargo build --locked --profile dist --bin outrigger

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/target/dist/outrigger /outrigger
# Nobody: the program writes nothing and opens no port below 1024.
USER 65532:65532
EXPOSE 3500 50001
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/outrigger", "health"]
ENTRYPOINT ["/outrigger"]
