"""The glossary: the words of attention, each in two or three sentences and with a command that shows it."""

from collections.abc import Iterator
from difflib import get_close_matches

from msgspec import Struct


class GlossaryEntry(Struct, frozen=True):
    """A word, its meaning, the command that shows it, and other names for it."""

    word: str
    meaning: str
    command: str
    aliases: tuple[str, ...] = ()

    @property
    def gist(self) -> str:
        """Return the first sentence of the meaning."""
        return self.meaning.partition(". ")[0].rstrip(".") + "."


_HER = 'attnviz explain "Mary lost her keys" --token her'
_ORDER = 'attnviz explain "The old man saw the young woman" --token 1 --layer 2 --head 5'
_CAR = 'attnviz explain "The red car is fast" --model builtin/translator --token la'
_DOG = 'attnviz explain "The dog saw the cat" --model builtin/decoder --token saw'

GLOSSARY = (
    GlossaryEntry(
        "attention",
        "Attention lets each token take something from all tokens that it may see, mostly itself included. Its query "
        "is compared with their keys, the scores become weights, and their values are added up in these proportions: "
        "softmax(Q Kᵀ / √d_k) V, with a row of Q, K and V for each token.",
        "attnviz explain --toy",
        ("scaled dot-product attention", "dot-product attention", "attention mechanism"),
    ),
    GlossaryEntry(
        "token",
        "A token is what a model reads at a time: a word, or a piece of a rare one. A model has a fixed list of them, "
        "and a vector for each.",
        'attnviz show "Rose table lion green" --layer 0 --head 0',
    ),
    GlossaryEntry(
        "special token",
        "A special token is no word: it marks where a text begins ([CLS], [START]) or ends ([SEP], [END]), or a word "
        "that is hidden ([MASK]). A model is trained with them, and heads often leave on them what weight nothing else "
        "gets. --no-special leaves them out.",
        'attnviz show "Mary lost her keys" --no-special',
        ("[CLS]", "[SEP]", "[START]", "[END]", "[MASK]", "CLS", "SEP", "special tokens"),
    ),
    GlossaryEntry(
        "embedding",
        "An embedding is the list of numbers, a vector, that a token starts with. It is learned: tokens that are used "
        "in similar ways tend to have similar embeddings. The length of a vector is the root of the sum of its squared "
        "numbers.",
        f"{_HER} --steps 1",
        ("vector", "word embedding", "token embedding"),
    ),
    GlossaryEntry(
        "matrix",
        "A matrix is a table of numbers that turns a vector into another, W x: each of its rows is multiplied by x, "
        "number by number, and the products are added. Kᵀ is K with rows and columns exchanged. A bias is a "
        "vector that is added to the result, W x + b.",
        f"{_HER} --steps 3",
        ("matrices", "map", "linear map", "projection", "bias", "b", "b_Q", "W"),
    ),
    GlossaryEntry(
        "training",
        "Training sets the numbers of a model, its parameters, such as embeddings and W_Q. They begin at random. Then "
        "each is changed a little, again and again, in the direction (the gradient) in which the model does better on "
        "examples.",
        f"{_HER} --untrained --only-what-if",
        ("learning", "parameters", "gradient", "trained", "untrained"),
    ),
    GlossaryEntry(
        "query",
        "The query of a token says what this token is looking for, like the words that you type into a search box. It "
        "is made from the vector of the token by a learned matrix, q = W_Q x (some models add a learned bias b_Q), and "
        "compared with the keys of all tokens.",
        f"{_HER} --steps 3",
        ("q", "W_Q", "query vector"),
    ),
    GlossaryEntry(
        "key",
        "The key of a token says what it can be found by, like the title of a video. It is made by another learned "
        "matrix, k = W_K x. The better it fits a query, the larger the score of the two.",
        f"{_HER} --steps 4",
        ("k", "W_K", "key vector"),
    ),
    GlossaryEntry(
        "value",
        "The value of a token is what it passes on when it is looked at: if the key is the title, the value is the "
        "video. It is made by a third matrix, v = W_V x. So one vector x has three roles: it asks as a query, is found "
        "as a key, and gives as a value.",
        f"{_HER} --steps 9",
        ("v", "W_V", "value vector"),
    ),
    GlossaryEntry(
        "score",
        "A score says how well a key fits a query: it is their dot product, q · k. It can be any number, and softmax "
        "turns the scores of a query into weights.",
        f"{_HER} --steps 5",
        ("dot product", "attention score", "similarity"),
    ),
    GlossaryEntry(
        "logits",
        "Logits are numbers before softmax makes shares of them. In attention these are the scores; at the end of a "
        "model they are one number for each token that it knows, of which softmax makes the probability that this "
        "token comes next.",
        f"{_HER} --steps 8",
        ("logit",),
    ),
    GlossaryEntry(
        "scale",
        "Scores are divided by √d_k, where d_k is how many numbers a key has. A score is a sum of d_k products: if "
        "the numbers of q and k are independent, with mean 0 and standard deviation 1, its standard deviation is √d_k. "
        "Undivided, softmax would give nearly all weight to one key, and training would learn slowly.",
        f"{_HER} --no-scale --only-what-if",
        ("√d_k", "d_k", "scaling"),
    ),
    GlossaryEntry(
        "softmax",
        "Softmax turns scores into weights: e to the power of each score, divided by the sum of all these. No weight "
        "is negative, all together are 1, and a larger score gets a larger weight.",
        f"{_HER} --steps 8",
    ),
    GlossaryEntry(
        "temperature",
        "A temperature is a number that scores are divided by before softmax. Above 1 it makes weights more alike, "
        "below 1 it gives the largest still more. The scale √d_k works as one in each head. A model that writes may "
        "have another at its end: the higher it is, the more often it takes a less likely token.",
        f"{_HER} --no-scale --only-what-if",
    ),
    GlossaryEntry(
        "weight",
        "An attention weight says how much of a value a query takes. The weights of a query sum to 1. Tables and "
        "pictures of a head have a row for each query and a column for each key. Where one query is explained, its "
        "weights stand below each other, one for each key.",
        'attnviz show "Mary lost her keys" --layer 1 --head 1',
        ("attention weight", "attention matrix", "attention map", "attention pattern"),
    ),
    GlossaryEntry(
        "attention sink",
        "An attention sink is a token, mostly the first one or a separator, on which queries leave their weight when "
        "nothing else fits: weights must sum to 1, so what is not needed has to go somewhere. attnviz heads calls a "
        "head a sink if the first key gets more than 0.3 of the weight, on average over all queries.",
        'attnviz heads "Mary lost her keys" --stat first --stat sink',
        ("sink",),
    ),
    GlossaryEntry(
        "importance",
        "A large weight does not make a token important for what a model says. What a token adds is its weight times "
        "its value, which may be short; what others add may cancel it; and later layers may not use it. So weights "
        "tell what a head reads, and only a change tells what counts: another word in the text, or no such head "
        "(Jain and Wallace 2019; Kobayashi et al. 2020).",
        f"{_HER} --steps 10",
        ("explanation", "attribution", "relevance", "does attention explain"),
    ),
    GlossaryEntry(
        "mask",
        "A mask hides keys from a query: their scores become −∞ before softmax. Because e^−∞ = 0, their weights are 0 "
        "and the others still sum to 1. A causal mask hides what comes after a token, because a model that predicts "
        "the next token could otherwise copy the answer.",
        f"{_DOG} --no-mask --only-what-if",
        ("causal", "causal mask", "attention mask"),
    ),
    GlossaryEntry(
        "window",
        "A sliding window is a mask that hides all keys but the nearest ones, so that a long text costs less. Another "
        "thing by that name is the stretch of a text that a model reads at a time: attnviz show --window 512:256 reads "
        "a text that is too long in such stretches, which overlap.",
        "attnviz explain --toy --mask window --steps 8",
        ("sliding window", "sliding-window attention", "context window"),
    ),
    GlossaryEntry(
        "self-attention",
        "In self-attention, queries, keys and values are made from the same tokens: a text looks at itself.",
        f"{_HER} --steps 3,4",
        ("intra-attention",),
    ),
    GlossaryEntry(
        "cross-attention",
        "In cross-attention, the queries are made from one text and the keys and values from another: a decoder that "
        "writes a translation looks at the source, which an encoder has read.",
        f"{_CAR} --steps 3,4",
        ("encoder-decoder attention",),
    ),
    GlossaryEntry(
        "masked attention",
        "Masked attention is attention in which a mask hides some keys. Mostly it is the self-attention of a decoder, "
        "where a causal mask lets each token see only itself and those before it.",
        f"{_DOG} --steps 7",
        ("causal attention", "causal self-attention", "masked self-attention"),
    ),
    GlossaryEntry(
        "head",
        "A head is one attention with its own W_Q, W_K and W_V. It gives each token one set of weights, so it can "
        "look for one thing at a time: a verb for its object, a pronoun for its noun.",
        'attnviz show "Mary lost her keys" --token her',
        ("attention head",),
    ),
    GlossaryEntry(
        "multi-head attention",
        "A layer has several heads to look for several things at once. Their results are put side by side "
        "(concatenated), and W_O maps them back to the width of the model. How many share the width is a choice: with "
        "more heads, parameters stay the same and operations nearly so, but each has fewer numbers for a key, and N×N "
        "weights of its own.",
        f"{_HER} --steps 11",
        ("multi-head", "multihead", "MHA", "number of heads", "concatenation", "output projection", "W_O"),
    ),
    GlossaryEntry(
        "grouped-query attention",
        "In grouped-query attention (GQA), several heads share the same keys and values, and each has queries of its "
        "own. In multi-query attention (MQA) all heads of a layer share one set. Fewer keys and values are computed "
        "and kept, so the KV cache takes less memory; each head still has weights of its own.",
        "attnviz cost --d-model 4096 --heads 32 --key-heads 8 --layers 32",
        ("GQA", "multi-query attention", "MQA", "grouped-query", "multi-query"),
    ),
    GlossaryEntry(
        "position",
        "Attention does not know the order of tokens: it adds up values, and a sum is the same in any order. So models "
        "add to each embedding a vector for its place, from a learned table or from sine and cosine waves of several "
        "lengths; or they rotate queries and keys (RoPE), or add to scores a bias for the distance (fixed in ALiBi, "
        "learned in T5). Cross-attention reads vectors that already hold their places.",
        f"{_ORDER} --no-positions --permute --only-what-if",
        ("positional encoding", "positional embedding", "learned positions", "learned", "sinusoidal", "alibi", "order"),
    ),
    GlossaryEntry(
        "rotary positions",
        "Rotary positions (RoPE) rotate pairs of numbers of each query and key by an angle that grows with the "
        "position. Mostly the numbers i and i + d_k/2 are a pair, and the angle is position · 10000^(−2i/d_k). So a "
        "score depends on the distance between query and key; values are not rotated.",
        "attnviz explain --toy --positions rotary --steps 4,5",
        ("rotary", "rope", "rotary embedding"),
    ),
    GlossaryEntry(
        "additive attention",
        "Additive scores put query and key through a small network, u · tanh(W_q q + W_k k), whose W_q, W_k and u are "
        "learned (tanh brings any number between −1 and 1); multiplicative scores are products, q · k. Products are "
        "cheaper for any text: one product of matrices, where additive scores hold d numbers for each pair of tokens, "
        "about d times the memory. Products of wide vectors must be divided by √d_k.",
        "attnviz explain --toy --scores dot,additive --only-what-if",
        ("additive", "multiplicative", "multiplicative attention", "bahdanau", "luong"),
    ),
    GlossaryEntry(
        "hard attention",
        "Hard attention takes the one value whose key fits best, as a dictionary does: its weights are one-hot, a "
        "single 1 among zeros. Soft attention, the usual kind, is a dictionary that mixes: it takes each value in "
        "proportion to its weight, so that training can follow small changes. Local attention is soft, but sees only "
        "keys near the query.",
        f"{_HER} --hard --only-what-if",
        ("soft attention", "local attention", "soft", "hard", "local", "one-hot", "soft dictionary", "dictionary"),
    ),
    GlossaryEntry(
        "layer",
        "A layer is attention and then a feed-forward network. Layers follow each other, and each adds to what the "
        "one before it has left.",
        'attnviz show "Mary lost her keys" --layer 1',
    ),
    GlossaryEntry(
        "transformer",
        "A transformer is a stack of layers, each of attention and a feed-forward network, between two tables: the "
        "embeddings that tokens start with, and the scores of what comes out. It may be an encoder, a decoder, or "
        "both.",
        'attnviz show "Mary lost her keys"',
    ),
    GlossaryEntry(
        "encoder",
        "An encoder reads a whole text, and gives a vector for each token: each may look at all tokens, before and "
        "after it. It serves to understand a text, or to translate it with a decoder behind it.",
        'attnviz show "Mary lost her keys" --layer 1 --head 1',
    ),
    GlossaryEntry(
        "decoder",
        "A decoder writes a text, one token after the other: each token sees only itself and those before it, and the "
        "vector that comes out predicts the next one. Behind an encoder, it also looks at the text that was read.",
        'attnviz show "The dog saw the cat" --model builtin/decoder --layer 0 --head 1',
    ),
    GlossaryEntry(
        "norm",
        "A norm brings a vector to a standard size before it is read, so that sums do not grow from layer to layer. "
        "LayerNorm takes the mean away and divides by the standard deviation; RMSNorm divides by the root of the mean "
        "square. Both then multiply each number by a learned one.",
        f"{_HER} --steps 2",
        ("layernorm", "layer norm", "rmsnorm", "normalization"),
    ),
    GlossaryEntry(
        "residual stream",
        "The residual stream is the vector of a token on its way through all layers. Each layer reads it, and adds "
        "its result to it.",
        f"{_HER} --steps 2,12",
        ("residual", "residual connection", "skip connection"),
    ),
    GlossaryEntry(
        "feed-forward network",
        "The feed-forward network (MLP) of a layer works on each token by itself, after attention: one matrix makes "
        "the vector wider, a function changes each number, and a second matrix makes it narrow again.",
        f"{_HER} --steps 13",
        ("feed-forward", "mlp", "ffn"),
    ),
    GlossaryEntry(
        "most telling",
        "The most telling link is the one that says most about what the heads are for; attnviz show prints its head in "
        "numbers. A link counts for how far its weight exceeds habit: the mean weight at its distance, or of its key "
        "if that is more. A pronoun that looks back counts twice, a small word such as 'the' a tenth, a special token "
        "not at all. The two words come first for which this adds up to most in three heads.",
        'attnviz show "Mary lost her keys"',
        ("telling", "most telling head", "most telling link"),
    ),
    GlossaryEntry(
        "entropy",
        "The entropy of weights says how spread out they are. It is 0 if one key has all the weight, and log₂ n bits "
        "if n keys share it equally. attnviz heads gives it in nats, as papers do: a bit is 0.69 nats.",
        'attnviz heads "Mary lost her keys" --stat entropy',
    ),
    GlossaryEntry(
        "induction",
        "An induction head looks for what came next the last time: after A B … A it looks at B. It lets a model copy.",
        'attnviz show "Rose table lion green. Rose table lion green." --model builtin/decoder --layer 1 --head 3',
        ("induction head",),
    ),
    GlossaryEntry(
        "cost",
        "Every query meets every key. So with N tokens, the time for scores and sums of values grows as N², and so "
        "does memory where all N×N weights are held: twice the tokens take four times as much. What is done for each "
        "token alone, such as W_Q x, grows as N.",
        "attnviz cost --tokens 256",
        ("time", "memory", "quadratic", "n²"),
    ),
    GlossaryEntry(
        "KV cache",
        "The KV cache keeps the keys and values of all tokens so far while a decoder writes, so that none is computed "
        "twice: a new token needs only its own query, key and value. It grows with the text, by one key and one value "
        "for each token, layer and head of keys.",
        "attnviz cost --model builtin/decoder",
        ("KV", "key-value cache", "key/value cache", "cache"),
    ),
    GlossaryEntry(
        "FlashAttention",
        "FlashAttention computes the same weights in tiles and never holds all N×N of them, so memory grows as N "
        "instead of N². A tile is the weights of some queries for some keys. The time still grows as N², because every "
        "query still meets every key; it is faster only because less is moved to and from memory.",
        f"{_HER} --online 2 --only-what-if",
        ("flash", "flash attention", "online softmax", "tile"),
    ),
)


def _normalize(word: str) -> str:
    return word.casefold().replace("-", " ").strip()


def _make_singular(name: str) -> str:
    return f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")


def _list_names() -> Iterator[tuple[str, GlossaryEntry]]:
    for entry in GLOSSARY:
        yield from ((_normalize(name), entry) for name in (entry.word, *entry.aliases))


_BY_NAME = dict(_list_names())


def look_up(word: str) -> GlossaryEntry | None:
    """Return the entry of a word, in any case and number, with or without its hyphen; None if there is none."""
    name = _normalize(word)
    return _BY_NAME.get(name) or _BY_NAME.get(_make_singular(name))


def find_near(word: str) -> GlossaryEntry | None:
    """Return the entry of the name that is spelled most like a word; None if none is near."""
    near = get_close_matches(_make_singular(_normalize(word)), _BY_NAME, n=1, cutoff=0.8)
    return _BY_NAME[near[0]] if near else None
