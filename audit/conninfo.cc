#include "audit/conninfo.h"

#include <fstream>

#include "base/encoding.h"

namespace holdfast::audit {
namespace {

// libpq's smallest; the appender must not be blind for longer than it has to.
constexpr std::string_view kConnectTimeoutSeconds = "2";

bool is_uri(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

void add(std::string& text, std::string_view key, std::string_view value) {
  if (is_uri(text)) {
    text += text.find('?') == std::string::npos ? '?' : '&';
    text += std::string(key) + "=" + percent_encode(value);
    return;
  }
  text += " " + std::string(key) + "='";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  text += "'";
}

// The password of a URI's authority part, as written there; empty when it has none.
std::string_view uri_password(std::string_view url) {
  if (!is_uri(url)) return {};
  const std::size_t start = url.find("//") + 2;
  std::string_view authority = url.substr(start, url.find_first_of("/?", start) - start);
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return {};
  const std::string_view user = authority.substr(0, at);
  const std::size_t colon = user.find(':');
  return colon == std::string_view::npos ? std::string_view{} : user.substr(colon + 1);
}

void replace_all(std::string& text, std::string_view what) {
  if (what.empty()) return;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
    text.replace(at, what.size(), "***");
    at += 3;
  }
}

}  // namespace

Result<Database> read_database(std::string url, const std::string& password_file) {
  Database database{.url = std::move(url), .password = {}};
  if (password_file.empty()) return database;
  std::ifstream file(password_file);
  if (!std::getline(file, database.password)) {
    return Error{ErrorCode::kInvalid, password_file + ": holds no password"};
  }
  return database;
}

std::string conninfo(const Database& database) {
  std::string text = database.url;
  if (!database.password.empty()) add(text, "password", database.password);
  if (text.find("connect_timeout") == std::string::npos) {
    add(text, "connect_timeout", kConnectTimeoutSeconds);
  }
  return text;
}

std::string safe_message(std::string_view message, const Database& database) {
  std::string line(message.substr(0, message.find('\n')));
  for (const std::string_view prefix : {"ERROR:  ", "FATAL:  ", "WARNING:  "}) {
    if (line.starts_with(prefix)) line.erase(0, prefix.size());
  }
  replace_all(line, database.password);
  replace_all(line, percent_encode(database.password));
  replace_all(line, uri_password(database.url));
  // A key=value form is short and all of it may be secret.
  if (!is_uri(database.url) && database.url.find("password") != std::string::npos) {
    replace_all(line, database.url);
  }
  return line;
}

}  // namespace holdfast::audit
