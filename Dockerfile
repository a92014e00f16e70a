# One image for the press and the site; compose.yaml says which of them a container is.
FROM python:3.12-slim-bookworm
WORKDIR /srv/babelia
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . ./
ENV BABELIA_DATA=/srv/data BABELIA_LISTEN=0.0.0.0
RUN install -d -o 10001 -g 10001 /srv/data
USER 10001:10001
VOLUME /srv/data
EXPOSE 8000
CMD ["python", "manage.py", "library"]
