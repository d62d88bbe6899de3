"""One style -> its targets, once per distinct style, kept for all rows, nights and workers."""

import time
from pathlib import Path

from prefect import task

from nst_core.networks import load_encoder
from nst_core.octaves import style_sides
from nst_core.pictures import load, write_whole
from tasks.jobs import Job
from tasks.records import FileReference, StyleRecord


@task(name="style-targets", task_run_name="style {job.style.name}")
def compute_style_targets(job: Job, folder: Path) -> StyleRecord:
    """The Gram matrices of a job's style, in a safetensors file in the folder."""
    from nst_core.devices import lend_device
    from nst_core.statistics import style_targets

    started = time.perf_counter()
    settings = job.settings
    style = load(job.style, size=max(style_sides(settings)), max_pixels=job.max_pixels)
    with lend_device():
        targets = style_targets(load_encoder(settings.encoder), style.rgb, settings)
    path = folder / f"{job.style_key}.safetensors"
    write_whole(path, targets.to_bytes())
    return StyleRecord(
        key=job.style_key,
        file=FileReference.to(path),
        seconds=time.perf_counter() - started,
    )
