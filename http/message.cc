#include "http/message.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "http/syntax.h"

namespace holdfast::http {

const std::string* Headers::find(std::string_view name) const {
  for (const Header& field : fields_) {
    if (ascii_iequals(field.name, name)) return &field.value;
  }
  return nullptr;
}

std::string_view Headers::get(std::string_view name) const {
  const std::string* value = find(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      fields_, [&](const Header& field) { return ascii_iequals(field.name, name); }));
}

std::string Headers::joined(std::string_view name) const {
  std::string all;
  bool first = true;
  for (const Header& field : fields_) {
    if (!ascii_iequals(field.name, name)) continue;
    if (!first) all += ", ";
    all += field.value;
    first = false;
  }
  return all;
}

void Headers::add(std::string name, std::string value) {
  fields_.push_back({std::move(name), std::move(value)});
}

void Headers::set(std::string name, std::string value) {
  const auto same = [&](const Header& field) { return ascii_iequals(field.name, name); };
  const auto first = std::ranges::find_if(fields_, same);
  if (first == fields_.end()) {
    add(std::move(name), std::move(value));
    return;
  }
  fields_.erase(std::remove_if(first + 1, fields_.end(), same), fields_.end());
  *first = {std::move(name), std::move(value)};
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const Header& field) { return ascii_iequals(field.name, name); });
}

void Headers::remove_hop_by_hop() {
  std::vector<std::string> named;
  for (const Header& field : fields_) {
    if (!ascii_iequals(field.name, "Connection")) continue;
    for_each_token(field.value, [&](std::string_view token) {
      if (!is_end_to_end(token)) named.emplace_back(token);
    });
  }
  std::erase_if(fields_, [&](const Header& field) {
    return is_hop_by_hop(field.name) || std::ranges::any_of(named, [&](const std::string& name) {
             return ascii_iequals(field.name, name);
           });
  });
}

std::string_view reason_phrase(int status) {
  struct Phrase {
    int status;
    std::string_view text;
  };
  static constexpr auto kPhrases = std::to_array<Phrase>({
      {100, "Continue"},
      {101, "Switching Protocols"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {203, "Non-Authoritative Information"},
      {204, "No Content"},
      {205, "Reset Content"},
      {206, "Partial Content"},
      {300, "Multiple Choices"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {305, "Use Proxy"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {407, "Proxy Authentication Required"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {426, "Upgrade Required"},
      {428, "Precondition Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
      {511, "Network Authentication Required"},
  });
  const auto found = std::ranges::lower_bound(kPhrases, status, {}, &Phrase::status);
  if (found == kPhrases.end() || found->status != status) return "Unknown";
  return found->text;
}

}  // namespace holdfast::http
