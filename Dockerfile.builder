# The image that compiles MongooseIM releases.
#
#   docker build -f Dockerfile.builder -t mongooseim-builder .
#
# Erlang/OTP comes from the official image, of whatever age: it is copied, with the libraries that it
# uses, to a Debian whose Python we need. Any other image that has `erl` can be given with
# --build-arg ERLANG_IMAGE=..., any Debian 12 or newer with --build-arg BASE_IMAGE=...
ARG OTP_VSN=27.3.4
ARG ERLANG_IMAGE=erlang:${OTP_VSN}
ARG BASE_IMAGE=debian:trixie-slim

FROM ${ERLANG_IMAGE} AS erlang
COPY builder_entrypoint/export-erlang.sh /tmp/
RUN sh /tmp/export-erlang.sh /exported

FROM ${BASE_IMAGE}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        autoconf \
        automake \
        build-essential \
        ca-certificates \
        curl \
        file \
        git \
        libexpat1-dev \
        libssl-dev \
        libtool \
        openssh-client \
        patchelf \
        pigz \
        procps \
        python3 \
        python3-dnspython \
        python3-psutil \
        python3-structlog \
        unixodbc-dev \
        unzip \
        zlib1g-dev \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
        /var/lib/dpkg/*-old /var/log/apt /var/log/*.log /etc/*- \
    && python3 -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: BASE_IMAGE must be Debian 12 or newer, whatever ERLANG_IMAGE is")' \
    && python3 -I -c 'import dns, psutil, structlog'

# Sources mounted into the container belong to whoever has them outside.
RUN git config --system --add safe.directory '*'

COPY --from=erlang /exported /
COPY member_entrypoint /usr/lib/python3/dist-packages/member_entrypoint
COPY builder_entrypoint /usr/lib/python3/dist-packages/builder_entrypoint
COPY builder_entrypoint/builder-init /usr/bin/builder-init
COPY builder_entrypoint/build.sh /build.sh
RUN chmod 755 /build.sh /usr/bin/builder-init \
    && chmod -R u=rwX,go=rX /usr/lib/python3/dist-packages/member_entrypoint \
        /usr/lib/python3/dist-packages/builder_entrypoint \
    && python3 -m compileall -q --invalidation-mode unchecked-hash \
        /usr/lib/python3/dist-packages/member_entrypoint \
        /usr/lib/python3/dist-packages/builder_entrypoint \
    && python3 -I -m builder_entrypoint.adoption

ENV LANG=C.UTF-8
VOLUME ["/builds"]
ENTRYPOINT ["/usr/bin/builder-init"]
CMD []
STOPSIGNAL SIGTERM

ARG BUILD_DATE
ARG VCS_REF
ARG VERSION
LABEL org.opencontainers.image.title="MongooseIM builder" \
      org.opencontainers.image.description="Compiles MongooseIM releases: /build.sh" \
      org.opencontainers.image.source="https://github.com/esl/mongooseim-docker" \
      org.opencontainers.image.created="${BUILD_DATE}" \
      org.opencontainers.image.revision="${VCS_REF}" \
      org.opencontainers.image.version="${VERSION}" \
      org.label-schema.schema-version="1.0" \
      org.label-schema.name="MongooseIM builder" \
      org.label-schema.vcs-url="https://github.com/esl/mongooseim-docker" \
      org.label-schema.build-date="${BUILD_DATE}" \
      org.label-schema.vcs-ref="${VCS_REF}" \
      org.label-schema.version="${VERSION}"
