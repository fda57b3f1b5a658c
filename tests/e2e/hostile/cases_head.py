"""Header lines, Host, and what a connection is told to do."""
from case import GUARDED, HOST, PLAIN, chunked

# Header lines that are none, or that some servers read as something else.
LINES = {
    "folded_with_space": "X: y\r\n z",
    "folded_with_tab": "X: y\r\n\tz",
    "blank_line_is_a_space": " ",
    "blank_line_is_a_tab": "\t",
    "space_before_name": " X: y",
    "no_colon": "X",
    "no_name": ": y",
    "space_before_colon": "X : y",
    "space_within_name": "X Y: z",
    "nul_in_name": "X\0: y",
    "nul_in_value": "X: y\0z",
    "nul_line": "\0",
    "bare_cr_in_value": "X: y\rz",
    "bare_cr_starts_a_header": "X: y\rHost: evil.example",
    "bare_lf_starts_a_header": "X: y\nHost: evil.example",
    "two_bare_lfs_end_the_head": "X: y\n\nGET /evil HTTP/1.1",
    "lf_cr": "X: y\n\rZ: a",
    "two_crs_before_lf": "X: y\r",
    "vertical_tab_in_value": "X: y\x0bz",
    "form_feed_in_value": "X: y\x0cz",
    "escape_in_value": "X: \x1b[2J",
    "delete_in_value": "X: y\x7f",
    "bell_in_name": "X\x07: y",
    "name_in_parentheses": "(X): y",
    "name_with_comma": "X,Y: z",
    "name_with_slash": "X/Y: z",
    "name_with_at_sign": "X@Y: z",
    "name_with_equals": "X=Y: z",
    "name_with_brackets": "[X]: y",
    "name_with_braces": "{X}: y",
    "name_with_backslash": "X\\Y: z",
    "name_with_question_mark": "X?: y",
    "name_quoted": '"X": y',
    "name_with_angles": "<X>: y",
    "name_with_high_byte": "\xffX: y",
    "name_in_fullwidth": "Ｈｏｓｔ: evil.example".encode(),
    "name_after_byte_order_mark": b"\xef\xbb\xbfX: y",
    "name_with_zero_width_space": "Host​: evil.example".encode(),
    "request_line_again": "GET /evil HTTP/1.1",
    "semicolon_for_colon": "X; y",
}
HOSTS = {
    "missing": None,
    "empty": "Host:",
    "blank": "Host:  \t",
    "twice_equal": f"{HOST}\r\n{HOST}",
    "twice_different": f"{HOST}\r\nHost: evil.example",
    "twice_different_first": f"Host: evil.example\r\n{HOST}",
    "twice_in_odd_case": f"{HOST}\r\nhOST: evil.example",
    "twice_second_empty": f"{HOST}\r\nHost:",
    "second_folded": f"{HOST}\r\n Host: evil.example",
    "first_folded": f"X: y\r\n {HOST}",
    "space_before_colon": "Host : graph.test",
    "space_before_name": " Host: graph.test",
    "list": "Host: graph.test, evil.example",
    "two_words": "Host: graph.test evil.example",
    "with_path": "Host: graph.test/evil",
    "with_user": "Host: graph.test@evil.example",
    "with_query": "Host: graph.test?evil.example",
    "with_fragment": "Host: graph.test#evil.example",
    "with_scheme": "Host: https://graph.test",
    "with_backslash": "Host: graph.test\\evil.example",
    "port_is_a_word": "Host: graph.test:evil",
    "port_empty": "Host: graph.test:",
    "port_too_large": "Host: graph.test:65536",
    "port_signed": "Host: graph.test:+80",
    "two_ports": "Host: graph.test:80:81",
    "address_without_end": "Host: [::1",
    "address_with_zone": "Host: [fe80::1%eth0]",
    "percent_encoded": "Host: graph%2etest",
    "in_utf8": "Host: gräph.test".encode(),
    "fullwidth_dot": "Host: graph．test".encode(),
    "nul": "Host: graph.test\0evil.example",
    "quoted": 'Host: "graph.test"',
    "of_300_bytes": "Host: " + "a" * 300,
    "crlf_encoded": "Host: graph.test%0d%0aX: y",
}
# Headers that a next hop would act on, and none of them gets there as it came.
REFUSED_FIELDS = {
    "upgrade_h2c": (["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                     "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"], 400),
    "upgrade_h2c_not_in_connection": (["Upgrade: h2c"], 400),
    "upgrade_websocket": (["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], 400),
    "upgrade_tls": (["Connection: Upgrade", "Upgrade: TLS/1.2"], 400),
    "upgrade_empty": (["Upgrade:"], 400),
    "connection_names_a_non_token": (["Connection: close, :"], 400),
    "connection_in_quotes": (['Connection: "close"'], 400),
    "connection_two_words": (["Connection: keep-alive close"], 400),
    "connection_names_content_length": (["Connection: Content-Length"], 400),
    "connection_names_transfer_encoding": (["Connection: close, Transfer-Encoding"], 400),
    "connection_names_host": (["Connection: Host"], 400),
    "connection_names_content_type": (["Connection: Content-Type"], 400),
    "connection_names_prefer": (["Connection: x, Prefer", "Prefer: IdType=\"ImmutableId\""], 400),
    "connection_names_authorization": (["Connection: keep-alive, authorization"], 400),
    "proxy_connection_names_host": (["Proxy-Connection: Host"], 400),
    "expect_unknown": (["Expect: 200-ok"], 417),
    "expect_empty": (["Expect:"], 417),
    "expect_twice": (["Expect: 100-continue", "Expect: 100-continue"], 417),
    "expect_list": (["Expect: 100-continue, x"], 417),
    "expect_parameter": (["Expect: 100-continue;q=1"], 417),
    "expect_continue_misspelt": (["Expect: 100-contin ue"], 417),
    "content_type_twice": (["Content-Type: text/plain", "Content-Type: application/json"], 400),
}
# Accepted, and stripped or forwarded as plain headers; the framing check sees to the rest.
PASSED_FIELDS = {
    "te_trailers": ["TE: trailers", "Connection: TE"],
    "keep_alive_junk": ["Keep-Alive: timeout=999999999999999999999, max=-1"],
    "proxy_connection": ["Proxy-Connection: close"],
    "http2_settings_alone": ["HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
                             "Connection: HTTP2-Settings"],
    "trailer": ["Trailer: Content-Length"],
    "connection_empty_elements": ["Connection: ,,keep-alive, ,"],
    "forwarded_host": ["X-Forwarded-Host: evil.example", "Forwarded: host=evil.example"],
    "forwarded_for_junk": ["X-Forwarded-For: 1.2.3.4, , \xff, unknown"],
    "rewritten_url": ["X-Original-URL: /evil", "X-Rewrite-URL: /evil"],
    "method_overrides_to_get": ["X-HTTP-Method-Override: GET", "X-HTTP-Method: GET",
                                "X-Method-Override: GET"],
    "high_bytes_in_value": ["X: \x80\xff", "Y: ü".encode()],
    "empty_values": ["X:", "Y: \t "],
    "same_header_ten_times": ["X: y"] * 10,
    "every_token_byte_in_name": ["!#$%&'*+-.^`|~0Aa: y"],
    "http2_pseudo_header_lookalike": ["authority: evil.example", "path: /evil"],
    "expect_without_body": ["Expect: 100-continue"],
}


def lines(kit):
    found = []
    for name, line in LINES.items():
        found += kit.refused_posts(f"header_{name}", [line])
    # The first header line is special to some: nothing is there to be folded into.
    for name, line in {"folded": " X: y", "blank": " ", "request_line": "GET / HTTP/1.1"}.items():
        data = f"GET {kit.get_target} HTTP/1.1\r\n{line}\r\n{HOST}\r\n\r\n".encode("latin-1")
        found.append(kit.refused(f"first_header_{name}", data))
    every_line_bare = kit.post(GUARDED).replace(b"\r\n", b"\n")
    found.append(kit.refused("guarded_every_line_ends_in_bare_lf", every_line_bare))
    found.append(kit.refused("guarded_every_line_ends_in_bare_cr",
                             kit.post(GUARDED).replace(b"\r\n", b"\r") + b"\r\n"))
    found.append(kit.refused("guarded_last_line_bare_lf", kit.post(GUARDED)[:-2] + b"\n"))
    return found


def hosts(kit):
    found = []
    for name, host in HOSTS.items():
        found += [kit.refused(f"{kind}_host_{name}", kit.post(kind, host=host))
                  for kind in (PLAIN, GUARDED)]
    for name, host in {"of_somebody_else": "Host: evil.example", "with_port": "Host: graph.test:1",
                       "in_odd_case": "hOST:GRAPH.test\t", "address": "Host: [::1]:443"}.items():
        found += [kit.accepted(f"{kind}_host_{name}", kit.post(kind, host=host), kit.posted(kind))
                  for kind in (PLAIN, GUARDED)]
    return found


def connection_fields(kit):
    found = []
    for name, (fields, status) in REFUSED_FIELDS.items():
        found += kit.refused_posts(name, [*fields, "Content-Length: 2"], b"{}", status)
    for name, fields in PASSED_FIELDS.items():
        found += kit.accepted_posts(name, fields, b"", b"")
    for kind in (PLAIN, GUARDED):
        found.append(kit.accepted(f"{kind}_expect_body_sent_unasked",
                                  kit.post(kind, "Expect: 100-continue", "Content-Length: 2",
                                           body=b"{}"), kit.posted(kind, b"{}")))
        found.append(kit.accepted(f"{kind}_expect_chunks_sent_unasked",
                                  kit.post(kind, "Expect: 100-continue",
                                           "Transfer-Encoding: chunked", body=chunked(b"{}")),
                                  kit.posted(kind, b"{}")))
        found.append(kit.accepted(f"{kind}_close_among_other_options",
                                  kit.post(kind, "Connection: x-mine, CLOSE", "X-Mine: 1"),
                                  kit.posted(kind), kept=False))
        found.append(kit.refused_in_step(f"{kind}_authorization_twice",
                                         kit.post(kind, "Authorization: Bearer x")))
    return found


def overrides(kit):
    """A method that some server takes from a header: what would become guarded is refused."""
    found = []
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        slug = name.lower().replace("-", "_")
        found.append(kit.refused(f"guarded_get_with_{slug}", kit.head(
            f"GET {kit.targets[GUARDED]} HTTP/1.1", f"{name}: POST", "Connection: close")))
    return found


GROUPS = {"header": lines, "host": hosts, "connection": connection_fields,
          "override": overrides}
