"""Packed little-endian arrays of the protocol, checked."""
import numpy as np

from .errors import SidecarError


def unpack_u32(data: bytes, what: str) -> np.ndarray:
    return _unpack(data, "<u4", what)


def unpack_f32(data: bytes, what: str) -> np.ndarray:
    return _unpack(data, "<f4", what)


def pack_u32(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<u4").tobytes()


def pack_f32(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _unpack(data: bytes, dtype: str, what: str) -> np.ndarray:
    if len(data) % 4:
        raise SidecarError("INVALID", f"{what}: {len(data)} bytes are not a whole number of 4-byte values")
    return np.frombuffer(data, dtype=dtype)
