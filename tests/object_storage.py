"""A local S3 server with a bucket."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from moto.server import ThreadedMotoServer

SECRET = "hush-hush-hush"


@dataclass(frozen=True)
class Bucket:
    """A bucket named `pictures`, and the environment variables by which tools find it."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def _client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="someone",
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def make(self) -> None:
        self._client.create_bucket(Bucket="pictures")

    def put(self, name: str, data: bytes) -> None:
        self._client.put_object(Bucket="pictures", Key=name, Body=data)

    def get(self, name: str) -> bytes:
        return self._client.get_object(Bucket="pictures", Key=name)["Body"].read()

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket="pictures", Key=name)

    def names(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket="pictures")
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def empty(self) -> None:
        for name in self.names():
            self.delete(name)

    def unfinished(self) -> list[str]:
        """Return the uploads that were started and neither completed nor aborted."""
        listing = self._client.list_multipart_uploads(Bucket="pictures")
        return [upload["Key"] for upload in listing.get("Uploads", [])]


@contextmanager
def object_storage() -> Iterator[Bucket]:
    """Run the server while the context lasts, and yield its bucket, which is empty at first.

    All servers of one process share their buckets, so an earlier one may have left something.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        bucket = Bucket(f"http://{host}:{port}")
        bucket.make()
        bucket.empty()
        yield bucket
    finally:
        server.stop()
