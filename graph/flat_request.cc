#include "graph/flat_request.h"

namespace holdfast::graph {
namespace {

class FlatReader {
 public:
  explicit FlatReader(std::string_view line) : rest_(line) {}

  std::optional<FlatRequest> read() {
    if (!take('{')) return std::nullopt;
    do {
      const std::optional<std::string_view> name = string();
      if (!name.has_value() || !take(':')) return std::nullopt;
      if (*name == "headers") {
        if (!read_headers()) return std::nullopt;
        continue;
      }
      const std::optional<std::string_view> value = string();
      if (!value.has_value() || !assign(*name, *value)) return std::nullopt;
    } while (take(','));
    if (!take('}')) return std::nullopt;
    skip_blanks();
    if (!rest_.empty() || !method_.has_value() || !target_.has_value()) return std::nullopt;
    request_.method = *method_;
    request_.target = *target_;
    request_.body = body_;
    return request_;
  }

 private:
  void skip_blanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\r')) {
      rest_.remove_prefix(1);
    }
  }

  bool take(char c) {
    skip_blanks();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::optional<std::string_view> string() {
    if (!take('"')) return std::nullopt;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      if (byte == '"') {
        const std::string_view text = rest_.substr(0, i);
        rest_.remove_prefix(i + 1);
        return text;
      }
      if (byte == '\\' || byte < 0x20 || byte >= 0x7F) return std::nullopt;
    }
    return std::nullopt;
  }

  // False when it is no plain object, for duplicate names and for the second "headers".
  bool read_headers() {
    if (headers_seen_ || !take('{')) return false;
    headers_seen_ = true;
    if (take('}')) return true;
    do {
      const std::optional<std::string_view> name = string();
      if (!name.has_value() || !take(':')) return false;
      const std::optional<std::string_view> value = string();
      if (!value.has_value() || request_.header_count == request_.header_slots.size()) return false;
      for (const HeaderView& header : request_.headers()) {
        if (header.name == *name) return false;
      }
      request_.header_slots[request_.header_count++] = {.name = *name, .value = *value};
    } while (take(','));
    return take('}');
  }

  // False for unknown names and for duplicates.
  bool assign(std::string_view name, std::string_view value) {
    std::optional<std::string_view>* member = name == "method"   ? &method_
                                              : name == "target" ? &target_
                                              : name == "body"   ? &body_
                                                                 : nullptr;
    if (member == nullptr || member->has_value()) return false;
    *member = value;
    return true;
  }

  std::string_view rest_;
  FlatRequest request_;
  bool headers_seen_ = false;
  std::optional<std::string_view> method_;
  std::optional<std::string_view> target_;
  std::optional<std::string_view> body_;
};

}  // namespace

std::optional<FlatRequest> read_flat_request(std::string_view line) {
  return FlatReader(line).read();
}

}  // namespace holdfast::graph
