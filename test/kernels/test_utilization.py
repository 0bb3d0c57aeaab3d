"""GPU utilisation through NVML's own interface: here without a GPU, by a library that answers as nvml.h declares it."""
import shutil
import subprocess

import pytest

from sidecar.utilization import Utilization

NVML = """
#include <string.h>
typedef struct { unsigned gpu, memory; } rates_t;
static int device;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) { if (strcmp(uuid, "GPU-1234-abcd")) return 6; *handle = &device; return 0; }
int nvmlDeviceGetUtilizationRates(void *handle, rates_t *rates) { if (handle != &device) return 2; rates->gpu = 42; rates->memory = 7; return 0; }
"""


def test_nothing_is_known_without_the_library():
    assert Utilization("1234-abcd", "libno-such-nvml.so.1").ratio() is None


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_share_of_the_gpu_with_this_uuid_and_no_other(tmp_path):
    library = str(tmp_path / "libnvml.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=NVML, text=True, check=True)
    assert Utilization("1234-abcd", library).ratio() == 0.42
    assert Utilization("GPU-1234-abcd", library).ratio() == 0.42
    assert Utilization("of-another", library).ratio() is None
