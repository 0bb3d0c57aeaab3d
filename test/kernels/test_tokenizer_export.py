"""The tokenizer is a function of its corpus; an export is a directory transformers loads."""
import json

import pytest
import torch
from tiny_model import ODD, TINY

from sidecar.errors import SidecarError
from sidecar.export import export
from sidecar.parameters import initialize
from sidecar.tokenizer import train_tokenizer

SPECIAL = ["<pad>", "<unk>", "<end>", "<user>", "<assistant>"]
CORPUS = b"b a c a b a\n<user> d c e\nzebra <end>"


def test_special_tokens_come_first_then_words_by_frequency_then_by_letters():
    data, size, dropped = train_tokenizer(CORPUS, 100, SPECIAL)
    vocabulary = json.loads(data)["model"]["vocab"]
    assert sorted(vocabulary, key=vocabulary.get) == [*SPECIAL, "a", "b", "c", "d", "e", "zebra"]
    assert (size, dropped) == (11, 0)
    assert train_tokenizer(CORPUS, 100, SPECIAL)[0] == data
    assert train_tokenizer(b"\n".join(reversed(CORPUS.split(b"\n"))), 100, SPECIAL)[0] == data
    assert train_tokenizer(CORPUS, 7, SPECIAL)[1:] == (7, 4)


def test_unknown_words_and_special_tokens_encode():
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(train_tokenizer(CORPUS, 100, SPECIAL)[0].decode())
    assert tokenizer.encode("<user> a  xyz\nb <end>").ids == [3, 5, 1, 6, 2]
    assert tokenizer.decode([5, 6], skip_special_tokens=True) == "a b"


@pytest.mark.parametrize("arguments", [(b"\xff", 100, SPECIAL), (b"a", 5, SPECIAL), (b"a", 9, ["<pad>"]), (b"a", 9, ["<unk>", "<unk>"])])
def test_bad_tokenizer_requests_are_refused(arguments):
    with pytest.raises(SidecarError) as error:
        train_tokenizer(*arguments)
    assert error.value.reason == "INVALID"


@pytest.mark.parametrize("architecture", [TINY, ODD], ids=["tied", "untied"])
def test_an_export_loads_in_transformers_and_says_the_same(architecture, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from sidecar.checkpoint import dump_weights, load_weights

    template = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    flat = initialize(architecture, 5)
    files = export(architecture, flat, train_tokenizer(CORPUS, 100, SPECIAL)[0], template, str(tmp_path / "model"))
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"} <= set(files)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "a zebra"}], add_generation_prompt=True, return_dict=False)
    assert ids == [3, 5, 10, 4]
    assert (tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token) == ("<end>", "<pad>", "<unk>")
    assert model.config.eos_token_id == 2
    loaded, again = load_weights(dump_weights(architecture, flat))
    assert loaded == architecture and torch.equal(again, flat)
    assert torch.equal(model.get_input_embeddings().weight, again[: architecture.vocab_size * architecture.hidden_size].view(architecture.vocab_size, -1))


def test_an_export_refuses_what_it_cannot_do(tmp_path):
    tokenizer = train_tokenizer(CORPUS, 100, SPECIAL)[0]
    for arguments, reason in (((tokenizer, "", "relative/dir"), "INVALID"), ((b"{", "", str(tmp_path / "m")), "CORRUPT")):
        with pytest.raises(SidecarError) as error:
            export(TINY, initialize(TINY, 1), *arguments)
        assert error.value.reason == reason
