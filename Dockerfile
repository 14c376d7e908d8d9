# docker build -t rollout-status .
# docker run --user "$(id -u)" -v "$HOME/.kube:/root/.kube:ro" rollout-status -namespace shop -selector app=web
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# With another kubectl (it may be one minor version older or newer than the cluster) come other checksums: its release page has them
ARG KUBECTL_RELEASE=https://dl.k8s.io/release/v1.35.1
ARG KUBECTL_SHA256="amd64:36e2f4ac66259232341dd7866952d64a958846470f6a9a6a813b9117bd965207 arm64:706256e21a4e9192ee62d1a007ac0bfcff2b0b26e92cc7baad487a6a5d08ff82"
WORKDIR /build
COPY packaging/kubectl.py packaging/
RUN python3 packaging/kubectl.py "$KUBECTL_RELEASE" "$KUBECTL_SHA256" kubectl
COPY requirements.txt ./
RUN python3 -m venv /opt/rollout-status && /opt/rollout-status/bin/pip install --no-cache-dir --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md LICENSE rollout_status.py rollout_status_start.py schema.json ./
COPY rollout_status_lib rollout_status_lib
COPY rules rules
RUN /opt/rollout-status/bin/pip install --no-cache-dir --no-deps . && /opt/rollout-status/bin/pip uninstall --yes pip
# What is read at the first start is kept for all others: the demo's rollout has failed, so it ends with 1
RUN /opt/rollout-status/bin/rollout-status demo >/dev/null 2>&1; test $? -eq 1

FROM ${BASE}
COPY --from=build /opt/rollout-status /opt/rollout-status
COPY --from=build /build/kubectl /usr/local/bin/kubectl
# Where the kubeconfig is mounted, also for a user that is not root
ENV PATH=/opt/rollout-status/bin:$PATH HOME=/root
RUN chmod 755 /root
USER 65532:65532
# socialgouv: the defaults and the JSON of that program, for pipelines that were written for it; `docker run -e` says it, too
ARG COMPAT=none
ENV ROLLOUT_STATUS_COMPAT=${COMPAT}
ENTRYPOINT ["rollout-status"]
