FROM python:3.13-slim-bookworm AS compiled

# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev make
WORKDIR /srv/anxin
COPY pyproject.toml requirements-dev.lock Makefile ./
COPY app ./app
RUN make compiled

FROM python:3.13-slim-bookworm

# A Debian release keeps one version of make, and only security updates of it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 anxin

WORKDIR /srv/anxin
COPY pyproject.toml requirements.lock Makefile ./
COPY --from=compiled /srv/anxin/build/compiled/app ./app
COPY migrations ./migrations
RUN make image-setup

USER 10001
ENV DATA=/home/anxin/data HOST=0.0.0.0 PATH=/srv/anxin/.venv/bin:$PATH
EXPOSE 8000
CMD ["anxin", "serve"]
