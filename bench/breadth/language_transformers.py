"""Transformers that read and hear, from configurations of the library `transformers`, with random weights."""

from __future__ import annotations

from typing import Any

import transformers as hf
from torch import nn

from bench.breadth.vision_transformers import Named

VOCABULARY = 64
_BERT = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 32,
}  # fmt: skip


class Words(nn.Module):
    """Calls `model` with token numbers and a mask."""

    def __init__(self, model: nn.Module, name: str = "logits", mask: bool = True, **more: Any) -> None:
        super().__init__()
        self.model, self.name, self.mask, self.more = model, name, mask, more

    def forward(self, words: Any) -> Any:
        mask = {"attention_mask": (words != 1).long()} if self.mask else {}
        return getattr(self.model(input_ids=words, **mask, **self.more, return_dict=True), self.name)


def bert() -> nn.Module:
    return Words(hf.BertForSequenceClassification(hf.BertConfig(**_BERT)))


def distilbert() -> nn.Module:
    config = hf.DistilBertConfig(
        vocab_size=VOCABULARY, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=32
    )
    return Words(hf.DistilBertForSequenceClassification(config))


def roberta() -> nn.Module:
    return Words(hf.RobertaForTokenClassification(hf.RobertaConfig(**_BERT)))


def albert() -> nn.Module:
    config = hf.AlbertConfig(**{**_BERT, "embedding_size": 16})
    return Words(hf.AlbertForSequenceClassification(config))


def electra() -> nn.Module:
    config = hf.ElectraConfig(**{**_BERT, "embedding_size": 16})
    return Words(hf.ElectraForSequenceClassification(config))


def mobilebert() -> nn.Module:
    config = hf.MobileBertConfig(
        **{**_BERT, "embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16}
    )
    return Words(hf.MobileBertForSequenceClassification(config))


def deberta() -> nn.Module:
    config = hf.DebertaV2Config(
        **_BERT, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8
    )
    return Words(hf.DebertaV2ForSequenceClassification(config))


def mpnet() -> nn.Module:
    return Words(hf.MPNetForSequenceClassification(hf.MPNetConfig(**_BERT)))


def gpt2() -> nn.Module:
    config = hf.GPT2Config(
        vocab_size=VOCABULARY, n_positions=32, n_embd=32, n_layer=2, n_head=4, use_cache=False
    )
    return Words(hf.GPT2LMHeadModel(config), use_cache=False)


def opt() -> nn.Module:
    config = hf.OPTConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64,
        max_position_embeddings=32, word_embed_proj_dim=32,
    )  # fmt: skip
    return Words(hf.OPTForCausalLM(config), use_cache=False)


def llama() -> nn.Module:
    config = hf.LlamaConfig(**_BERT, num_key_value_heads=2)
    return Words(hf.LlamaForCausalLM(config), use_cache=False)


def t5() -> nn.Module:
    config = hf.T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    return Words(hf.T5EncoderModel(config), "last_hidden_state")


def wav2vec2() -> nn.Module:
    config = hf.Wav2Vec2Config(
        vocab_size=20, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        conv_dim=(16, 16, 16), conv_kernel=(10, 3, 3), conv_stride=(5, 2, 2), num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    return Named(hf.Wav2Vec2ForCTC(config), given="input_values")


def whisper() -> nn.Module:
    config = hf.WhisperConfig(
        vocab_size=VOCABULARY, num_mel_bins=16, d_model=32, encoder_layers=2, encoder_attention_heads=4,
        decoder_layers=1, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_source_positions=32,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    return Named(hf.WhisperModel(config).encoder, "last_hidden_state", given="input_features")


def audio_spectrogram() -> nn.Module:
    config = hf.ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_length=64,
        num_mel_bins=32,
    )
    return Named(hf.ASTForAudioClassification(config), given="input_values")
