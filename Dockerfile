# One image for every process of ours; docker-compose.yml says which one a container runs.
FROM python:3.11.15-slim AS packages
RUN python -m venv /opt/venv
COPY requirements-runtime.lock /tmp/
# Wheels only: nothing is compiled, nothing of the build stays in the image.
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary=:all: \
    -r /tmp/requirements-runtime.lock \
 && /opt/venv/bin/python -m compileall -q /opt/venv/lib

FROM python:3.11.15-slim
# /data belongs to the user of the process, and so does a fresh volume mounted there.
RUN groupadd --system --gid 10001 app && useradd --system --uid 10001 --gid app --no-create-home --home-dir /app app \
 && install --directory --owner=app --group=app /data
COPY --from=packages /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY worker.py ./
COPY trading ./trading
COPY activities ./activities
COPY workflows ./workflows
COPY execution ./execution
COPY storage ./storage
COPY cache ./cache
COPY brokers ./brokers
COPY listener ./listener
COPY api ./api
COPY runtime ./runtime
COPY playground ./playground
COPY local ./local
COPY simulator ./simulator
RUN python -m compileall -q /app
USER app
