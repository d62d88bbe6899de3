"""Pickles of arrays, and other pickles, which are refused with what Python would do with them.

`pickle.loads` of a hostile pickle leaves a mark, which is checked first, because a test with a
harmless pickle would prove nothing.
"""

import contextlib
import io
import os
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nst_core.networks.weight_files import WeightsError
from nst_core.networks.weight_files.pickled_arrays import read_pickled_arrays
from tests.weight_files import in_npy, python_2_pickle

KERNEL = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
BIAS = np.array([0.5, -200.25], np.float32)


def pickled(content: Any, protocol: int) -> bytes:
    return in_npy(pickle.dumps(np.array(content, object), protocol))


def read(tmp_path: Path, content: bytes) -> dict[str, list[np.ndarray]]:
    path = tmp_path / "weights.npy"
    path.write_bytes(content)
    return read_pickled_arrays(path)


def refusal(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(WeightsError) as refused:
        read(tmp_path, content)
    assert str(refused.value).startswith(f"{tmp_path / 'weights.npy'}: ")
    return str(refused.value)


def check_equal(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.dtype.byteorder == expected.dtype.byteorder
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_each_protocol_since_python_2_is_read(tmp_path: Path, protocol: int) -> None:
    found = read(tmp_path, pickled({"conv1": [KERNEL, BIAS], "fc6": (BIAS,)}, protocol))
    assert list(found) == ["conv1", "fc6"]
    assert [len(arrays) for arrays in found.values()] == [2, 1]
    check_equal(found["conv1"][0], KERNEL)
    check_equal(found["conv1"][1], BIAS)
    check_equal(found["fc6"][0], BIAS)


@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("protocol", [2, 5])
def test_names_of_old_and_new_numpy_are_recognized(
    tmp_path: Path, module: str, protocol: int
) -> None:
    content = pickle.dumps(np.array({"conv1": [KERNEL]}, object), protocol)
    for part in (b"multiarray", b"numeric"):
        for other in (b"numpy.core.", b"numpy._core."):
            # In protocol 5, each name follows its length.
            old, new = other + part, module.encode() + b"." + part
            if protocol == 5:
                old, new = bytes([len(old)]) + old, bytes([len(new)]) + new
            content = content.replace(old, new)
    frame = content.find(b"\x95")
    if frame >= 0:
        content = content[:frame] + content[frame + 9 :]
    assert module.encode() + b"." in content
    check_equal(read(tmp_path, in_npy(content))["conv1"][0], KERNEL)


def test_files_of_np_save_are_read(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.array({"conv1": [KERNEL, BIAS]}, object))
    check_equal(read(tmp_path, file.getvalue())["conv1"][0], KERNEL)


def test_python_2_pickles_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    layers = {
        "conv1": [np.asfortranarray(KERNEL), BIAS.astype(">f4")],
        "conv2": [np.frombuffer(bytes(range(256)) * 4, "<i8"), BIAS],
    }
    content = in_npy(python_2_pickle(layers))
    trusted = np.load(io.BytesIO(content), allow_pickle=True, encoding="latin1").item()
    found = read(tmp_path, content)
    assert list(found) == list(trusted) == ["conv1", "conv2"]
    for name, arrays in layers.items():
        for array, other, expected in zip(found[name], trusted[name], arrays, strict=True):
            check_equal(array, expected)
            np.testing.assert_array_equal(other, expected)


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(KERNEL),
        KERNEL.astype(">f4"),
        np.asfortranarray(KERNEL.astype(">f8")),
        KERNEL.astype(np.float16),
        KERNEL[:, ::2],
        np.float32([[np.nan, -np.inf]]),
        np.array([-(2**63), 2**63 - 1]),
        np.array([2**32 - 1], np.uint32),
        np.array([-128, 127], np.int8),
        np.array([True, False]),
        np.array(3.5),
    ],
    ids=str,
)
def test_layout_byte_order_and_type_are_kept(
    tmp_path: Path, protocol: int, array: np.ndarray
) -> None:
    check_equal(read(tmp_path, pickled({"conv1": [array]}, protocol))["conv1"][0], array)


# Pickles that would run code.


def string(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def stack_global(module: str, name: str) -> bytes:
    return string(module) + string(name) + b"\x93"


class Call:
    """An object that is pickled as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


HARMFUL: dict[str, tuple[Callable[[str], bytes], str]] = {
    "a call": (lambda touch: pickle.dumps(Call(os.system, touch)), "'posix.system'"),
    "protocol 0": (lambda touch: b"cos\nsystem\n(" + string(touch) + b"tR.", "'os.system'"),
    "eval": (
        lambda touch: pickle.dumps(Call(eval, f"__import__('os').system({touch!r})"), 2),
        "'__builtin__.eval'",
    ),
    "getattr": (
        lambda touch: (
            b"cbuiltins\ngetattr\n(cbuiltins\ngetattr\n(cos\npath\n"
            + (string("os") + b"tR" + string("system") + b"tR(" + string(touch) + b"tR.")
        ),
        "'builtins.getattr'",
    ),
    "a path of names": (
        lambda touch: b"\x80\4" + stack_global("os", "path.os.system") + string(touch) + b"\x85R.",
        "'os.path.os.system'",
    ),
    "among the arrays": (
        lambda touch: pickle.dumps(np.array({"conv1": [KERNEL, Call(os.system, touch)]}, object)),
        "'posix.system'",
    ),
    "among the names of layers": (
        lambda touch: pickle.dumps(np.array({Call(os.system, touch): [KERNEL]}, object)),
        "'posix.system'",
    ),
    "BUILD, whose state is a call": (
        lambda touch: (
            b"ctypes\nSimpleNamespace\n)R}(" + string("__setstate__") + b"cos\nsystem\nub"
            b"" + string(touch) + b"b."
        ),
        "'types.SimpleNamespace'",
    ),
    "INST": (lambda touch: b"(" + string(touch) + b"ios\nsystem\n.", "instruction INST"),
    "OBJ": (lambda touch: b"(cos\nsystem\n" + string(touch) + b"o.", "'os.system'"),
}


@pytest.mark.parametrize(("pickle_for", "expected"), HARMFUL.values(), ids=HARMFUL)
def test_code_is_refused_by_name_and_not_run(
    tmp_path: Path, pickle_for: Callable[[str], bytes], expected: str
) -> None:
    mark = tmp_path / "mark"
    content = pickle_for(f"touch '{mark}'")
    with contextlib.suppress(Exception):
        pickle.loads(content)
    assert mark.exists()
    mark.unlink()

    message = refusal(tmp_path, in_npy(content))
    assert expected in message
    assert "none was run" in message
    assert not mark.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("numpy.core", "multiarray._reconstruct"),
        ("numpy", "ndarray.__class__"),
        ("numpy", "core.multiarray._reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy", "load"),
        ("numpy.matrixlib.defmatrix", "matrix"),
        ("_codecs", "decode"),
        ("collections", "OrderedDict"),
        ("copyreg", "_reconstructor"),
        ("copyreg", "__newobj__"),
        ("builtins", "object"),
        ("nst_core.networks.weight_files.pickled_values", "PickledArray"),
        ("__main__", "x"),
        ("", ""),
    ],
)
def test_other_names_are_refused(tmp_path: Path, module: str, name: str) -> None:
    expected = f"names '{module}.{name}'"
    assert expected in refusal(tmp_path, in_npy(stack_global(module, name) + b"."))
    assert expected in refusal(tmp_path, in_npy(f"c{module}\n{name}\n.".encode()))


def test_names_in_messages_cannot_disturb_a_terminal(tmp_path: Path) -> None:
    assert "names 'os.\\x1b[2J'" in refusal(tmp_path, in_npy(stack_global("os", "\x1b[2J") + b"."))
    assert len(refusal(tmp_path, in_npy(stack_global("os", "x" * 10_000) + b"."))) < 500


@pytest.mark.parametrize(
    ("content", "instruction"),
    [
        (b"Pevil\n.", "PERSID"),
        (b"K\1Q.", "BINPERSID"),
        (b"\x82\1.", "EXT1"),
        (b"\x83\1\0.", "EXT2"),
        (b"\x84\1\0\0\0.", "EXT4"),
        (b"\x97.", "NEXT_BUFFER"),
        (b"\x98.", "READONLY_BUFFER"),
        (b"\x8f.", "EMPTY_SET"),
        (b"(\x91.", "FROZENSET"),
        (b"cnumpy\nndarray\n)\x81.", "NEWOBJ"),
        (b"cnumpy\nndarray\n)}\x92.", "NEWOBJ_EX"),
        (b"G" + bytes(8) + b".", "BINFLOAT"),
        (b"N2.", "DUP"),
        (b"N0.", "POP"),
    ],
)
def test_other_instructions_are_refused(tmp_path: Path, content: bytes, instruction: str) -> None:
    assert f"has the instruction {instruction}," in refusal(tmp_path, in_npy(content))


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    encode = b"c_codecs\nencode\n" + string("abc")
    assert "encoding" in refusal(tmp_path, in_npy(encode + string("rot13") + b"\x86R."))
    assert "no dictionary" in refusal(tmp_path, in_npy(encode + string("latin1") + b"\x86R."))


# Pickles that only look like those of arrays.

NEW = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R"


def dtype(code: str, order: str = "<", parts: bytes = b"NNN") -> bytes:
    return b"cnumpy\ndtype\n" + string(code) + b"\x85R(K\3" + string(order) + parts + b"tb"


def array(
    shape: bytes = b"K\3\x85",
    of: bytes = dtype("f4"),
    fortran: bytes = b"\x89",
    data: bytes = b"C\x0c" + bytes(12),
) -> bytes:
    return NEW + b"(K\1" + shape + of + fortran + data + b"tb"


def dictionary(*items: bytes, name: bytes = string("conv1")) -> bytes:
    entries = b"]}" + name + b"](" + b"".join(items) + b"esa"
    return NEW + b"(K\1)" + dtype("O8", "|") + b"\x89" + entries + b"tb."


def test_an_array_made_by_hand_is_read(tmp_path: Path) -> None:
    """Without this, the pickles of the next tests might be refused for any reason."""
    found = read(tmp_path, in_npy(dictionary(array(), array())))
    assert [item.tolist() for item in found["conv1"]] == [[0, 0, 0]] * 2


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (array(shape=b"K\4\x85"), "12 bytes for an array of 16"),
        (array(shape=b"K\2\x85"), "12 bytes for an array of 8"),
        (array(shape=b")"), "12 bytes for an array of 4"),
        (array(shape=b"J\xff\xff\xff\xffJ\xfd\xff\xff\xff\x86"), "impossible shape"),
        (array(shape=b"\x88K\3\x86"), "impossible shape"),
        (array(shape=string("ab")), "impossible shape"),
        (array(shape=b"J\xff\xff\xff\x7f" * 2 + b"\x86"), "12 bytes for an array of"),
        (array(shape=b"K\0\x8a\x10" + bytes(15) + b"\1\x86", data=b"C\0"), "parts|dimension"),
        (array(shape=b"N"), "parts do not fit"),
        (array(of=dtype("O8", "|")), "'O8', which are not plain numbers"),
        (array(of=dtype("V4", "|")), "'V4', which are not plain numbers"),
        (array(of=dtype("S12", "|")), "'S12', which are not plain numbers"),
        (array(of=dtype("M8")), "'M8', which are not plain numbers"),
        (array(of=dtype("c8")), "'c8', which are not plain numbers"),
        (array(of=dtype("f4,f4")), "'f4,f4', which are not plain numbers"),
        (array(of=dtype("x" * 10_000)), "'xxxxxxxxx', which are not plain numbers"),
        (array(of=dtype("f4", "@")), "not of plain numbers"),
        (
            array(of=dtype("f4", parts=b"N" + string("a") + b"\x85}")),
            "not of plain numbers",
        ),
        (array(of=dtype("f4") + b"}b"), "wrong place"),
        (array(of=b"cnumpy\ndtype\nK\1\x85R"), "name that is not text"),
        (array(of=b"N"), "parts do not fit"),
        (array(data=b"]"), "array without bytes"),
        (array(data=b"N"), "array without bytes"),
        (array(data=string("\N{EURO SIGN}" * 12)), "latin-1"),
        (NEW, "parts do not fit"),
        (NEW + b"}" + string("shape") + b"K\1sb", "wrong place"),
        (NEW + b"(K\1tb", "not enough values"),
        (array() + b")R", "wrong place"),
        (array() + b"K\1a", "wrong place"),
        (array() + string("a") + b"K\1s", "wrong place"),
        (b"cnumpy\nndarray\n", "item that is not an array"),
        (b"cnumpy\nndarray\nK\3\x85R", "wrong way"),
        (b"cnumpy\nndarray\n(K\1K\1tb", "wrong place"),
        (b"cnumpy\nndarray\n(N}" + string("shape") + b"K\1stb", "wrong place"),
        (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\n\x85R", "unknown kind"),
        (b"cnumpy.core.multiarray\n_reconstruct\n)R", "parts do not fit"),
        (b"]", "item that is not an array"),
        (b"K\1", "item that is not an array"),
        (b"h\x63", "parts do not fit"),
        (b"a" * 9, "parts do not fit|lacks a value"),
        (b"\x87", "lacks a value"),
        (b"u", "wrong place|parts do not fit"),
    ],
)
def test_a_malformed_array_is_refused(tmp_path: Path, item: bytes, expected: str) -> None:
    assert re.search(expected, refusal(tmp_path, in_npy(dictionary(item))))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (array() + b".", "no dictionary"),
        (b"}.", "no dictionary"),
        (NEW + b".", "parts do not fit"),
        (NEW + b"(K\1)" + dtype("O8", "|") + b"\x89]tb.", "not enough values"),
        (NEW + b"(K\1)" + dtype("O8", "|") + b"\x89](}}etb.", "too many values"),
        (NEW + b"(K\1)" + dtype("O8", "|") + b"\x89]]atb.", "parts do not fit"),
        (dictionary(name=b"K\1"), "name that is not text"),
        (dictionary(name=b")"), "name that is not text"),
        (b"NN.", "too many values"),
        (b".", "not enough values"),
        (b"", "exhausted"),
        (b"\xff.", "unknown"),
        (b"\x8d" + b"\xff" * 8 + b"a.", "expected"),
        (b"\x8e" + b"\xff" * 7 + b"\0a.", "expected"),
        (b"\x8b\xff\xff\xff\x7fa.", "expected"),
        (b"I" + b"9" * 5000 + b"\n.", "digits"),
    ],
)
def test_a_pickle_of_anything_else_is_refused(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    assert expected in refusal(tmp_path, in_npy(content))


def test_a_dictionary_of_dictionaries_is_refused(tmp_path: Path) -> None:
    """Under Python 2, the order of the inner dictionary, kernel and bias, is arbitrary."""
    content = pickled({"conv1": {"weights": KERNEL, "biases": BIAS}}, 2)
    assert "an entry that is not a list" in refusal(tmp_path, content)


def test_deep_nesting_does_not_end_the_process(tmp_path: Path) -> None:
    """Hashing such a key makes Python overflow its stack."""
    deep = b")" + b"\x85" * 300_000
    assert "not text" in refusal(tmp_path, in_npy(dictionary(array(), name=deep)))
    refusal(tmp_path, in_npy(deep + b"."))


# Files of other kinds.


@pytest.mark.parametrize(
    "content",
    [KERNEL, np.array(3.5), np.array([{"conv1": [KERNEL]}], object)],
    ids=["of numbers", "of one number", "of dictionaries"],
)
def test_a_plain_array_is_reported_as_such(tmp_path: Path, content: np.ndarray) -> None:
    file = io.BytesIO()
    np.save(file, content)
    assert "a plain array" in refusal(tmp_path, file.getvalue())


def test_a_header_is_not_evaluated(tmp_path: Path) -> None:
    for nested in (b"-" * 9000 + b"1", b"(" * 9000):
        content = b"\x93NUMPY\1\0" + struct.pack("<H", len(nested)) + nested
        assert "a plain array" in refusal(tmp_path, content)


def test_a_file_of_another_kind_is_reported_as_such(tmp_path: Path) -> None:
    content = pickled({"conv1": [KERNEL]}, 4)
    assert "not a NumPy file" in refusal(tmp_path, b"\x94" + content[1:])
    assert "cut off in its header" in refusal(tmp_path, content[:100])


def test_a_missing_file_is_reported_as_such(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        read_pickled_arrays(tmp_path / "none.npy")
    with pytest.raises(WeightsError, match="Is a directory"):
        read_pickled_arrays(tmp_path)


INTACT = {
    "Python 2": in_npy(python_2_pickle({"conv1": [KERNEL, BIAS], "fc6": [BIAS.astype(">f8")]})),
    "protocol 2": pickled({"conv1": [KERNEL, BIAS]}, 2),
    "protocol 4": pickled({"conv1": [np.asfortranarray(KERNEL), BIAS]}, 4),
    "protocol 5": pickled({"conv1": [KERNEL, BIAS]}, 5),
}


@pytest.mark.parametrize("content", INTACT.values(), ids=INTACT)
def test_a_file_truncated_anywhere_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "conv1" in read(tmp_path, content)
    for length in range(len(content)):
        refusal(tmp_path, content[:length])


@pytest.mark.parametrize("content", INTACT.values(), ids=INTACT)
def test_damage_is_refused_or_only_changes_numbers(tmp_path: Path, content: bytes) -> None:
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for place in draw.integers(len(content), size=draw.integers(1, 4)):
            damaged[place] = draw.integers(256)
        try:
            for arrays in read(tmp_path, bytes(damaged)).values():
                assert all(isinstance(item, np.ndarray) for item in arrays)
        except WeightsError:
            refused += 1
    assert 0 < refused < 400


def test_an_array_that_is_referenced_often_is_made_once(tmp_path: Path) -> None:
    found = read(tmp_path, pickled({"conv1": [KERNEL] * 1000}, 2))
    assert len({id(array) for array in found["conv1"]}) == 1
    check_equal(found["conv1"][999], KERNEL)
