"""Request lines: methods, targets in every form, versions, and what is not HTTP at all."""
from case import GRAPH, GUARDED, HOST, PLAIN, Case, Forwarded

# {t}: the usual target.
REQUEST_LINES = {
    "http_0_9": ("GET {t}", 400),
    "http_0_9_with_space": ("GET {t} ", 400),
    "http_0_9_post": ("POST {t}", 400),
    "version_2_0": ("POST {t} HTTP/2.0", 505),
    "version_2": ("POST {t} HTTP/2", 400),
    "version_3_0": ("POST {t} HTTP/3.0", 505),
    "version_1_2": ("POST {t} HTTP/1.2", 505),
    "version_0_9": ("POST {t} HTTP/0.9", 505),
    "version_1_10": ("POST {t} HTTP/1.10", 400),
    "version_01_1": ("POST {t} HTTP/01.1", 400),
    "version_three_numbers": ("POST {t} HTTP/1.1.1", 400),
    "version_lower_case": ("POST {t} http/1.1", 400),
    "version_without_slash": ("POST {t} HTTP1.1", 400),
    "version_with_space": ("POST {t} HTTP/ 1.1", 400),
    "version_misspelt": ("POST {t} HTTTP/1.1", 400),
    "version_comma": ("POST {t} HTTP/1,1", 400),
    "version_fullwidth_digit": ("POST {t} HTTP/1.１".encode(), 400),
    "version_then_space": ("POST {t} HTTP/1.1 ", 400),
    "version_then_nul": ("POST {t} HTTP/1.1\0", 400),
    "version_twice": ("POST {t} HTTP/1.1 HTTP/1.1", 400),
    "version_of_rtsp": ("POST {t} RTSP/1.0", 400),
    "two_spaces_before_target": ("POST  {t} HTTP/1.1", 400),
    "two_spaces_before_version": ("POST {t}  HTTP/1.1", 400),
    "tab_before_target": ("POST\t{t} HTTP/1.1", 400),
    "tab_before_version": ("POST {t}\tHTTP/1.1", 400),
    "vertical_tab_for_space": ("POST\x0b{t} HTTP/1.1", 400),
    "no_break_space_for_space": ("POST\xa0{t}\xa0HTTP/1.1", 400),
    "ideographic_space_for_space": ("POST　{t} HTTP/1.1".encode(), 400),
    "space_before_method": (" POST {t} HTTP/1.1", 400),
    "bare_cr_for_space": ("POST\r{t} HTTP/1.1", 400),
    "bare_cr_before_end": ("POST {t} HTTP/1.1\r", 400),
    "bare_lf_ends_it": ("POST {t} HTTP/1.1\nX: y", 400),
    "method_lower_case": ("post {t} HTTP/1.1", 400),
    "method_mixed_case": ("Post {t} HTTP/1.1", 400),
    "method_unknown": ("PURGE {t} HTTP/1.1", 501),
    "method_trace": ("TRACE {t} HTTP/1.1", 501),
    "method_connect": ("CONNECT {t} HTTP/1.1", 501),
    "method_of_http_2": ("PRI {t} HTTP/1.1", 501),
    "method_missing": (" {t} HTTP/1.1", 400),
    "method_with_nul": ("POST\0 {t} HTTP/1.1", 400),
    "method_with_colon": ("POST: {t} HTTP/1.1", 400),
    "method_fullwidth": ("ＰＯＳＴ {t} HTTP/1.1".encode(), 400),
    "method_with_cyrillic_letter": ("PОST {t} HTTP/1.1".encode(), 400),
    "method_after_byte_order_mark": (b"\xef\xbb\xbfPOST {t} HTTP/1.1", 400),
    "method_of_10000_letters": ("P" * 10_000 + " {t} HTTP/1.1", 414),
    "target_missing": ("POST HTTP/1.1", 400),
    "target_is_empty": ("POST  HTTP/1.1", 400),
    "target_absolute": ("POST http://graph.test{t} HTTP/1.1", 400),
    "target_absolute_other_host": ("POST http://evil.example{t} HTTP/1.1", 400),
    "target_absolute_https": ("POST https://graph.test{t} HTTP/1.1", 400),
    "target_absolute_with_user": ("POST http://graph.test@evil.example{t} HTTP/1.1", 400),
    "target_absolute_odd_scheme": ("POST file://graph.test{t} HTTP/1.1", 400),
    "target_authority": ("POST graph.test:443 HTTP/1.1", 400),
    "target_asterisk": ("OPTIONS * HTTP/1.1", 400),
    "target_without_slash": ("POST v1.0{t} HTTP/1.1", 400),
    "target_is_a_query": ("POST ?x={t} HTTP/1.1", 400),
    "target_fragment": ("POST {t}#x HTTP/1.1", 400),
    "target_fragment_hides_the_action": ("POST /v1.0/me#/../{t} HTTP/1.1", 400),
    "target_backslash": ("POST \\v1.0{t} HTTP/1.1", 400),
    "target_backslashes_within": ("POST /x\\..{t} HTTP/1.1", 400),
    "target_quote": ('POST {t}" HTTP/1.1', 400),
    "target_angles": ("POST {t}<x> HTTP/1.1", 400),
    "target_space": ("POST {t} x HTTP/1.1", 400),
    "target_tab": ("POST {t}\tx HTTP/1.1", 400),
    "target_nul": ("POST {t}\0 HTTP/1.1", 400),
    "target_delete_byte": ("POST {t}\x7f HTTP/1.1", 400),
    "target_bare_cr": ("POST {t}\rx HTTP/1.1", 400),
    "target_high_byte": ("POST {t}\xff HTTP/1.1", 400),
    "target_utf8": ("POST {t}ü HTTP/1.1".encode(), 400),
    "target_fullwidth_slash": ("POST ／v1.0{t} HTTP/1.1".encode(), 400),
    "target_escape_byte": ("POST {t}\x1b HTTP/1.1", 400),
    "target_holds_a_version": ("POST {t} HTTP/1.1 /x HTTP/1.1", 400),
}
# Behind the guarded target: readings differ on whether it still is that target.
SUFFIXES = {"encoded_nul": "%00", "encoded_line_end": "%0d%0a", "encoded_space": "%20",
            "encoded_slash": "%2f", "half_an_escape": "%2", "no_escape": "%zz",
            "overlong_slash": "%c0%af", "path_parameter": ";a=b", "semicolon_dots": "/x/..;/",
            "encoded_question_mark": "%3f", "doubly_encoded_slash": "%252f"}
# A server that resolves dots finds the guarded action, and no other reading is an ordinary call.
GUARDED_SUFFIXES = {"dot_segment": "/.", "dot_dot_segment": "/x/..", "encoded_dots": "/x/%2e%2e"}
NOT_HTTP = {
    "http_2_preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 505),
    "tls_client_hello": (b"\x16\x03\x01\0\xc8\1\0\0\xc4\3\3" + b"r" * 32, 400),
    "ssh_banner": (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    "smtp_greeting": (b"EHLO evil.example\r\n", 400),
    "socks_5_greeting": (b"\5\1\0", 400),
    "proxy_protocol_1": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", 400),
    "proxy_protocol_2": (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\1" * 12, 400),
    "nuls": (b"\0" * 100, 400),
    "high_bytes": (b"\xff" * 100, 400),
    "two_empty_lines": (b"\r\n\r\n", 400),
    "empty_line_bare_lf": (b"\n", 400),
    "an_answer": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 400),
    "json": (b'{"method":"POST"}\r\n', 400),
}


def spelled(line, target):
    if isinstance(line, bytes):
        return line.replace(b"{t}", target.encode())
    return line.replace("{t}", target)


def request_lines(kit):
    return [kit.refused(f"{kind}_{name}", kit.head(spelled(line, kit.targets[kind])), status)
            for name, (line, status) in REQUEST_LINES.items() for kind in (PLAIN, GUARDED)]


def targets(kit):
    found = [kit.refused(f"guarded_target_{name}",
                         kit.head(f"POST {kit.targets[GUARDED]}{suffix} HTTP/1.1",
                                  "Connection: close"))
             for name, suffix in SUFFIXES.items()]
    for name, suffix in GUARDED_SUFFIXES.items():
        target = kit.targets[GUARDED] + suffix
        found.append(kit.accepted(f"guarded_target_{name}_is_guarded",
                                  kit.head(f"POST {target} HTTP/1.1"), Forwarded("POST", target)))
    # What stays one plain request must come through byte for byte.
    for name, target in {"double_slash": f"//graph.test/v1.0/me?case={kit.tag}",
                         "dot_segments": f"/v1.0/./x/../me?case={kit.tag}",
                         "encoded_line_end": f"/v1.0/me?case={kit.tag}%0d%0aX:%20y",
                         "encoded_nul": f"/v1.0/me?case={kit.tag}%00",
                         "broken_escape": f"/v1.0/me?case={kit.tag}%",
                         "bytes_outside_of_uris": f"/v1.0/me?case={kit.tag}|{{}}^`[]",
                         "absolute_uri_within": f"/http://evil.example/v1.0/me?case={kit.tag}",
                         "two_question_marks": f"/v1.0/me?case={kit.tag}?x=HTTP/1.1"}.items():
        found.append(kit.accepted(f"target_{name}_stays_as_it_is",
                                  kit.head(f"GET {target} HTTP/1.1"), Forwarded("GET", target)))
    return found


def versions(kit):
    found = []
    for kind in (PLAIN, GUARDED):
        found += [
            kit.accepted(f"{kind}_http_1_0_ends_the_connection",
                         kit.post(kind, version="HTTP/1.0"), kit.posted(kind), kept=False),
            kit.accepted(f"{kind}_http_1_0_keeps_alive_when_asked",
                         kit.post(kind, "Connection: keep-alive", version="HTTP/1.0"),
                         kit.posted(kind)),
            kit.accepted(f"{kind}_http_1_0_expect_is_nothing",
                         kit.post(kind, "Expect: x", version="HTTP/1.0"), kit.posted(kind),
                         kept=False),
            kit.refused(f"{kind}_http_1_0_two_hosts",
                        kit.post(kind, HOST, version="HTTP/1.0")),
            kit.accepted(f"{kind}_one_empty_line_before", b"\r\n" + kit.post(kind),
                         kit.posted(kind))]
    # Where the links of an ordinary answer must lead nobody knows: no proxy.public_origin here.
    found.append(kit.refused("plain_http_1_0_without_host",
                             kit.post(PLAIN, version="HTTP/1.0", host=None)))
    found.append(kit.accepted("guarded_http_1_0_without_host",
                              kit.post(GUARDED, version="HTTP/1.0", host=None),
                              kit.posted(GUARDED), kept=False))
    # After a body too: the line end that some clients add.
    found.append(Case("line_end_after_a_body",
                      [[kit.post(PLAIN, "Content-Length: 2", body=b"{}\r\n") + kit.probe]],
                      [GRAPH, GRAPH], [kit.posted(PLAIN, b"{}")]))
    return found


def not_http(kit):
    return [kit.refused(name, data, status) for name, (data, status) in NOT_HTTP.items()]


GROUPS = {"request_line": request_lines, "target": targets, "version": versions,
          "not_http": not_http}
