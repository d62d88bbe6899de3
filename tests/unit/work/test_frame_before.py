"""The frame before a frame, from its record: on a disk, and in object storage."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from nst_core.images.levels import from_levels
from nst_core.images.picture_files import PictureError
from nst_core.images.pixels import as_pixels
from nst_core.images.read import examine, load
from nst_core.images.write import encode_png
from nst_core.motion.flo_files import FlowError, encode_flow, read_flow
from nst_core.storage.files import remove, write_atomic
from nst_core.storage.places import Place
from nst_core.storage.schemes import SCHEMES, Scheme
from tasks.job import Job, JobContent, JobMask, PreviousFrame
from tasks.store.file_reference import FileReference
from tasks.store.output_folder import OutputFolder
from tasks.store.records import write_record
from tasks.work.frames import Before, FrameError, frame_before
from tests.encoders import random_pixels
from tests.finished_rows import key_of, record_of
from tests.jobs import job_of_size

RESULT = random_pixels(24, 32, 7)
FLOW = np.full((24, 32, 2), 0.5, np.float32)


@pytest.fixture(params=["disk", "memory"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Yield a folder on a disk, or in object storage."""
    if request.param == "disk":
        yield tmp_path
        return
    monkeypatch.setitem(SCHEMES, "memory", Scheme())
    folder = UPath(f"memory://{tmp_path.name}/folder")
    yield folder
    folder.fs.store.clear()


def job_content(place: Place, mask: JobMask = JobMask()) -> JobContent:  # noqa: B008 - frozen
    return JobContent(place=place, sha256=examine(place).sha256, shape=(48, 64), mask=mask)


def finished(folder: Place) -> tuple[Job, OutputFolder]:
    """Return the job of a second frame; the first one is finished, with a transparent result."""
    output, content, flow = OutputFolder(folder / "out"), folder / "c.png", folder / "f.flo"
    write_atomic(content, encode_png(random_pixels(48, 64, 8)))
    write_atomic(flow, encode_flow(FLOW))
    alpha = np.zeros((24, 32), np.float32)
    file = FileReference.write(output.picture("w1.png"), encode_png(RESULT, alpha))
    record = record_of("a", "w1.png", output.root).model_copy(update={"file": file})
    write_record(output.records / key_of("a"), record)
    previous = PreviousFrame(line=2, key=key_of("a"), output="w1.png", content=job_content(content))
    digest = read_flow(flow, max_pixels=10_000).sha256
    update = {"previous": previous, "flow": flow, "flow_sha256": digest, "max_pixels": 10_000}
    return job_of_size(32).model_copy(update=update), output


def test_a_frame_gets_the_result_the_content_and_the_flow_to_it(folder: Place) -> None:
    job, output = finished(folder)
    before = frame_before(job, output, 32)
    assert before.frame is not None
    np.testing.assert_allclose(from_levels(np.asarray(before.frame.result)), RESULT, atol=1 / 255)
    np.testing.assert_array_equal(before.frame.content, load(folder / "c.png", size=32).rgb)
    np.testing.assert_array_equal(before.frame.flow, FLOW)
    assert before.sha256 == FileReference.to(folder, (output.picture("w1.png")).read_bytes()).sha256
    assert frame_before(job.model_copy(update={"previous": None}), output, 32) == Before()
    plain = job.model_copy(update={"flow": None, "flow_sha256": ""})
    assert frame_before(plain, output, 32).frame.flow is None  # type: ignore[union-attr]


def with_content_before(job: Job, content: JobContent) -> Job:
    assert job.previous is not None
    previous = job.previous.model_copy(update={"content": content})
    return job.model_copy(update={"previous": previous})


def test_a_frame_gets_the_mask_of_the_frame_before_from_its_file_or_from_transparency(
    folder: Place,
) -> None:
    job, output = finished(folder)
    assert frame_before(job, output, 32).frame.mask is None  # type: ignore[union-attr]
    mask, pixels = folder / "mask.png", np.zeros((48, 64, 3), np.float32)
    pixels[:, :32] = 1
    write_atomic(mask, encode_png(pixels))
    known = JobMask(place=mask, sha256=examine(mask).sha256, regions=1)
    masked = with_content_before(job, job_content(folder / "c.png", known))
    in_file = frame_before(masked, output, 32).frame
    assert in_file is not None
    np.testing.assert_array_equal(as_pixels(in_file.mask), pixels)
    write_atomic(mask, encode_png(1 - pixels))
    with pytest.raises(PictureError, match=r"mask\.png: the picture changed while the batch ran"):
        frame_before(masked, output, 32)
    content = folder / "alpha.png"
    write_atomic(content, encode_png(random_pixels(48, 64, 8), pixels[..., 0]))
    masked = with_content_before(job, job_content(content, JobMask(regions=1)))
    transparent = frame_before(masked, output, 64).frame
    assert transparent is not None
    np.testing.assert_array_equal(transparent.mask, pixels[..., 0])
    # A transparent content is no mask unless its row says so.
    without = with_content_before(job, job_content(content))
    assert frame_before(without, output, 64).frame.mask is None  # type: ignore[union-attr]


def test_a_result_that_is_not_that_of_the_record_is_refused(folder: Place) -> None:
    job, output = finished(folder)
    write_atomic(output.picture("w1.png"), encode_png(1 - RESULT))
    with pytest.raises(FrameError, match=r"line 2, the frame before: found no result .*w1\.png"):
        frame_before(job, output, 32)
    remove(output.picture("w1.png"))
    with pytest.raises(FrameError, match="Run the batch again"):
        frame_before(job, output, 32)
    remove(output.records / key_of("a"))
    with pytest.raises(FrameError, match="line 2, the frame before"):
        frame_before(job, output, 32)


def test_a_flow_and_a_content_that_changed_are_refused(folder: Place) -> None:
    job, output = finished(folder)
    write_atomic(folder / "f.flo", encode_flow(FLOW + 1))
    with pytest.raises(FlowError, match=r"f\.flo: the flow changed while the batch ran"):
        frame_before(job, output, 32)
    write_atomic(folder / "f.flo", encode_flow(FLOW))
    write_atomic(folder / "c.png", encode_png(random_pixels(48, 64, 9)))
    with pytest.raises(PictureError, match="changed while the batch ran"):
        frame_before(job, output, 32)


def test_a_result_under_another_name_is_found_by_its_contents(tmp_path: Path) -> None:
    job, output = finished(tmp_path)
    expected = frame_before(job, output, 32)
    (tmp_path / "out" / "pictures" / "w1.png").rename(tmp_path / "out" / "pictures" / "x.png")
    found = frame_before(job, output, 32)
    assert found.sha256 == expected.sha256
