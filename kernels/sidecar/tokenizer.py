"""A word-level tokenizer trained from a corpus: special tokens first in their order, then words by
falling frequency, equal ones in code point order. A function of the corpus alone."""
from collections import Counter
from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from .errors import SidecarError


def train_tokenizer(corpus: bytes, vocabulary_size: int, special_tokens: Sequence[str]) -> tuple[bytes, int, int]:
    """tokenizer.json, its vocabulary size, and the number of distinct words that found no place.

    The unknown token is the special token whose name contains "unk".
    """
    try:
        words = corpus.decode("utf-8").split()
    except UnicodeDecodeError as error:
        raise SidecarError("INVALID", f"the corpus is not UTF-8: {error}") from None
    specials = list(special_tokens)
    if len(set(specials)) != len(specials):
        raise SidecarError("INVALID", "a special token is named twice")
    unknown = next((token for token in specials if "unk" in token.lower()), None)
    if unknown is None:
        raise SidecarError("INVALID", "one special token must be the unknown token: its name contains 'unk'")
    if vocabulary_size <= len(specials):
        raise SidecarError("INVALID", f"vocabulary_size {vocabulary_size} leaves no room beside {len(specials)} special tokens")
    counts = Counter(words)
    for token in specials:
        counts.pop(token, None)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    kept = ranked[: vocabulary_size - len(specials)]
    vocabulary = {token: i for i, token in enumerate([*specials, *kept])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    return tokenizer.to_str(pretty=False).encode(), len(vocabulary), len(ranked) - len(kept)
