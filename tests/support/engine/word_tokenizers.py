"""Tokenizers of a few words, in the form in which a press registers them."""

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from common.models.text_encoders import TextEncoder


def build_word_encoder(limit: int, *words: str) -> TextEncoder:
    """Return an encoder that reads *limit* words, and cannot tell those apart that are not among *words*."""
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(("?", *words))}, unk_token="?"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return TextEncoder.of(tokenizer.to_str(), limit)
