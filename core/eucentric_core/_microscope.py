"""What a procedure needs of an instrument: the verbs, and the frames they produce."""

from __future__ import annotations

from abc import abstractmethod

from ._frame import Frame
from ._instrument import Capabilities
from ._verbs import InstrumentVerbs

__all__ = ["Microscope"]


class Microscope(InstrumentVerbs):
    """The typed verbs, and a way to have the frame that a scan produced.

    Montage, drive-to-feature and other procedures are written against this class. They run beside the
    instrument or from far away unchanged.
    """

    capabilities: Capabilities

    @abstractmethod
    def scan(
        self, *, height_px: int = 512, width_px: int = 512, dwell_time_s: float = 1e-6, stream: str = "haadf"
    ) -> Frame:
        """Scan one frame and wait for its array, shape `(height_px, width_px)` unless the file decides.

        Raises:
            TransportError: the frame did not arrive in time.
            EucentricError: the instrument refused or failed.
        """
