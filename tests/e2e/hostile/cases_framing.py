"""Where a body ends: Content-Length and Transfer-Encoding in every known disguise."""
from case import GRAPH, GUARDED, PLAIN, Case, Forwarded, chunked

# Spellings of a coding that some server takes for `chunked` and some other does not.
CODINGS = {
    "te_unknown_coding": ("Transfer-Encoding: xchunked", 501),
    "te_identity": ("Transfer-Encoding: identity", 501),
    "te_unknown_word": ("Transfer-Encoding: cow", 501),
    "te_trailers_word": ("Transfer-Encoding: trailers", 501),
    "te_apostrophes": ("Transfer-Encoding: 'chunked'", 501),
    "te_quoted": ('Transfer-Encoding: "chunked"', 400),
    "te_parameter": ("Transfer-Encoding: chunked;q=1", 400),
    "te_empty": ("Transfer-Encoding:", 400),
    "te_list_chunked_identity": ("Transfer-Encoding: chunked, identity", 400),
    "te_list_identity_chunked": ("Transfer-Encoding: identity, chunked", 400),
    "te_list_gzip_chunked": ("Transfer-Encoding: gzip, chunked", 400),
    "te_list_chunked_twice": ("Transfer-Encoding: chunked, chunked", 400),
    "te_list_empty_element_first": ("Transfer-Encoding: ,chunked", 400),
    "te_list_empty_element_last": ("Transfer-Encoding: chunked,", 400),
    "te_two_words": ("Transfer-Encoding: chunked chunked", 400),
    "te_version_appended": ("Transfer-Encoding: chunked HTTP/1.1", 400),
    "te_tab_within": ("Transfer-Encoding: chu\tnked", 400),
    "te_space_before_colon": ("Transfer-Encoding : chunked", 400),
    "te_tab_before_colon": ("Transfer-Encoding\t: chunked", 400),
    "te_space_before_name": (" Transfer-Encoding: chunked", 400),
    "te_tab_before_name": ("\tTransfer-Encoding: chunked", 400),
    "te_vertical_tab_before_value": ("Transfer-Encoding: \x0bchunked", 400),
    "te_form_feed_after_value": ("Transfer-Encoding: chunked\x0c", 400),
    "te_nul_before_value": ("Transfer-Encoding: \0chunked", 400),
    "te_nul_after_value": ("Transfer-Encoding: chunked\0", 400),
    "te_nul_in_name": ("Transfer-Encoding\0: chunked", 400),
    "te_backspace_before_value": ("Transfer-Encoding: x\x08chunked", 400),
    "te_bare_cr_after_value": ("Transfer-Encoding: chunked\r", 400),
    "te_bare_cr_before_name": ("X: y\rTransfer-Encoding: chunked", 400),
    "te_bare_lf_before_name": ("X: y\nTransfer-Encoding: chunked", 400),
    "te_bare_lf_before_colon": ("Transfer-Encoding\n: chunked", 400),
    "te_folded_value": ("Transfer-Encoding:\r\n chunked", 400),
    "te_folded_with_tab": ("Transfer-Encoding:\r\n\tchunked", 400),
    "te_folded_into_other": ("X: y\r\n Transfer-Encoding: chunked", 400),
    "te_no_break_space": ("Transfer-Encoding: \xa0chunked", 400),
    "te_no_break_space_utf8": ("Transfer-Encoding: \xc2\xa0chunked", 400),
    "te_next_line_byte": ("Transfer-Encoding: chunked\x85", 400),
    "te_fullwidth_value": ("Transfer-Encoding: chunke".encode() + "ｄ".encode(), 400),
    "te_fullwidth_colon": ("Transfer-Encoding： chunked".encode(), 400),
    "te_unicode_hyphen": ("Transfer‐Encoding: chunked".encode(), 400),
    "te_soft_hyphen": ("Transfer\xadEncoding: chunked", 400),
    "te_long_s_in_name": ("Tranſfer-Encoding: chunked".encode(), 400),
    "te_underscore_in_name": ("Transfer_Encoding: chunked", 400),
    "te_dot_in_name": ("Transfer.Encoding: chunked", 400),
    "te_semicolon_after_name": ("Transfer-Encoding;: chunked", 400),
    "te_twice": ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    "te_twice_second_unknown": ("Transfer-Encoding: chunked\r\nTransfer-encoding: cow", 400),
    "te_twice_first_unknown": ("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked", 400),
    "te_twice_second_empty": ("Transfer-Encoding: chunked\r\nTransfer-Encoding:", 400),
}
# Spellings of a length; {n} is the true one.
LENGTHS = {
    "cl_plus": ("Content-Length: +{n}", 400),
    "cl_minus": ("Content-Length: -{n}", 400),
    "cl_minus_zero": ("Content-Length: -0", 400),
    "cl_hexadecimal": ("Content-Length: 0x{n}", 400),
    "cl_letters_after": ("Content-Length: {n}abc", 400),
    "cl_letters_before": ("Content-Length: abc{n}", 400),
    "cl_two_words": ("Content-Length: {n} {n}", 400),
    "cl_list_of_equals": ("Content-Length: {n}, {n}", 400),
    "cl_list_of_different": ("Content-Length: 0, {n}", 400),
    "cl_list_with_empty_element": ("Content-Length: {n},", 400),
    "cl_semicolon": ("Content-Length: {n};0", 400),
    "cl_fraction": ("Content-Length: {n}.0", 400),
    "cl_exponent": ("Content-Length: {n}e0", 400),
    "cl_digit_separator": ("Content-Length: 0_{n}", 400),
    "cl_quoted": ('Content-Length: "{n}"', 400),
    "cl_empty": ("Content-Length:", 400),
    "cl_blank": ("Content-Length: \t ", 400),
    "cl_nul_after": ("Content-Length: {n}\0", 400),
    "cl_vertical_tab_before": ("Content-Length: \x0b{n}", 400),
    "cl_bare_cr_after": ("Content-Length: {n}\r", 400),
    "cl_no_break_space": ("Content-Length: \xa0{n}", 400),
    "cl_arabic_digit": ("Content-Length: ٥".encode(), 400),
    "cl_fullwidth_digit": ("Content-Length: ５".encode(), 400),
    "cl_superscript_digit": ("Content-Length: \xb2", 400),
    "cl_over_2_to_64": ("Content-Length: 18446744073709551621", 413),
    "cl_2_to_63": ("Content-Length: 9223372036854775808", 413),
    "cl_300_digits": ("Content-Length: " + "9" * 300, 413),
    "cl_300_zeros": ("Content-Length: " + "0" * 300 + "{n}", 413),
    "cl_twice_equal": ("Content-Length: {n}\r\nContent-Length: {n}", 400),
    "cl_twice_zero_first": ("Content-Length: 0\r\nContent-Length: {n}", 400),
    "cl_twice_zero_last": ("Content-Length: {n}\r\ncontent-length: 0", 400),
    "cl_twice_second_empty": ("Content-Length: {n}\r\nContent-Length:", 400),
    "cl_space_before_colon": ("Content-Length : {n}", 400),
    "cl_space_before_name": ("\tContent-Length: {n}", 400),
    "cl_folded": ("Content-Length:\r\n {n}", 400),
    "cl_folded_digits": ("Content-Length: {n}\r\n 0", 400),
    "cl_nul_in_name": ("Content-Length\0: {n}", 400),
    "cl_underscore_in_name": ("Content_Length: {n}", 400),
    "cl_unicode_hyphen": ("Content‐Length: {n}".encode(), 400),
    "cl_fullwidth_colon": ("Content-Length： {n}".encode(), 400),
}


def spelled(line, length):
    if isinstance(line, bytes):
        return line.replace(b"{n}", b"%d" % length)
    return line.replace("{n}", str(length))


def both_lengths_and_codings(kit):
    """Two framings at once, whichever comes first and wherever the smuggled request lies."""
    by_chunks = b"0\r\n\r\n" + kit.smuggled
    by_length = chunked(kit.smuggled)
    cl, te = f"Content-Length: {len(by_chunks)}", "Transfer-Encoding: chunked"
    size_line = by_length.index(b"\r\n") + 2
    found = kit.refused_posts("cl_te_request_after_the_last_chunk", [cl, te], by_chunks)
    found += kit.refused_posts("te_before_cl", [te, cl], by_chunks)
    found += kit.refused_posts("te_cl_request_within_a_chunk",
                               [f"Content-Length: {size_line}", te], by_length)
    found += kit.refused_posts("cl_zero_te", ["Content-Length: 0", te], by_length)
    found += kit.refused_posts("cl_true_te", [f"Content-Length: {len(by_length)}", te], by_length)
    found += kit.refused_posts("te_in_odd_case_beside_cl", [cl, "tRANSFER-eNCODING: CHUNKED"],
                               by_chunks)
    found += kit.refused_posts("te_tab_before_value_beside_cl",
                               [cl, "Transfer-Encoding:\tchunked"], by_chunks)
    found += kit.refused_posts("te_on_http_1_0", [te], by_chunks)
    for case, kind in zip(found[-2:], (PLAIN, GUARDED)):
        case.connections = [[kit.post(kind, te, "Connection: keep-alive", body=by_chunks,
                                      version="HTTP/1.0") + kit.probe]]
    return found


def codings(kit):
    body = b"0\r\n\r\n" + kit.smuggled
    found = []
    for name, (line, status) in CODINGS.items():
        found += kit.refused_posts(name, [line], body, status)
        found.append(kit.refused(f"{GUARDED}_{name}_beside_cl", kit.post(
            GUARDED, f"Content-Length: {len(body)}", line, body=body)))
    found += kit.accepted_posts("te_tab_before_value", ["Transfer-Encoding:\tchunked"],
                                chunked(b"{}"), b"{}")
    found += kit.accepted_posts("te_blanks_around_value", ["Transfer-Encoding: \t chunked \t "],
                                chunked(b"{}"), b"{}")
    found += kit.accepted_posts("te_in_capitals", ["TRANSFER-ENCODING: CHUNKED"],
                                chunked(b"{}"), b"{}")
    return found


def lengths(kit):
    body = b"{" + b" " * 3 + b"}"  # Five bytes, as the digits of other scripts say.
    found = []
    for name, (line, status) in LENGTHS.items():
        found += kit.refused_posts(name, [spelled(line, len(body))], body, status)
    found += kit.accepted_posts("cl_leading_zeros", ["Content-Length: 0005"], body, body)
    found += kit.accepted_posts("cl_tab_before_value", ["Content-Length:\t5\t"], body, body)
    found += kit.accepted_posts("cl_in_odd_case", ["cONTENT-lENGTH:5"], body, body)
    return found


def bodies_that_look_like_requests(kit):
    """A body is a body, whatever it looks like and whatever the method (CL.0 and its kin)."""
    inner = kit.smuggled
    length = f"Content-Length: {len(inner)}"
    found = kit.accepted_posts("body_is_a_request", [length], inner, inner)
    found += kit.accepted_posts("chunk_is_a_request", ["Transfer-Encoding: chunked"],
                                chunked(inner), inner)
    for method in ("GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH"):
        found.append(kit.accepted(
            f"{method.lower()}_body_is_a_request",
            kit.head(f"{method} {kit.get_target} HTTP/1.1", length) + inner,
            Forwarded(method, kit.get_target, inner)))
    found.append(kit.accepted(
        "get_chunk_is_a_request",
        kit.head(f"GET {kit.get_target} HTTP/1.1", "Transfer-Encoding: chunked") + chunked(inner),
        Forwarded("GET", kit.get_target, inner)))
    for kind in (PLAIN, GUARDED):
        # Without a length there is no body: what follows is the next request, if it is one at all.
        found.append(Case(f"{kind}_no_length_garbage_follows",
                          [[kit.post(kind, body=b"x=1\r\n") + kit.probe]], [GRAPH, 400],
                          [kit.posted(kind)]))
        found.append(Case(f"{kind}_body_longer_than_its_length",
                          [[kit.post(kind, "Content-Length: 2", body=b"{}x=1") + kit.probe]],
                          [GRAPH, 400], [kit.posted(kind, b"{}")]))
        found.append(Case(f"{kind}_content_encoding_is_no_framing",
                          [[kit.post(kind, "Content-Encoding: chunked", body=b"0\r\n\r\n")
                            + kit.probe]], [GRAPH, 400], [kit.posted(kind)]))
    return found


GROUPS = {"framing": both_lengths_and_codings, "coding": codings,
          "length": lengths, "body": bodies_that_look_like_requests}
