"""Why nginx and HAProxy treat a hostile case otherwise than Holdfast does.

Written by hand. Each case that differs has exactly one reason, found by the patterns beside it; `*`
stands for anything. compare.py checks that, and makes docs/hostile_input.md of it.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Reason:
    title: str
    text: str
    cases: str  # Patterns of names.


REASONS = [
    Reason(
        "Content-Length beside Transfer-Encoding",
        "RFC 9112, 6.1 lets a proxy drop the length and go by the chunks, as HAProxy does; it "
        "also calls the message a likely attack and allows its refusal. nginx and Holdfast "
        "refuse.",
        """framing.*_cl_te_* framing.*_te_before_cl framing.*_te_cl_* framing.*_cl_zero_te
        framing.*_cl_true_te framing.*_beside_cl pipeline.mixed_25_then_cl_te split.cl_te_*"""),
    Reason(
        "Transfer-Encoding on HTTP/1.0",
        "A faulty framing by RFC 9112, 6.1. HAProxy passes it on as HTTP/1.0, still chunked.",
        "framing.*_te_on_http_1_0"),
    Reason(
        "Codings with an empty element or repeated with an empty value",
        "By the grammar of lists this is `chunked` alone, and HAProxy reads it so, but it "
        "passes the fields on as they came: who reads them otherwise finds the body to be a "
        "request. Holdfast and nginx take one spelling of `chunked` only.",
        "coding.*_te_list_empty_element_last* coding.*_te_twice_second_empty*"),
    Reason(
        "A length that is said more than once",
        "Equal values may be taken for one (RFC 9112, 6.3), and HAProxy does. Holdfast and "
        "nginx have one length or none.",
        "length.*_cl_list_of_equals length.*_cl_twice_equal"),
    Reason(
        "A length of 301 digits",
        "All but one are zeros. nginx writes the number anew, HAProxy passes all digits on; how "
        "many of them the next reader can hold nobody knows, so Holdfast takes at most 18.",
        "length.*_cl_300_zeros"),
    Reason(
        "Names that differ from a framing field's in a mark only",
        "Some gateways map `-`, `_` and `.` to one sign, so that `Content_Length` frames the "
        "body behind them. nginx drops such fields by default, HAProxy passes them on; for both "
        "the body is the next request. Holdfast refuses.",
        """coding.*_te_underscore_in_name* coding.*_te_dot_in_name*
        length.*_cl_underscore_in_name"""),
    Reason(
        "Names that are no token, and lines without a colon",
        "nginx skips the whole line and forwards the rest (`ignore_invalid_headers`), which "
        "removes the trick and with it the evidence. HAProxy and Holdfast refuse: a sender who "
        "writes such a line is broken or lying, and RFC 9110, 5.1 has no such name.",
        """coding.*_te_unicode_hyphen* coding.*_te_soft_hyphen* coding.*_te_long_s_in_name*
        coding.*_te_semicolon_after_name* length.*_cl_unicode_hyphen header.*_header_no_colon
        header.*_header_name_*"""),
    Reason(
        "Bare LF as a line end",
        "RFC 9112, 2.2 allows a recipient to take it, and both do, in heads and in chunks "
        "alike. Who does not takes the next line for part of this one; with a hidden field or "
        "request between, that is smuggling. Holdfast demands CRLF. (`data_shorter_than_size` "
        "belongs here: the CR becomes content and the LF the chunk's end.)",
        """coding.*_te_bare_lf_before_name* chunk.*_size_bare_lf chunk.*_data_end_bare_lf
        chunk.*_data_shorter_than_size chunk.*_last_chunk_bare_lf* chunk.*_extension_hides_a_request
        header.*_two_bare_lfs_end_the_head header.*_every_line_ends_in_bare_lf
        header.*_last_line_bare_lf request_line.*_bare_lf_ends_it split.bare_lf_*"""),
    Reason(
        "CR CR LF as a line end",
        "nginx strips the CR before the line end as if it were a blank, and so reads a length "
        "or a coding that others do not see. RFC 9112, 2.2: a bare CR is invalid or a space.",
        """coding.*_te_bare_cr_after_value length.*_cl_bare_cr_after
        header.*_two_crs_before_lf"""),
    Reason(
        "Folded lines",
        "A line that begins with a blank continues the one before (obsolete since RFC 7230). "
        "RFC 9112, 5.2 has a proxy refuse or unfold it; HAProxy unfolds, so a framing field "
        "hidden in a fold frames the body, or disappears in a value. nginx and Holdfast refuse.",
        """coding.*_te_space_before_name coding.*_te_tab_before_name coding.*_te_folded_*
        length.*_cl_space_before_name length.*_cl_folded header.*_header_folded_*
        header.*_header_blank_line_is_* header.*_header_space_before_name host.*_second_folded
        host.*_first_folded"""),
    Reason(
        "Control bytes in field values",
        "RFC 9110, 5.5 calls NUL, CR and LF dangerous and other controls invalid. nginx refuses "
        "these three, HAProxy CR and LF; both pass the others on. Holdfast refuses all but the "
        "tab.",
        """header.*_nul_in_value header.*_vertical_tab_in_value header.*_form_feed_in_value
        header.*_escape_in_value header.*_delete_in_value host.*_host_nul"""),
    Reason(
        "Chunk extensions, and blanks after a chunk's size",
        "Extensions are legal, and a recipient ignores them; both do and frame the body anew or "
        "copy it. Nobody sends them, how they end is read in many ways, and their length has no "
        "bound (nginx takes 20,000 bytes). Blanks there are not legal. Holdfast refuses both.",
        """chunk.*_size_extension chunk.*_size_extension_without_value chunk.*_size_extension_empty
        chunk.*_size_extension_after_space chunk.*_size_extension_of_20000_bytes
        chunk.*_size_space_after_size chunk.*_size_tab_after_size chunk.*_last_chunk_extension
        chunk.*_last_chunk_space split.chunk_extension_*"""),
    Reason(
        "Chunk sizes of 16 digits and more",
        "All but one are zeros. Legal, and read by both; a reader with 64 bits overflows "
        "elsewhere than one with arbitrary numbers, so Holdfast takes at most 15 digits.",
        "chunk.*_size_16_digits chunk.*_size_1000_digits"),
    Reason(
        "Trailer fields",
        "Legal. nginx reads past whatever stands there, be it a request line or no field at "
        "all; HAProxy forwards them, and who merges them into the head has a Host or a length "
        "from there. Nobody needs them in a request to Graph, so Holdfast refuses.",
        "chunk.*_trailer chunk.*_trailer_is_* chunk.*_trailer_folded "
        "chunk.*_trailer_without_colon chunk.*_trailer_hides_* chunk.*_second_chunk_trailer"),
    Reason(
        "Host: none, empty, twice, or of characters that no host has",
        "RFC 9112, 3.2 demands 400 for none, several or an invalid one. HAProxy 2.6 checks next "
        "to nothing and passes them on; nginx refuses none, two, and what has a slash or a "
        "blank, but neither a port that is no number nor user names. Holdfast takes a name or "
        "an address with a numeric port.",
        """host.*_host_missing host.*_host_empty host.*_host_blank host.*_host_twice_equal
        host.*_host_list host.*_host_two_words host.*_host_with_path host.*_host_with_scheme
        host.*_host_with_user host.*_host_with_query host.*_host_with_fragment
        host.*_host_with_backslash host.*_host_crlf_encoded host.*_host_port_* host.*_host_two_ports
        host.*_host_address_* host.*_host_percent_encoded host.*_host_in_utf8
        host.*_host_fullwidth_dot host.*_host_quoted host.*_host_of_300_bytes
        version.*_http_1_0_two_hosts"""),
    Reason(
        "Upgrade",
        "A server may ignore the wish (RFC 9110, 7.8). nginx drops it. HAProxy drops Upgrade "
        "beside a body where Connection names it, as in the first row, but passes on "
        "Connection, and elsewhere Upgrade too: a server that agreed would have a tunnel past "
        "every check. Holdfast refuses, so that nobody believes in a connection that was not "
        "made.",
        "connection.*_upgrade_*"),
    Reason(
        "What the Connection field names",
        "It may name fields to be removed, and an attacker names those that the request is "
        "judged by: Host, a length, Authorization, Prefer. nginx ignores what it names and "
        "writes its own. HAProxy passes the field on as it came, for the next hop to obey. "
        "Holdfast refuses these names and what is no token. (`Proxy-Connection` is a relic with "
        "the same meaning.)",
        "connection.*_connection_names_* connection.*_connection_in_quotes "
        "connection.*_connection_two_words"),
    Reason(
        "Expectations other than 100-continue",
        "RFC 9110, 10.1.1 allows 417 for them, and Holdfast gives it. nginx ignores and drops "
        "them, but refuses two; HAProxy passes all on.",
        "connection.*_expect_*"),
    Reason(
        "Fields that must not repeat",
        "Which of two tokens identifies the caller, which of two types describes the body? "
        "nginx refuses two Authorization fields and passes two Content-Types on, HAProxy passes "
        "both on.",
        "connection.*_content_type_twice connection.*_authorization_twice"),
    Reason(
        "A method in a field",
        "A GET whose override field says POST would be a guarded call behind a server that "
        "obeys it. For a plain proxy it is a field like any other.",
        "override.*"),
    Reason(
        "Versions",
        "Holdfast speaks 1.0 and 1.1 and says 505 to the rest. nginx takes 1.2 and 1.10 for 1.1 "
        "and allows a blank behind; HAProxy takes 2.0 and 3.0 for 1.1 and passes 0.9 on.",
        """request_line.*_version_1_2 request_line.*_version_1_10 request_line.*_version_2_0
        request_line.*_version_3_0 request_line.*_version_0_9 request_line.*_version_then_space"""),
    Reason(
        "HTTP/0.9",
        "nginx serves a line without a version and makes a whole request of it. HAProxy and "
        "Holdfast refuse.",
        "request_line.*_http_0_9 request_line.*_http_0_9_with_space"),
    Reason(
        "Blanks between the parts of the request line",
        "Two spaces are taken by both, a tab by HAProxy (allowed by RFC 9112, 3 for lenient "
        "parsers). Holdfast takes one space.",
        "request_line.*_two_spaces_before_* request_line.*_tab_before_*"),
    Reason(
        "Unknown methods",
        "A plain proxy passes methods on: HAProxy in any case of letters and at any length, "
        "TRACE too, nginx in capitals. Holdfast must know what a method does to classify the "
        "request; it answers 501, or 400 where the letters are no capitals.",
        """request_line.*_method_lower_case request_line.*_method_mixed_case
        request_line.*_method_trace request_line.*_method_unknown request_line.*_method_of_*"""),
    Reason(
        "Absolute targets",
        "RFC 9112, 3.2.2 has servers take them. nginx rewrites them to origin form, HAProxy "
        "passes them on where the authority is Host's. No Graph client sends them and two "
        "authorities in one request can disagree, so Holdfast refuses.",
        "request_line.*_target_absolute request_line.*_target_absolute_*"),
    Reason(
        "Bytes in targets that no URI has",
        "Fragments, quotes, angles, backslashes, DEL and bytes over 0x7F: servers cut at them, "
        "turn them or decode them. nginx forwards all but DEL; HAProxy those in ASCII but `#`, "
        "and DEL at one place of its buffer but not at another. Holdfast forwards none.",
        """request_line.*_target_fragment request_line.*_target_fragment_hides_*
        request_line.*_target_backslashes_within request_line.*_target_quote
        request_line.*_target_angles request_line.*_target_high_byte request_line.*_target_utf8
        request_line.*_target_delete_byte"""),
    Reason(
        "Targets that may be a guarded action",
        "Whether `permanentDelete%2f` or `permanentDelete;a=b` deletes is for Graph's reading "
        "to say. Holdfast refuses what some reading makes guarded and some does not; the others "
        "know of no guarded actions. nginx refuses escapes that decode to nothing or to NUL, as "
        "Holdfast does.",
        "target.guarded_target_*"),
    Reason(
        "Limits on heads",
        "Each has its own: Holdfast 8 KiB for the target, 32 KiB for the head, 100 fields (its "
        "defaults); nginx 8 KiB for a line, any number of fields; HAProxy about 15 KiB in all "
        "and 100 fields.",
        "head_size.*"),
    Reason(
        "Limits on bodies",
        "What Holdfast has to read whole, guarded calls and batches, it limits more tightly "
        "than what it streams. nginx limits all bodies to 1 MiB, HAProxy none; the simulated "
        "Graph refuses the largest.",
        "body_size.*"),
    Reason(
        "Fields of one hop",
        "RFC 9110, 7.6.1 asks that a proxy remove them. Holdfast removes Connection with what "
        "it names, Keep-Alive, Proxy-Connection, TE and Trailer. nginx removes all but Trailer "
        "and Proxy-Connection; HAProxy removes `close` and `keep-alive` from Connection and "
        "passes the rest on.",
        """connection.*_te_trailers connection.*_keep_alive_junk connection.*_proxy_connection
        connection.*_trailer chunk.*_trailer_announced_only connection.*_http2_settings_alone
        connection.*_connection_empty_elements connection.*_close_among_other_options"""),
    Reason(
        "HTTP/1.0 requests",
        "nginx and Holdfast speak 1.1 to the next hop, as RFC 9110, 2.5 demands; HAProxy "
        "forwards 1.0 as 1.0, which the simulated Graph refuses like the real one's load "
        "balancers may.",
        "version.*_http_1_0_ends_the_connection version.guarded_http_1_0_without_host "
        "version.*_http_1_0_keeps_alive_when_asked version.*_http_1_0_expect_is_nothing"),
    Reason(
        "An ordinary HTTP/1.0 request without Host",
        "HTTP/1.0 allows it. Holdfast leads the links of Graph's answers back to the Host that "
        "the client named; it refuses an ordinary request that names none where "
        "`proxy.public_origin` is not configured, because the links would lead past it. Answers "
        "to guarded calls are not changed, so those are forwarded.",
        "version.plain_http_1_0_without_host"),
    Reason(
        "Tabs around a value",
        "The one place where a peer is stricter beyond its limits: nginx strips only spaces "
        "around the values that it reads itself. By RFC 9110, 5.6.3 a tab is as good, no reader "
        "here takes the value for another, and Holdfast writes these fields anew, so it goes on "
        "accepting them.",
        """coding.*_te_tab_before_value coding.*_te_blanks_around_value
        length.*_cl_tab_before_value host.*_host_in_odd_case"""),
]
