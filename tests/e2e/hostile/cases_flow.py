"""Sizes at and over their limits, order, cuts and early ends."""
import json

from case import FIN, GRAPH, GUARDED, HOST, PLAIN, RESET, Case, Forwarded, chunked

# The keeper of the stack sets these limits; the first three are the defaults.
TARGET_BYTES_MAX, HEAD_BYTES_MAX, HEADER_COUNT_MAX = 8 * 1024, 32 * 1024, 100
BUFFERED_BYTES_MAX = 256 * 1024
GUARDED_BODY_BYTES_MAX = 64 * 1024
OWN_HEADERS = 2  # That every head here has: Host and Authorization.
DEPTH = 50
CUT_EVERYWHERE = "guarded_chunked"  # Within the token, too.


def padded(kit, size):
    """A get whose target has that many bytes."""
    return kit.get_target + "&" + "a" * (size - len(kit.get_target) - 1)


def head_sizes(kit):
    target = padded(kit, TARGET_BYTES_MAX)
    empty = len(kit.head(f"GET {kit.get_target} HTTP/1.1", "X: "))
    most = HEADER_COUNT_MAX - OWN_HEADERS

    def of_size(size):
        return kit.head(f"GET {kit.get_target} HTTP/1.1", "X: " + "y" * (size - empty))

    return [
        kit.accepted("target_as_long_as_allowed", kit.head(f"GET {target} HTTP/1.1"),
                     Forwarded("GET", target)),
        kit.refused("target_one_byte_too_long", kit.head(f"GET {target}a HTTP/1.1"), 414),
        kit.refused("target_of_100_kib", kit.head(f"GET {padded(kit, 100 * 1024)} HTTP/1.1"), 414),
        kit.refused("guarded_target_of_100_kib", kit.head(
            f"POST {kit.targets[GUARDED]}?x={'a' * 100 * 1024} HTTP/1.1"), 414),
        kit.refused("request_line_without_end", b"GET /" + b"a" * 200 * 1024, 414),
        kit.accepted("head_as_long_as_allowed", of_size(HEAD_BYTES_MAX), kit.got()),
        kit.refused("head_one_byte_too_long", of_size(HEAD_BYTES_MAX + 1), 431),
        kit.refused("header_line_of_100_kib", kit.get("X: " + "y" * 100 * 1024), 431),
        kit.refused("header_name_of_100_kib", kit.get("X" * 100 * 1024 + ": y"), 431),
        kit.refused("header_line_without_end",
                    kit.get()[:-2] + b"X: " + b"y" * 200 * 1024, 431),
        kit.accepted("as_many_headers_as_allowed", kit.get(*(f"X{n}: y" for n in range(most))),
                     kit.got()),
        kit.refused("one_header_too_many", kit.get(*(f"X{n}: y" for n in range(most + 1))), 431),
        kit.refused("headers_in_thousands", kit.get(*["X: y"] * 4000), 431),
        kit.refused("headers_too_large_together", kit.get(*["X: " + "y" * 1000] * 40), 431),
        kit.refused("guarded_headers_too_large_together",
                    kit.post(GUARDED, *["X: " + "y" * 1000] * 40), 431),
        kit.refused("guarded_one_header_too_many",
                    kit.post(GUARDED, *(f"X{n}: y" for n in range(most + 1))), 431)]


def batch_of(kit, size):
    part = {"id": "1", "method": "GET", "url": f"/me?batched={kit.tag}"}
    text = json.dumps({"requests": [part]})
    return text.encode() + b" " * (size - len(text))


def body_sizes(kit):
    over = GUARDED_BODY_BYTES_MAX + 1
    most, too_much = b"x" * GUARDED_BODY_BYTES_MAX, b"x" * over
    batch = f"/v1.0/$batch?case={kit.tag}"

    def post_batch(*fields, body=b""):
        return kit.head(f"POST {batch} HTTP/1.1", "Content-Type: application/json", *fields) + body

    fits, too_long = batch_of(kit, BUFFERED_BYTES_MAX), batch_of(kit, BUFFERED_BYTES_MAX + 1)
    huge = b"x" * (1 << 20)
    return [
        kit.accepted("guarded_body_as_long_as_allowed", kit.post(
            GUARDED, f"Content-Length: {len(most)}", body=most), kit.posted(GUARDED, most)),
        kit.refused_in_step("guarded_body_one_byte_too_long", kit.post(
            GUARDED, f"Content-Length: {over}", body=too_much), 413, may_close=True),
        kit.refused("guarded_body_only_announced_too_long", kit.post(
            GUARDED, f"Content-Length: {over}"), 413),
        kit.refused("guarded_body_of_4_gib_announced", kit.post(
            GUARDED, "Content-Length: 4294967301", body=b"{   }"), 413),
        kit.refused_in_step("guarded_chunks_too_long_together", kit.post(
            GUARDED, "Transfer-Encoding: chunked", body=chunked(*[b"y" * 1024] * 65)), 413,
            may_close=True),
        kit.refused("guarded_chunk_announced_too_long", kit.post(
            GUARDED, "Transfer-Encoding: chunked",
            body=b"FFFFFFFFFFFFFFF\r\n" + too_much), 413),
        kit.refused("guarded_expect_body_too_long", kit.post(
            GUARDED, f"Content-Length: {over}", "Expect: 100-continue"), 413),
        kit.accepted("batch_as_long_as_allowed", post_batch(
            f"Content-Length: {len(fits)}", body=fits), Forwarded("POST", batch, fits)),
        kit.refused_in_step("batch_one_byte_too_long", post_batch(
            f"Content-Length: {len(too_long)}", body=too_long), 413, may_close=True),
        kit.refused("batch_of_1_gib_announced", post_batch("Content-Length: 1073741824"), 413),
        kit.refused_in_step("batch_chunks_too_long_together", post_batch(
            "Transfer-Encoding: chunked", body=chunked(too_long)), 413, may_close=True),
        kit.accepted("plain_body_of_1_mib_passes", kit.post(
            PLAIN, f"Content-Length: {len(huge)}", body=huge), kit.posted(PLAIN, huge)),
        kit.accepted("plain_chunks_of_1_mib_pass", kit.post(
            PLAIN, "Transfer-Encoding: chunked", body=chunked(huge[:700_000], huge[700_000:])),
            kit.posted(PLAIN, huge))]


def numbered(kit, number, kind):
    """(bytes, Forwarded) of one request of a pipeline."""
    name = f"client-request-id: {kit.tag}-{number}"
    target = f"/v1.0/me/messages/{kit.tag}-{number}"
    if kind == "get":
        return kit.head(f"GET {target} HTTP/1.1", name), Forwarded("GET", target)
    target += "/permanentDelete" if kind == "guarded" else "/move"
    line, body = f"POST {target} HTTP/1.1", b'{"n":%d}' % number
    if kind == "chunked":
        data = kit.head(line, name, "Transfer-Encoding: chunked") + chunked(body)
    else:
        data = kit.head(line, name, f"Content-Length: {len(body)}") + body
    return data, Forwarded("POST", target, body)


def pipelines(kit):
    def pipeline(name, kinds):
        both = [numbered(kit, number, kind) for number, kind in enumerate(kinds)]
        return kit.accepted(name, b"".join(data for data, _ in both), *(each for _, each in both))

    def broken(name, kinds, rest, status=400):
        case = pipeline(name, kinds)
        case.connections = [[case.connections[0][0][:-len(kit.probe)] + rest + kit.smuggled]]
        case.answers = [GRAPH] * len(kinds) + [status]
        return case

    mixed = ["get", "length", "chunked", "guarded", "get"] * (DEPTH // 5)
    found = [
        pipeline("gets_50_deep_in_order", ["get"] * DEPTH),
        pipeline("lengths_50_deep_in_order", ["length"] * DEPTH),
        pipeline("chunks_50_deep_in_order", ["chunked"] * DEPTH),
        pipeline("guarded_50_deep_in_order", ["guarded"] * DEPTH),
        pipeline("mixed_50_deep_in_order", mixed),
        broken("mixed_25_then_two_lengths", mixed[:25],
               kit.post(GUARDED, "Content-Length: 2", "Content-Length: 0", body=b"{}")),
        broken("mixed_25_then_cl_te", mixed[:25],
               kit.post(GUARDED, "Content-Length: 5", "Transfer-Encoding: chunked",
                        body=b"0\r\n\r\n")),
        broken("mixed_25_then_garbage", mixed[:25], b"garbage\r\n"),
        broken("guarded_then_broken_chunk", ["guarded"],
               kit.post(GUARDED, "Transfer-Encoding: chunked", body=b"5;x\r\n"))]
    for kind in ("get", "guarded"):
        case = pipeline(f"{kind}_nothing_after_close", [kind])
        case.connections = [[case.connections[0][0][:-len(kit.probe)]
                             + kit.head(f"GET {kit.get_target} HTTP/1.1", "Connection: close")
                             + kit.smuggled * 3]]
        case.forwarded.append(kit.got())
        found.append(case)
    return found


def whole_requests(kit):
    """name -> (bytes, what reaches Graph)"""
    return {
        "get": (kit.get(), kit.got()),
        "length": (kit.post(PLAIN, "Content-Length: 2", body=b"{}"), kit.posted(PLAIN, b"{}")),
        "chunked": (kit.post(PLAIN, "Transfer-Encoding: chunked", body=chunked(b"{", b"}")),
                    kit.posted(PLAIN, b"{}")),
        "guarded": (kit.post(GUARDED), kit.posted(GUARDED)),
        "guarded_length": (kit.post(GUARDED, "Content-Length: 2", body=b"{}"),
                           kit.posted(GUARDED, b"{}")),
        "guarded_chunked": (kit.post(GUARDED, "Transfer-Encoding: chunked",
                                     body=chunked(b"{", b"}")), kit.posted(GUARDED, b"{}"))}


def offsets(kit, data):
    """Every place to cut at but some within the token, which is like any other value."""
    start = data.index(kit.authorization.encode()) + 24
    end = start + len(kit.authorization) - 28
    return [at for at in range(1, len(data)) if not start < at < end or at % 64 == 0]


def splits(kit):
    found = []
    for name, (data, forwarded) in whole_requests(kit).items():
        places = range(1, len(data)) if name == CUT_EVERYWHERE else offsets(kit, data)
        connections = [[data[:at], data[at:] + kit.probe] for at in places]
        found.append(Case(f"{name}_at_every_offset", connections, [GRAPH, GRAPH],
                          [forwarded] * len(connections)))
        found.append(kit.accepted(f"{name}_byte_by_byte", data, forwarded))
        found[-1].connections = [[*(data[at:at + 1] for at in range(len(data))), kit.probe]]
    tricks = {"cl_te": kit.post(GUARDED, "Content-Length: 5", "Transfer-Encoding: chunked",
                                body=b"0\r\n\r\n"),
              "two_lengths": kit.post(GUARDED, "Content-Length: 2", "Content-Length: 3",
                                      body=b"{}"),
              "bare_lf": kit.post(GUARDED, "X: y\nZ: a"),
              "chunk_extension": kit.post(GUARDED, "Transfer-Encoding: chunked",
                                          body=b"2;x\r\n{}\r\n0\r\n\r\n")}
    for name, data in tricks.items():
        connections = [[data[:at], data[at:] + kit.probe] for at in offsets(kit, data)]
        found.append(Case(f"{name}_refused_at_every_offset", connections, [400]))
    return found


def ends(kit):
    """The client goes away in every state: nothing of half a request may reach Graph as a whole."""
    found = []
    for kind in (PLAIN, GUARDED):
        with_length = kit.post(kind, "Content-Length: 5", body=b"{   }")
        with_chunks = kit.post(kind, "Transfer-Encoding: chunked", body=chunked(b"{   }"))
        head = with_length.index(b"\r\n\r\n") + 4
        chunks = with_chunks.index(b"\r\n\r\n") + 4
        states = {
            "in_method": with_length[:2], "in_target": with_length[:20],
            "before_version": with_length[:with_length.index(b"HTTP/1.1")],
            "after_request_line": with_length[:with_length.index(b"\r\n") + 2],
            "in_header_name": with_length[:with_length.index(b"Host") + 2],
            "between_cr_and_lf": with_length[:with_length.index(b"\r\n") + 1],
            "before_the_empty_line": with_length[:head - 2],
            "within_the_empty_line": with_length[:head - 1],
            "before_the_body": with_length[:head], "in_the_body": with_length[:head + 2],
            "before_the_chunks": with_chunks[:chunks], "in_a_chunk_size": with_chunks[:chunks + 1],
            "after_a_chunk_size": with_chunks[:chunks + 3], "in_a_chunk": with_chunks[:chunks + 5],
            "after_a_chunk": with_chunks[:chunks + 10],
            "in_the_last_chunk": with_chunks[:chunks + 11],
            "before_the_last_line_end": with_chunks[:-2], "in_the_last_line_end": with_chunks[:-1]}
        for name, data in states.items():
            in_body = data.find(b"\r\n\r\n") > 0
            for action in (FIN, RESET):
                # A body that ends early is told so; half a head gets no answer.
                answers = [400] if in_body and action == FIN else []
                found.append(Case(f"{kind}_{action}_{name}", [[data, action]], answers,
                                  cut=in_body and kind == PLAIN))
        whole = with_length[:head + 5]
        found.append(Case(f"{kind}_fin_before_the_answer", [[whole, FIN]], [GRAPH],
                          [kit.posted(kind, b"{   }")]))
        found.append(Case(f"{kind}_reset_before_the_answer", [[whole, RESET]], [],
                          [kit.posted(kind, b"{   }")], optional=kind == PLAIN))
    found.append(Case("fin_before_anything", [[FIN]], []))
    found.append(Case("reset_before_anything", [[RESET]], []))
    return found


GROUPS = {"head_size": head_sizes, "body_size": body_sizes,
          "pipeline": pipelines, "split": splits, "end": ends}
