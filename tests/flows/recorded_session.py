"""A session of simulated frames, registered in a repository the way an agent's shards are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eucentric_core import Frame, Optics, Shard, sha256_file, utc_now, write_atomic
from eucentric_data_repository import Database, Registrar, RepositoryFolders, ingest_once
from eucentric_models import MATERIALS, ImagingConditions, simulate_frames
from eucentric_transfer import write_shard

from ..frames import frame_around

FRAMES_PER_SHARD = 8


def register_session(
    root: Path,
    session: str,
    frames: int,
    conditions: ImagingConditions,
    *,
    shape: tuple[int, int] = (256, 256),
    labelled: bool = True,
    seed: int = 0,
    database: Database | None = None,
) -> None:
    """Simulate, write shards and have the repository take them in, by default into its own catalogue."""
    _register(root, session, _simulated(session, frames, conditions, shape, labelled, seed), database)


def send_session(
    root: Path,
    session: str,
    frames: int,
    conditions: ImagingConditions,
    *,
    shape: tuple[int, int] = (256, 256),
    seed: int = 0,
) -> None:
    """Simulate, and put shards where a repository that runs looks for what has arrived."""
    _send(root, _simulated(session, frames, conditions, shape, True, seed), session)


def _simulated(
    session: str,
    frames: int,
    conditions: ImagingConditions,
    shape: tuple[int, int],
    labelled: bool,
    seed: int,
) -> list[list[Frame]]:
    simulated = simulate_frames("mos2", conditions, frames, shape, np.random.default_rng(seed))
    acquisitions = []
    for sequence, one in enumerate(simulated):
        held = [_frame(session, "haadf", sequence, one.frame, conditions)]
        if labelled:
            held.append(_frame(session, "truth", sequence, one.truth.astype(np.float32), conditions))
        acquisitions.append(held)
    return acquisitions


def register_arrays(
    root: Path,
    session: str,
    acquisitions: Sequence[Mapping[str, np.ndarray]],
    *,
    instrument: str = "microscope-1",
) -> None:
    """Have the repository take in a session of arrays, by stream, one mapping an acquisition."""
    _register(
        root,
        session,
        [
            [
                frame_around(array, sequence, stream, instrument=instrument, session=session)
                for stream, array in arrays.items()
            ]
            for sequence, arrays in enumerate(acquisitions)
        ],
    )


def _register(
    root: Path, session: str, acquisitions: Sequence[Sequence[Frame]], database: Database | None = None
) -> None:
    folders = _send(root, acquisitions, session)
    registrar = Registrar(database or folders.database, registered_by="repository-1")
    ingest_once(root, registrar)
    registrar.close()


def _send(root: Path, acquisitions: Sequence[Sequence[Frame]], session: str) -> RepositoryFolders:
    folders = RepositoryFolders(root)
    folders.make()
    for index, start in enumerate(range(0, len(acquisitions), FRAMES_PER_SHARD)):
        part = acquisitions[start : start + FRAMES_PER_SHARD]
        _arrive(folders, session, index, [frame for held in part for frame in held])
    return folders


def _frame(
    session: str, stream: str, sequence: int, array: np.ndarray, conditions: ImagingConditions
) -> Frame:
    size_m = conditions.pixel_size_m
    return frame_around(
        array,
        sequence,
        stream,
        pixel_size_m=size_m,
        instrument="microscope-1",
        session=session,
        optics=Optics(
            high_tension_v=60e3,
            beam_current_a=conditions.beam_current_a,
            convergence_angle_rad=conditions.convergence_angle_rad,
            defocus_m=conditions.defocus_m,
            field_of_view_m=size_m * 256,
            dwell_time_s=conditions.dwell_time_s,
        ),
        dose_e_per_a2=1.0,
        classes=() if stream == "haadf" else MATERIALS["mos2"].classes,
    )


def _arrive(folders: RepositoryFolders, session: str, index: int, frames: Sequence[Frame]) -> None:
    aside = folders.incoming / f".{index}.part"
    write_shard(aside, frames, software="tests")
    sequences = sorted({frame.header.sequence for frame in frames})
    shard = Shard(
        instrument=frames[0].header.instrument,
        session=session,
        index=index,
        first_sequence=sequences[0],
        last_sequence=sequences[-1],
        frames=len(sequences),
        streams=tuple(sorted({frame.header.stream for frame in frames})),
        sha256=sha256_file(aside),
        size_bytes=aside.stat().st_size,
        sealed_utc=utc_now(),
        simulated=True,
        material=frames[0].header.material,
    )
    aside.rename(folders.incoming / shard.file_name)
    write_atomic(
        folders.incoming / f"{shard.file_name}.json", shard.model_dump_json().encode(), durable=False
    )
