# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/faultlight
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY instruments instruments
COPY analysis analysis
COPY db db
COPY services services
RUN /opt/faultlight/bin/pip install --no-cache-dir -c constraints.txt '.[server]'

FROM python:3.13-slim AS runtime
RUN groupadd --system --gid 10001 faultlight \
    && useradd --system --uid 10001 --gid faultlight --home-dir /var/lib/faultlight --shell /usr/sbin/nologin faultlight \
    && install -d -o faultlight -g faultlight /var/lib/faultlight /var/lib/faultlight/staging /var/lib/faultlight/scratch
COPY --from=build /opt/faultlight /opt/faultlight
ENV PATH=/opt/faultlight/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/faultlight
EXPOSE 8460
ENTRYPOINT ["faultlight"]
CMD ["api"]
