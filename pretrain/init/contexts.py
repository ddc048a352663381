"""Chooses rows as contexts of new tokens, and pairs them with the base's pieces for the same texts."""

# R rows, T tokens of a row, U pieces of a row, V new vocabulary, N tokens that are read

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.packing import segments_of

MAX_SCANNED_ROWS = 200_000  # to choose from; 25 million tokens in rows of 128, read in half a minute
PIECES_PER_TOKEN = 1.5  # most pieces of a row for one of its tokens; both readers get the text that fits

Ids = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]


class PairedRows(NamedTuple):
    """Texts of rows as the student reads them, in new tokens, and as the teacher does, in the base's pieces."""

    ids_RT: Any
    segments_RT: Any
    pieces_RU: Any
    piece_segments_RU: Any
    last_pieces_RT: Any
    """Index in its row of the last piece of each token; 0 where it has none."""
    weights_RT: Any
    """1.0 for a token with pieces."""


class PieceReader:
    """Spells rows with the base's pieces of each token, which `pieces_of` has by id."""

    def __init__(self, pieces_of: list[list[int]], padding_id: int, base_padding_id: int, max_length: int) -> None:
        self._lengths_V = np.array([len(pieces) for pieces in pieces_of], np.int64)
        self._starts_V = np.cumsum(self._lengths_V) - self._lengths_V
        self._pieces = np.array([piece for pieces in pieces_of for piece in pieces], np.int32)
        self._padding_id, self._base_padding_id, self._max_length = padding_id, base_padding_id, max_length

    def read(self, ids_RT: Ids, segments_RT: Ids) -> PairedRows:
        """The rows and their pieces; what has no room in a row of pieces is padding for both.

        Of a text, at most `max_length` pieces are read.
        """
        num_rows, row_length = ids_RT.shape
        num_pieces = -(-round(row_length * PIECES_PER_TOKEN) // 8) * 8
        shape = (num_rows, num_pieces)
        paired = PairedRows(
            np.full_like(ids_RT, self._padding_id),
            np.zeros_like(segments_RT),
            np.full(shape, self._base_padding_id, np.int32),
            np.zeros(shape, np.int32),
            np.zeros_like(ids_RT),
            np.zeros(ids_RT.shape, np.float32),
        )
        for number in range(num_rows):
            self._read_row(ids_RT[number], segments_RT[number], paired, number)
        return paired

    def _read_row(self, ids_T: Ids, segments_T: Ids, paired: PairedRows, row: int) -> None:
        lengths_T = np.where(segments_T > 0, self._lengths_V[ids_T], 0)
        ends_T = np.cumsum(lengths_T)
        begins_T = np.diff(segments_T, prepend=0) != 0
        text_starts_T = np.maximum.accumulate(np.where(begins_T, ends_T - lengths_T, 0))
        fits_T = (segments_T > 0) & (ends_T - text_starts_T <= self._max_length)
        read = fits_T & (np.cumsum(np.where(fits_T, lengths_T, 0)) <= paired.pieces_RU.shape[1])
        ids_N, lengths_N = ids_T[read], lengths_T[read]
        ends_N = np.cumsum(lengths_N)
        total = int(lengths_N.sum())
        offsets = np.arange(total) - np.repeat(ends_N - lengths_N, lengths_N)
        count = len(ids_N)
        paired.ids_RT[row, :count], paired.segments_RT[row, :count] = ids_N, segments_T[read]
        paired.pieces_RU[row, :total] = self._pieces[np.repeat(self._starts_V[ids_N], lengths_N) + offsets]
        paired.piece_segments_RU[row, :total] = np.repeat(segments_T[read], lengths_N)
        paired.last_pieces_RT[row, :count] = np.maximum(ends_N - 1, 0)
        paired.weights_RT[row, :count] = lengths_N > 0


def choose_contexts(
    rows: PackedRows, is_new_V: npt.NDArray[np.bool_], contexts: int, max_rows: int, seed: int
) -> tuple[Numbers, Numbers]:
    """Numbers of at most `max_rows` rows, in random order, and how many of them hold each token (V,).

    Each new token first gets one row, where there is any, then a second, a fourth, and so on up to `contexts`, so that
    frequent tokens do not crowd out rare ones.
    """
    generator = np.random.default_rng([seed, 0x33])
    scanned = np.sort(generator.permutation(len(rows.ids))[:MAX_SCANNED_ROWS])
    tokens_of = {}
    for number in generator.permutation(scanned).tolist():
        tokens = np.unique(np.asarray(rows.ids[number]))
        tokens_of[number] = tokens[is_new_V[tokens]].astype(np.int64)
    counts_V, chosen = np.zeros(len(is_new_V), np.int64), dict[int, None]()
    for least in [*(2**power for power in range(contexts.bit_length()) if 2**power < contexts), contexts]:
        for number, tokens in tokens_of.items():
            if len(chosen) == max_rows:
                break
            if number not in chosen and (counts_V[tokens] < least).any():
                chosen[number] = None
                counts_V[tokens] += 1
    return generator.permutation(np.fromiter(chosen, np.int64, len(chosen))), counts_V


def pair_rows(rows: PackedRows, numbers_R: Numbers, reader: PieceReader) -> PairedRows:
    """Some rows as both read them."""
    ids_RT = np.asarray(rows.ids[numbers_R]).astype(np.int32)
    return reader.read(ids_RT, segments_of(ids_RT, rows.first_id, rows.padding_id))
