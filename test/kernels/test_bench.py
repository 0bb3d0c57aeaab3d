"""The bench's own machinery: a reduced run on the CPU writes what a run on a GPU will."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ops import check, sanitized
from ops.sva_head.bench import draw_inputs

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: kernels/bench.py --all checks the CUDA kernels on one")


def bench(out: Path, *arguments: str) -> dict:
    ran = subprocess.run([sys.executable, str(KERNELS / "bench.py"), "--all", "--out", str(out), *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads((out / "bench.json").read_text())


def test_a_reduced_run_checks_measures_and_writes_both_files(tmp_path):
    result = bench(tmp_path / "out", "--device", "cpu", "--small")
    assert result["before"]["device"] == "cpu" and not any(o["problems"] for o in result["operators"].values())
    rows = result["operators"]["sva_head"]["rows"]
    assert {row["implementation"] for row in rows} == {"dense", "chunked", "compaction", "gather-cpu"}
    assert all(row["warm ms"] > 0 and row["cold ms"] > 0 and row["repetitions"] == 3 and row["unique"] <= row["V"] for row in rows)
    assert len(result["operators"]["topk_head"]["rows"]) == 3
    text = (tmp_path / "out" / "bench.md").read_text()
    assert text.count("\n| ") == len(rows) + 3 + 4 and "gather-cpu" in text


@gpu
def test_the_cuda_kernels_are_right_and_the_same_from_run_to_run(tmp_path):
    result = bench(tmp_path / "out", "--small")
    assert not any(o["problems"] for o in result["operators"].values())


def test_a_wrong_result_is_reported_and_not_timed(monkeypatch):
    from ops.sva_head import bench as module

    right = module.forward_backward

    def wrong(inputs, name, gradient):
        outputs = right(inputs, name, gradient)
        return outputs._replace(loss=outputs.loss * 1.1)

    monkeypatch.setattr(module, "forward_backward", wrong)
    assert any("loss is off" in problem for problem in module.check(torch.device("cpu"), True))


def test_the_sanitizers_verdict_tells_clean_from_found_from_refused():
    def says(text: str, code: int) -> str:
        return sanitized.verdict("memcheck", [sys.executable, "-c", f"print({text!r}); raise SystemExit({code})"])

    assert says("========= ERROR SUMMARY: 0 errors", 0) == "memcheck: clean (ERROR SUMMARY: 0 errors)"
    assert says("========= Invalid __global__ read\n========= ERROR SUMMARY: 1 error", 9).startswith("memcheck: FOUND (ERROR SUMMARY: 1 error)")
    refused = says("========= Error: Target application device is not supported", 0)
    assert refused.startswith("memcheck: not run: exit code 0") and "not supported" in refused


def test_zipf_draws_are_distinct_and_heavy_at_low_ids():
    ids = draw_inputs(torch.device("cpu"), torch.float32, 300, 8, 1000, 64, "zipf").ids
    assert all(len(set(row)) == 8 for row in ids.tolist())
    assert (ids < 10).float().mean() > 0.15 > (draw_inputs(torch.device("cpu"), torch.float32, 300, 8, 1000, 64, "uniform").ids < 10).float().mean()


def test_a_compilers_report_is_read_and_spills_are_problems():
    report = """ptxas info    : Compiling entry function '_ZN12_GLOBAL__N_16onlineIN6stemma8BFloat16ELi32ELi2EEEv7Problem' for 'sm_90a'
    0 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 161 registers, used 1 barriers, 16524 bytes smem
ptxas info    : Compiling entry function '_ZN12_GLOBAL__N_16selectIfEEv9Selection' for 'sm_90a'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 130 registers, used 1 barriers"""
    spilling, large = check.kernels_of(report)
    assert spilling == {"kernel": "online<bfloat16, 32, 2>", "registers": 161, "spilledBytes": 12, "sharedBytes": 16524}
    assert "spills 12 bytes" in check.problem_of(spilling) and "cannot be launched" in check.problem_of(large)
    assert check.problem_of(large | {"registers": 128}) is None
