"""One style -> its targets, once per distinct style, kept for all rows, nights and workers."""

import time

from prefect import task

from nst_core.octaves import style_sides
from nst_core.places import Place
from tasks.jobs import Job, load_picture
from tasks.records import FileReference, StyleRecord
from tasks.row_report import RowReport, wait_for_device


@task(name="style-targets", task_run_name="style {job.style_name}")
def compute_style_targets(job: Job, folder: Place, output: Place, devices: str) -> StyleRecord:
    """The Gram matrices of a job's style, in a safetensors file.

    Args:
        job: the first row that needs them.
        folder: for the file.
        output: the batch's output folder, by which it learns that it is to stop.
        devices: those that may be used, as the user asked for them.

    Raises:
        StoppedError: the batch was stopped while this waited for a device.
    """
    from nst_core.devices import on_asked_devices
    from nst_core.statistics import StyleTargets, style_targets

    settings, report = job.settings, RowReport(job)

    def compute(_: str) -> tuple[StyleTargets, float]:
        started = time.perf_counter()
        style = load_picture(
            job.style,
            job.style_sha256,
            size=max(style_sides(settings)),
            enlarge=False,
            max_pixels=job.max_pixels,
        )
        targets = style_targets(job.encoder.load(), style.rgb, settings)
        return targets, time.perf_counter() - started

    targets, seconds = on_asked_devices(
        devices,
        compute,
        on_wait=lambda holder: wait_for_device(report, holder, output),
    )
    file = FileReference.write(folder / f"{job.style_key}.safetensors", targets.to_bytes())
    return StyleRecord(key=job.style_key, file=file, seconds=seconds)
