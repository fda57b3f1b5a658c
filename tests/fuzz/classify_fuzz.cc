// Input: a method, a line feed, a target, and perhaps a line feed and a body.
//
// No input may crash the classifier, and none may be let through whose equivalent spelling would
// not be: letter case, a decoded percent sign and a skipped segment mean nothing to OData.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/encoding.h"
#include "graph/batch.h"
#include "graph/classify_lines.h"

namespace {

using holdfast::graph::Classification;
using holdfast::graph::RequestClass;

Classification classify_target(std::string_view method, std::string_view target,
                               std::optional<std::string_view> body) {
  return holdfast::graph::classify(
      {.method = method, .target = target, .headers = {}, .body = body});
}

[[noreturn]] void fail(const char* what, std::string_view target) {
  std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(target.size()), target.data());
  std::abort();
}

// Every letter of the path as %XX.
std::string encode_letters(std::string_view path) {
  std::string encoded;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '%') {
      encoded += path.substr(i, 3);
      i += 2;
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      encoded += '%' + holdfast::to_hex(std::string_view(&c, 1));
    } else {
      encoded += c;
    }
  }
  return encoded;
}

void check_consistent(const Classification& c, std::string_view target) {
  if (c.request_class == RequestClass::kGuarded) {
    if (!c.operation.has_value() || c.operation->action.empty()) fail("no operation", target);
    if (c.operation->canonical_path.empty()) fail("no canonical path", target);
    if (!holdfast::is_utf8(c.operation->item.value_or(""))) fail("item is not UTF-8", target);
    if (!holdfast::is_utf8(c.operation->mailbox.key)) fail("key is not UTF-8", target);
  }
  if (c.reason.empty() || c.reason.find('\n') != std::string::npos)
    fail("no one-line reason", target);
}

void check_never_looser(std::string_view method, std::string_view target,
                        std::optional<std::string_view> body) {
  const Classification plain = classify_target(method, target, body);
  check_consistent(plain, target);
  if (plain.request_class == RequestClass::kPassThrough) return;
  const std::string_view path = target.substr(0, target.find_first_of("?#"));
  const std::string rest(target.substr(path.size()));
  const std::string variants[] = {
      holdfast::ascii_lower(path) + rest,
      encode_letters(path) + rest,
      path.starts_with('/') ? "/." + std::string(path) + rest : std::string(target),
      path.starts_with('/') ? "/" + std::string(path) + rest : std::string(target),
  };
  for (const std::string& variant : variants) {
    if (classify_target(method, variant, body).request_class == RequestClass::kPassThrough) {
      fail("looser when spelled", variant);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string out;
  holdfast::graph::classify_line(input, out);
  if (!out.ends_with("}\n")) fail("no answer line", input);

  const std::size_t first = input.find('\n');
  if (first == std::string_view::npos) return 0;
  const std::string_view method = input.substr(0, first);
  const std::string_view after = input.substr(first + 1);
  const std::size_t second = after.find('\n');
  std::optional<std::string_view> body;
  if (second != std::string_view::npos) body = after.substr(second + 1);
  check_never_looser(method, after.substr(0, second), body);
  if (body.has_value()) (void)holdfast::graph::classify_batch(*body, "v1.0").ok();
  return 0;
}
