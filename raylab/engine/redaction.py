"""What people, logs and trackers may see of a URI: never the credentials in it.

Passwords are written into URIs raw, with "/", "@" or "?" in them, so that no parser agrees with another on where they
end. Where it is in doubt more is hidden, not less.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

HIDDEN = "***"
# Of a query: parameters of stores and of database drivers whose values say where and how, never who. All others hide.
SHOWN = {
    "scheme",
    "endpoint_override",
    "region",
    "allow_bucket_creation",
    "allow_bucket_deletion",
    "allow_delayed_open",
    "connect_timeout",
    "timeout",
    "charset",
    "driver",
    "sslmode",
}
# These log nobody in either, though they tell who asks, or what a machine looks like: they stay hidden.
NO_LOGIN = SHOWN | {
    "background_writes",
    "blob_storage_authority",
    "blob_storage_scheme",
    "buffer_size",
    "check_directory_existence_before_creation",
    "client_id",
    "credential_kind",
    "default_block_size",
    "default_bucket_location",
    "dfs_storage_authority",
    "dfs_storage_scheme",
    "enable_tls",
    "force_virtual_addressing",
    "kerb_ticket",
    "project_id",
    "replication",
    "retry_limit_seconds",
    "smart_defaults",
    "tenant_id",
    "tls_ca_dir_path",
    "tls_ca_file_path",
    "tls_verify_certificates",
    "use_mmap",
    "user",
}
AZURE = ("abfs", "abfss")  # what stands before their "@" is the container
# A URI ends at a blank or a quote, unless a password may go on behind it: user and ":", no port, and an "@" further on
# in the line, before the next URI. All repeats are bounded: the time must not grow with the square of a text's length.
URI = re.compile(
    r"""[A-Za-z][A-Za-z0-9+.-]{0,31}://
    (?: [^\s'"<>/@?#:]{0,256} : (?=\S) (?!\d+(?:[/?#\s'"]|$))
        (?: [^\s'"<>] | (?: [^\S\n] | ['"<>] ) (?!\S{0,40}://) ){0,256} @ [^\s'"<>]*
    | [^\s'"<>]+ )""",
    re.VERBOSE,
)
KEY_ID = 16  # characters: AWS' have 20
SHORTEST = 6  # characters of a credential that is searched for by itself: a shorter one is part of ordinary words


def public(uri: str) -> str:
    """The URI without user, password, token, fragment and the values of unknown parameters; a path as it is."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return uri
    user, place, query, fragment = _parts(uri)
    shown = f"{HIDDEN}@{place}" if user else place
    if query:
        shown += "?" + "&".join(map(_parameter, query.split("&")))
    return f"{scheme}://{shown}{f'#{HIDDEN}' if fragment else ''}"


def redacted(text: str, *uris: str) -> str:
    """The text with every URI in it made public, and without what these URIs hide."""
    for uri in uris:
        if uri == public(uri):
            continue
        for spelt in dict.fromkeys((uri, repr(uri)[1:-1])):
            text = text.replace(spelt, public(uri))
        for secret in sorted(_secrets(uri), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
    return URI.sub(lambda found: public(found[0]), text)


def excerpt(text: str, longest: int, *uris: str) -> str:
    """Other people's words in one line. Redacted before it is cut: half a credential would not be known for one."""
    return " ".join(redacted(text, *uris).split())[:longest]


def logins(uri: str) -> list[str]:
    """What of the URI may be a password or a key, by its name; none for a user's name (gs://anonymous@bucket)."""
    scheme, separator, _ = uri.partition("://")
    user, _, query, fragment = _parts(uri) if separator else ("", "", "", "")
    found = ["what stands before the @"] if ":" in user or (scheme == "s3" and user) else []
    for text in query.split("&") if query else ():
        name, equals, _ = text.partition("=")
        if name not in NO_LOGIN or (name in SHOWN and text != _parameter(text)):
            found.append(name if equals else "a parameter without a name")
    return [*found, "what follows the #"] if fragment else found


def _parts(uri: str) -> tuple[str, str, str, str]:
    """User with password, place (host and path), query, fragment."""
    scheme, _, rest = uri.partition("://")
    # A password may hold anything, so that it ends at the last "@"; without a host nobody logs in (sqlite:////a@b/c).
    user, _, place = ("", "", rest) if rest.startswith("/") else rest.rpartition("@")
    if scheme in AZURE and not {*":@?#"} & {*user}:
        user, place = "", rest
    place, _, fragment = place.partition("#")
    place, _, query = place.partition("?")
    return user, place, query, fragment


def _parameter(text: str) -> str:
    name, separator, value = text.partition("=")
    if name in SHOWN and separator and "@" not in unquote(value):
        return text
    return f"{name}={HIDDEN}" if separator else HIDDEN


def _secrets(uri: str) -> set[str]:
    """What is hidden of a URI, each piece alone: libraries quote the pieces in their errors."""
    user, _, query, fragment = _parts(uri)
    name, _, password = user.partition(":")
    values = [text.partition("=")[2] or text for text in query.split("&") if HIDDEN in _parameter(text)]
    # A user's name beside a password is no secret and may be a word of any message, unless it is as long as a key's id.
    pieces = [password, fragment, *values, *([name] if not password or len(name) >= KEY_ID else [])]
    return {form for piece in pieces for form in (piece, unquote(piece)) if len(form) >= SHORTEST}
