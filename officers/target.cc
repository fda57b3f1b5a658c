#include "officers/target.h"

#include <algorithm>

#include "base/encoding.h"

namespace holdfast::officers {
namespace {

std::optional<std::string> form_decode(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return percent_decode(spaced);
}

}  // namespace

std::optional<Target> parse_target(std::string_view target) {
  const std::size_t mark = target.find('?');
  Target parsed{.path = std::string(target.substr(0, mark)), .parameters = {}};
  std::string_view rest = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t end = rest.find('&');
    const std::string_view part = rest.substr(0, end);
    rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    const std::optional<std::string> name = form_decode(part.substr(0, equals));
    const std::optional<std::string> value =
        form_decode(equals == std::string_view::npos ? "" : part.substr(equals + 1));
    if (!name || !value) return std::nullopt;
    parsed.parameters.push_back({.name = *name, .value = *value});
  }
  return parsed;
}

std::string encode_query(const std::vector<audit::Parameter>& parameters) {
  std::string text;
  for (const audit::Parameter& parameter : parameters) {
    if (!text.empty()) text += '&';
    text += percent_encode(parameter.name) + '=' + percent_encode(parameter.value);
  }
  return text;
}

}  // namespace holdfast::officers
