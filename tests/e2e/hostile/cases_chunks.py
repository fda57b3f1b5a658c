"""Chunked bodies: sizes, extensions, trailers and line ends that are read in more than one way."""
from case import GRAPH, GUARDED, PLAIN, Case, chunked

TE = "Transfer-Encoding: chunked"
# Chunk lines before five bytes of content.
SIZE_LINES = {
    "extension": b"5;a=b\r\n",
    "extension_without_value": b"5;a\r\n",
    "extension_empty": b"5;\r\n",
    "extension_quoted_line_end": b'5;a="\r\n"\r\n',
    "extension_bare_lf_within": b"5;a\nb\r\n",
    "extension_bare_cr_within": b"5;a\rb\r\n",
    "extension_after_space": b"5 ;a=b\r\n",
    "extension_of_20000_bytes": b"5;" + b"a" * 20_000 + b"\r\n",
    "space_after_size": b"5 \r\n",
    "tab_after_size": b"5\t\r\n",
    "space_before_size": b" 5\r\n",
    "nul_after_size": b"5\0\r\n",
    "no_break_space_after_size": b"5\xa0\r\n",
    "hexadecimal_prefix": b"0x5\r\n",
    "plus": b"+5\r\n",
    "minus": b"-5\r\n",
    "underscore": b"0_5\r\n",
    "letter_after_size": b"5g\r\n",
    "comma": b"5,5\r\n",
    "quoted": b'"5"\r\n',
    "fraction": b"5.0\r\n",
    "fullwidth_digit": "５\r\n".encode(),
    "empty": b"\r\n",
    "bare_lf": b"5\n",
    "bare_cr": b"5\r",
    "two_crs": b"5\r\r\n",
    "lf_cr": b"5\n\r",
    "16_digits": b"0000000000000005\r\n",
    "1000_digits": b"0" * 999 + b"5\r\n",
    "2_to_64": b"10000000000000005\r\n",
    "2_to_64_less_1": b"FFFFFFFFFFFFFFFF\r\n",
    "negative_in_64_bits": b"8000000000000005\r\n",
}
# What follows a chunk's five bytes instead of its CRLF and the last chunk.
ENDS = {
    "data_longer_than_size": b"x\r\n0\r\n\r\n",
    "data_shorter_than_size": None,
    "data_end_bare_lf": b"\n0\r\n\r\n",
    "data_end_bare_cr": b"\r0\r\n\r\n",
    "data_end_missing": b"0\r\n\r\n",
    "data_end_two_bytes": b"xx0\r\n\r\n",
    "last_chunk_minus_zero": b"\r\n-0\r\n\r\n",
    "last_chunk_extension": b"\r\n0;a=b\r\n\r\n",
    "last_chunk_bare_lfs": b"\r\n0\n\n",
    "last_chunk_bare_lf_at_end": b"\r\n0\r\n\n",
    "last_chunk_cr_then_other": b"\r\n0\r\n\rX",
    "last_chunk_space": b"\r\n0 \r\n\r\n",
    "trailer": b"\r\n0\r\nX-Trailer: y\r\n\r\n",
    "trailer_is_te": b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailer_is_cl": b"\r\n0\r\nContent-Length: 5\r\n\r\n",
    "trailer_is_host": b"\r\n0\r\nHost: evil.example\r\n\r\n",
    "trailer_is_authorization": b"\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
    "trailer_folded": b"\r\n0\r\nX: y\r\n z\r\n\r\n",
    "trailer_without_colon": b"\r\n0\r\nX\r\n\r\n",
    "trailer_is_a_request": b"\r\n0\r\nGET / HTTP/1.1\r\nX: y\r\n\r\n",
}
CONTENT = b"{   }"


def refused(kit):
    found = []
    for name, line in SIZE_LINES.items():
        found += kit.refused_posts(f"size_{name}", [TE], line + CONTENT + b"\r\n0\r\n\r\n")
    for name, end in ENDS.items():
        body = b"5\r\n" + CONTENT + end if end else b"6\r\n" + CONTENT + b"\r\n0\r\n\r\n"
        found += kit.refused_posts(name, [TE], body)
    # The size of a chunk that would end at the smuggled request, if 64 bits overflowed.
    wrapped = b"1000000000000000%x\r\n" % len(CONTENT)
    found += kit.refused_posts("size_overflow_hides_a_request", [TE],
                               wrapped + CONTENT + b"\r\n0\r\n\r\n" + kit.smuggled)
    found += kit.refused_posts("trailer_hides_a_request", [TE, "Trailer: X"],
                               b"0\r\nX: " + kit.smuggled)
    found += kit.refused_posts("extension_hides_a_request", [TE],
                               b"5;\n" + CONTENT + b"\r\n0\r\n\r\n" + kit.smuggled)
    return found


def broken_after_a_good_chunk(kit):
    """The first chunk is read before the second comes: an ordinary call may be on its way."""
    found = []
    for kind in (PLAIN, GUARDED):
        for name, rest in {"extension": b"5;a\r\n", "bare_lf": b"5\n", "trailer": b"0\r\nX: y\r\n",
                           "letter": b"g\r\n"}.items():
            start = kit.post(kind, TE, body=b"5\r\n" + CONTENT + b"\r\n")
            found.append(Case(f"{kind}_second_chunk_{name}", [[start, rest + kit.probe]], [400],
                              cut=kind == PLAIN))
    return found


def accepted(kit):
    tiny = b"".join(b"1\r\n%c\r\n" % byte for byte in CONTENT) + b"0\r\n\r\n"
    bodies = {"sizes_with_leading_zeros": (b"0005\r\n" + CONTENT + b"\r\n000\r\n\r\n", CONTENT),
              "size_of_15_digits": (b"0" * 14 + b"5\r\n" + CONTENT + b"\r\n0\r\n\r\n", CONTENT),
              "chunks_of_one_byte": (tiny, CONTENT),
              "no_content": (b"0\r\n\r\n", b""),
              "chunk_looks_like_chunks": (chunked(chunked(CONTENT)), chunked(CONTENT)),
              "chunk_of_line_ends": (chunked(b"\r\n\r\n0\r\n\r\n"), b"\r\n\r\n0\r\n\r\n")}
    found = []
    for name, (body, content) in bodies.items():
        found += kit.accepted_posts(name, [TE], body, content)
    # A trailer that is announced and does not come.
    found += kit.accepted_posts("trailer_announced_only", [TE, "Trailer: X"],
                                chunked(CONTENT), CONTENT)
    for kind in (PLAIN, GUARDED):
        found.append(Case(f"{kind}_garbage_after_the_last_chunk",
                          [[kit.post(kind, TE, body=chunked(CONTENT) + b"x=1\r\n") + kit.probe]],
                          [GRAPH, 400], [kit.posted(kind, CONTENT)]))
    return found


def chunks(kit):
    return refused(kit) + broken_after_a_good_chunk(kit) + accepted(kit)


GROUPS = {"chunk": chunks}
