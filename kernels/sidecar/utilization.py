"""How busy the GPU is, as NVIDIA's management library says: it comes with the driver, so it is asked directly and no package is needed."""

import ctypes

_LIBRARY = "libnvidia-ml.so.1"


class _Rates(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Utilization:
    """Of one GPU. Without the library, or where that does not know the GPU (a MIG slice), nothing is known."""

    def __init__(self, uuid: str, library: str = _LIBRARY):
        self._handle = ctypes.c_void_p()
        try:
            self._nvml = ctypes.CDLL(library)
        except OSError:
            self._nvml = None
            return
        name = uuid.removeprefix("GPU-")
        if self._nvml.nvmlInit_v2() != 0 or self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{name}".encode(), ctypes.byref(self._handle)) != 0:
            self._nvml = None

    def ratio(self) -> float | None:
        """Share of the driver's last sample period, a second or less, in which any kernel ran, of any process."""
        rates = _Rates()
        if self._nvml is None or self._nvml.nvmlDeviceGetUtilizationRates(self._handle, ctypes.byref(rates)) != 0:
            return None
        return rates.gpu / 100
