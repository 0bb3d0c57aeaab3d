"""How much memory this machine has left: what comes from outside must not ask for more."""


def available_bytes() -> int:
    """As the kernel estimates it; without bound where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return 1 << 62
