"""`tokenizer.json` of the golden models: WordPiece as BERT has it, byte-level BPE as RoBERTa has it.

Both deliberately bake in truncation to 8 tokens and padding to 8, as all-MiniLM-L6-v2 bakes in 128 where the model
takes 256: whoever believes them fails.
"""

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = """the of and in to is was at a london paris river big small how what where has have people city inhabitants
census capital tower water music note strong soft loud query passage find text word light house green sun moon star
year day night run walk write read open close one two three seven hundred thousand""".split()
PIECES = "ing ed er est ly s es tion ment able un re al ic ous ness ful".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"
# Cyrillic, Greek with both small sigmas, two ideographs, one kana, one emoji, a combining dot: the rest is [UNK].
SCRIPTS = "\u043f\u0440\u0438\u0432\u0435\u0442\u03b1\u03c3\u03c2\u4f60\u597d\u3053\U0001f600\u0307\u00df"


# RoBERTa's, in its order; <mask> comes last of all.
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def vocabulary():
    tokens = list(SPECIAL)
    for token in [*LETTERS, *PUNCTUATION, *SCRIPTS, *WORDS]:
        if token not in tokens:
            tokens.append(token)
    tokens += ["##" + piece for piece in [*LETTERS, *"\u0440\u0438\u0432\u0435\u0442\u03c3\u03c2\u0307", *PIECES]]
    return list(dict.fromkeys(tokens))


def truncation_and_padding(pad_id, pad_token):
    return {
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 8},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": pad_id,
            "pad_type_id": 0,
            "pad_token": pad_token,
        },
    }


def added_token(at, content, lstrip=False):
    return {
        "id": at,
        "content": content,
        "single_word": False,
        "lstrip": lstrip,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def word_piece(tokens, lowercase):
    special = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    second = lambda name: {"SpecialToken": {"id": name, "type_id": 1}}
    first_text = {"Sequence": {"id": "A", "type_id": 0}}
    ids = {token: at for at, token in enumerate(tokens)}
    return {
        "version": "1.0",
        **truncation_and_padding(0, "[PAD]"),
        "added_tokens": [added_token(ids[name], name) for name in SPECIAL],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]"), first_text, special("[SEP]")],
            "pair": [
                special("[CLS]"),
                first_text,
                special("[SEP]"),
                {"Sequence": {"id": "B", "type_id": 1}},
                second("[SEP]"),
            ],
            "special_tokens": {
                name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in ["[CLS]", "[SEP]"]
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }


def byte_characters():
    """The characters that byte-level BPE writes for the bytes 0 to 255."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    characters = {byte: chr(byte) for byte in printable}
    characters |= {byte: chr(0x100 + at) for at, byte in enumerate(others)}
    return [characters[byte] for byte in range(256)]


def byte_level_bpe():
    """RoBERTa's kind, with merges that lead to each word, from left to right, with a space before it."""
    tokens = [*ROBERTA_SPECIAL[:4], *byte_characters()]
    merges = []
    for word in [*WORDS[:40], *PIECES]:
        letters = [*word] if word in PIECES else ["\u0120", *word]
        for at in range(1, len(letters)):
            merge = ["".join(letters[:at]), letters[at]]
            if merge not in merges:
                merges.append(merge)
                tokens.append("".join(merge))
    tokens = [*dict.fromkeys(tokens), ROBERTA_SPECIAL[4]]
    ids = {token: at for at, token in enumerate(tokens)}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    file = {
        "version": "1.0",
        **truncation_and_padding(ids["<pad>"], "<pad>"),
        "added_tokens": [added_token(ids[name], name, lstrip=name == "<mask>") for name in ROBERTA_SPECIAL],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["</s>", ids["</s>"]],
            "cls": ["<s>", ids["<s>"]],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ids,
            "merges": merges,
        },
    }
    return tokens, file
