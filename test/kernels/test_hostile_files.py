"""Files and configs that somebody made to hurt: each is refused with a reason, and nothing in it runs."""
import json
import pickle
import struct

import pytest
import torch
from tiny_model import TINY

from sidecar.architecture import parse_architecture
from sidecar.checkpoint import dump_weights, load_snapshot, load_weights
from sidecar.errors import SidecarError
from sidecar.export import export_directory
from sidecar.optimizer import read_settings
from sidecar.parameters import initialize
from sidecar.protocol import data_pb2


class Evil:
    """Unpickled it would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def refusal(call, *arguments) -> SidecarError:
    with pytest.raises(SidecarError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize("load", [load_weights, load_snapshot])
def test_a_pickle_is_refused_by_its_content_and_never_read(load, tmp_path):
    mark = tmp_path / "ran"
    torch.save({"weights": Evil(mark)}, tmp_path / "model.safetensors")  # renamed: a name proves nothing
    for data in [(tmp_path / "model.safetensors").read_bytes(), *(pickle.dumps(Evil(mark), protocol) for protocol in (2, 3, 4, 5))]:
        error = refusal(load, data)
        assert error.reason == "INVALID" and "only safetensors" in error.message
    assert refusal(load, pickle.dumps(Evil(mark), 0)).reason == "CORRUPT"
    assert not mark.exists()


def with_header(header) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize("header", [
    b"", b"[]", b"null", b"1", b"[" * 100_000, {"__metadata__": []}, {"__metadata__": {"stemma": "[]"}}, {"__metadata__": {"stemma": "[" * 50_000}},
    {"__metadata__": {"stemma": json.dumps({"format": "stemma-weights/1"})}}, {"__metadata__": {"stemma": json.dumps({"format": "stemma-weights/1", "config": 7})}},
])
def test_a_header_of_another_shape_is_a_damaged_file(header):
    assert refusal(load_weights, with_header(header)).reason in ("CORRUPT", "INVALID")


def test_a_config_larger_than_its_file_takes_no_memory():
    data = dump_weights(TINY, initialize(TINY, 1))
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    metadata = json.loads(header["__metadata__"]["stemma"])
    metadata["config"] = json.dumps({**json.loads(metadata["config"]), "vocab_size": 1 << 22, "hidden_size": 1 << 16})
    header["__metadata__"]["stemma"] = json.dumps(metadata)
    error = refusal(load_weights, with_header(header) + data[8 + length :])
    assert error.reason == "CORRUPT" and "parameters, the file holds" in error.message


@pytest.mark.parametrize("changed", [
    {"num_hidden_layers": 1 << 31}, {"max_position_embeddings": 1 << 40}, {"vocab_size": 10**30}, {"rms_norm_eps": "x"}, {"rope_theta": "x", "rope_parameters": None}, {"rope_parameters": [1]}, {"rope_parameters": "x"},
    {"initializer_range": -1}, {"tie_word_embeddings": "yes"}, {"rms_norm_eps": float("nan")}, {"head_dim": 1024, "max_position_embeddings": 1 << 20},
])
def test_a_config_out_of_range_names_its_field(changed):
    error = refusal(parse_architecture, json.dumps({**TINY.to_config(), **changed}))
    assert error.reason == "INVALID" and next(iter(changed)) in error.message


def test_a_config_nested_without_end_is_no_config():
    assert refusal(parse_architecture, "[" * 200_000).reason == "INVALID"


def test_a_model_larger_than_the_machine_is_refused_before_it_is_made():
    huge = parse_architecture(json.dumps({**TINY.to_config(), "vocab_size": 1 << 22, "hidden_size": 1 << 16}))
    error = refusal(initialize, huge, 1)
    assert error.reason == "INVALID" and "do not fit" in error.message


def test_settings_that_overflow_a_float_are_refused_before_the_state_changes():
    message = data_pb2.StepSettings(learning_rate=3e38, beta1=0.9, beta2=0.9, epsilon=1e-8)
    assert "learning_rate must be at most" in refusal(read_settings, message).message


def test_an_export_stays_below_its_root(tmp_path):
    root = tmp_path / "exports"
    root.mkdir()
    (root / "out").symlink_to("/etc")
    assert export_directory(str(root), str(root / "a")) == str((root / "a").resolve())
    for directory in ["/etc", str(root / ".." / "x"), str(root / "out"), str(root / "out" / "x"), "relative", "", f"{root}/a\0b", "/" + "x" * 10_000]:
        assert "directory" in refusal(export_directory, str(root), directory).message
    assert "--exports" in refusal(export_directory, "", str(root)).message
