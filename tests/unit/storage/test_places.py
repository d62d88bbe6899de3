"""Places: paths, URLs, and which parts of them may be shown."""

from pathlib import Path

import fsspec
import pytest
from pydantic import BaseModel, ConfigDict
from upath import UPath

from nst_core.storage.places import (
    PlaceError,
    PlaceField,
    join,
    name_of,
    place,
    redacted,
    reject_signed_url,
)
from tests.fuzzing import bounded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b.png", Path("a/b.png")),
        ("/a/b.png", Path("/a/b.png")),
        ("file:///a/b%20c.png", Path("/a/b c.png")),
        ("C:\\a", Path("C:\\a")),
        ("odd://name", None),
    ],
)
def test_a_place_on_this_machine_is_a_path(text: str, expected: Path | None) -> None:
    if expected is None:
        with pytest.raises(PlaceError, match="expected a path or a URL that begins with s3"):
            place(text)
    else:
        assert place(text) == expected


@pytest.mark.parametrize("text", ["s3://bucket/a/b#1?.png", "https://host/a.png"])
def test_a_url_is_not_changed(text: str) -> None:
    named = place(text)
    assert isinstance(named, UPath)
    assert not isinstance(named, Path)
    assert str(named) == text
    assert place(named) is named


def test_the_scheme_may_be_in_uppercase() -> None:
    assert str(place("S3://Bucket/A.png")) == "s3://Bucket/A.png"


@pytest.mark.parametrize(
    "text",
    [
        *("s3://key:hush@bucket/a", "s3://hush@bucket/a", "https://me:hush@host/a.png"),
        *("HTTPS://me:hush@host/a.png", "https://me:hu/sh-hush@host/a.png"),
        "abfss://box:hush@account.dfs.core.windows.net/a",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(PlaceError, match="found credentials in the URL") as refused:
        place(text)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        *("s3://bucket/photos@home/a.png", "https://host:80/@me/a.png"),
        "https://host/?mail=me@home",
    ],
)
def test_an_at_sign_in_a_name_is_no_credential(text: str) -> None:
    assert str(place(text)) == text


def test_azure_has_containers_before_its_at_sign() -> None:
    with pytest.raises(PlaceError, match=r"\[az\]"):
        place("abfss://box@account.dfs.core.windows.net/a")


@pytest.mark.parametrize("named", ["s3:/bucket/a", Path("s3://bucket/a"), Path("HTTPS://host/a")])
def test_a_url_that_became_a_path_is_refused(named: str | Path) -> None:
    with pytest.raises(PlaceError, match="a URL needs two slashes"):
        place(named)


def test_signed_urls_are_rejected() -> None:
    for text in ("a?b.csv", "s3://bucket/a?b.csv", "https://host/m.csv"):
        assert reject_signed_url(place(text)) == place(text)
    with pytest.raises(PlaceError, match="found a signed URL") as refused:
        reject_signed_url(place("https://host/m.csv?sig=hush"))
    assert "hush" not in str(refused.value)


def test_a_missing_library_is_reported_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(scheme: str) -> None:
        raise ImportError(f"no {scheme}")

    monkeypatch.setattr(fsspec, "get_filesystem_class", absent)
    with pytest.raises(PlaceError, match=r"pip install '.\[s3\]'"):
        place("s3://bucket/a")
    with pytest.raises(PlaceError, match=r"pip install '.\[gs\]'"):
        place("gs://bucket/a")


@pytest.mark.parametrize(
    ("folder", "text", "expected"),
    [
        ("in", "a.png", "in/a.png"),
        ("in", "../a.png", "in/../a.png"),
        ("in", "/a.png", "/a.png"),
        ("in", "s3://bucket/a.png", "s3://bucket/a.png"),
        ("s3://bucket/in", "a.png", "s3://bucket/in/a.png"),
        ("s3://bucket/in", "../b/a.png", "s3://bucket/b/a.png"),
        ("s3://bucket/in", "/a.png", "/a.png"),
        ("s3://bucket/in", "s3://other/a.png", "s3://other/a.png"),
        ("https://host/in", "deep/a.png", "https://host/in/deep/a.png"),
    ],
)
def test_a_cell_is_relative_to_a_folder(folder: str, text: str, expected: str) -> None:
    assert str(join(place(folder), text)) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b.c.png", "b.c.png"),
        ("s3://bucket/a?b.png", "a?b.png"),
        ("https://host/a/b%20c.png?signature=hush#top", "b c.png"),
    ],
)
def test_names_of_places(text: str, name: str) -> None:
    assert name_of(place(text)) == name


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a.png?X-Amz-Signature=hush&b=hush",
        "cannot read 'https://host/a.png?sig=hush', sorry",
        "https://me:hush@host/a.png",
        "s3://key:hush@bucket/a.png",
        "url=URL('http://host/a?hush')",
        "HTTP://host/a.png?sig=hush",
        "https://host/it's my \"cat\".png?x=a'b&sig=hush",
        "https://host/a.png#access_token=hush",
        "https://me:pa/ss-hush@host/a.png",
        "//me:hush@host/a.png",
        "columns //:hush@host/a.png",
        "s3://key:hu@sh-hush@bucket/a.png",
    ],
)
def test_secrets_are_redacted(text: str) -> None:
    assert "hush" not in redacted(text)


@pytest.mark.parametrize(
    "piece", ["http://", "a://b:", "//a:@", "//", "@", "a@b ", "?http://", "http://?", "http:// "]
)
def test_long_texts_are_redacted_quickly(piece: str) -> None:
    with bounded(seconds=1):
        redacted(piece * 100_000)


def test_texts_without_secrets_are_not_changed() -> None:
    for text in (
        "a?b@c.png",
        "s3://bucket/a?b.png",
        "it failed: what? a@b",
        "a//b@2x.png",
        "a/b:c@2x.png",
    ):
        assert redacted(text) == text
    assert redacted(place("https://host/a.png?k=v")) == "https://host/a.png?..."


def test_a_place_in_a_model_is_a_string() -> None:
    class Holder(BaseModel):
        model_config = ConfigDict(frozen=True)
        where: PlaceField

    for text in ("s3://bucket/a.png", "/a/b.png"):
        holder = Holder.model_validate_json(f'{{"where": "{text}"}}')
        assert holder.where == place(text)
        assert holder.model_dump_json() == f'{{"where":"{text}"}}'
    assert Holder.model_json_schema()["properties"]["where"]["type"] == "string"
    with pytest.raises(ValueError, match="expected a path or a URL"):
        Holder.model_validate({"where": "odd://x"})
