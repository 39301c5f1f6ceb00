# One image for operator, ingress and the steps around an agent; the command says which.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
# Everything locked is fetched and checked by its hash; only what the product needs is installed from it.
RUN pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels -r requirements.lock \
 && pip install --no-cache-dir --no-index --find-links /wheels hatchling
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY webhooks webhooks
RUN pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
 && python -m venv /opt/conveyor \
 && /opt/conveyor/bin/pip install --no-cache-dir --no-index --find-links /wheels /dist/*.whl \
 && /opt/conveyor/bin/pip uninstall --yes pip

FROM python:3.13-slim
# git is what clone and publish work with.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/conveyor /opt/conveyor
# A file in the working directory, which an agent may have written, is never imported.
ENV PATH=/opt/conveyor/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
CMD ["conveyor-operator"]
