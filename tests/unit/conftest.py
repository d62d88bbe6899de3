"""Fixtures that several unit tests use."""

import pytest
from PIL import Image


@pytest.fixture
def save(tmp_path):
    """Return save(name, array or Pillow image or bytes, **options of Image.save) -> path."""

    def save(name, content, **options):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            image = content if isinstance(content, Image.Image) else Image.fromarray(content)
            image.save(path, **options)
        return path

    return save
