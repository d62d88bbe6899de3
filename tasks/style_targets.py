"""One style -> its targets, once per distinct style, kept for all rows, nights and workers."""

import time

from prefect import task

from nst_core.octaves import style_sides
from nst_core.places import Place
from tasks.jobs import Job, load_picture
from tasks.progress import RowProgress, tell
from tasks.records import FileReference, StyleRecord


@task(name="style-targets", task_run_name="style {job.style_name}")
def compute_style_targets(job: Job, folder: Place, devices: str) -> StyleRecord:
    """The Gram matrices of a job's style, in a safetensors file in the folder."""
    from nst_core.devices import on_asked_devices
    from nst_core.statistics import StyleTargets, style_targets

    settings = job.settings

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
        on_wait=lambda: tell(RowProgress(job.line, job.style_name, "waiting")),
    )
    file = FileReference.write(folder / f"{job.style_key}.safetensors", targets.to_bytes())
    return StyleRecord(key=job.style_key, file=file, seconds=seconds)
