FROM python:3.12-slim

WORKDIR /srv/quoth
COPY .ci/install.py .ci/
COPY requirements.lock ./
RUN python .ci/install.py --packages-only
COPY . .
RUN python .ci/install.py \
    && useradd --system --home-dir /data quoth \
    && mkdir /data && chown quoth /data

# Not root: parsers read untrusted files. A database server is expected, see docker-compose.yml.
USER quoth
ENV PATH=/srv/quoth/.venv/bin:$PATH QUOTH_HOME=/data
VOLUME /data
# Answers on the container's loopback only: run it with the host's network.
CMD ["quoth", "up", "--no-browser"]
