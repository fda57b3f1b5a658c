#include "config/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "base/encoding.h"
#include "base/uuid.h"

namespace holdfast::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t size;
};

// Largest first, so that the first unit that divides a value is the one to write it in.
constexpr std::array<Unit, 4> kDurations = {
    {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizes = {
    {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}};
// Read but never written: a day has 24 hours here.
constexpr Unit kDay = {"d", 24 * 3'600'000};
constexpr std::int64_t kDurationMax = 100LL * 366 * kDay.size;
constexpr std::int64_t kBytesMax = 1024LL << 30;

// Digits only: no sign, no space, and the whole text.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return {};
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return {};
  return number;
}

template <std::size_t kCount>
std::optional<std::int64_t> parse_with_unit(std::string_view text,
                                            const std::array<Unit, kCount>& units,
                                            std::int64_t max) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number<std::int64_t>(text.substr(0, digits));
  if (!number) return {};
  for (const Unit& unit : units) {
    if (unit.name != text.substr(digits)) continue;
    if (*number > max / unit.size) return {};
    return *number * unit.size;
  }
  return {};
}

template <std::size_t kCount>
std::string with_unit(std::int64_t value, const std::array<Unit, kCount>& units) {
  const Unit* chosen = &units.back();
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.size == 0) {
      chosen = &unit;
      break;
    }
  }
  return std::to_string(value / chosen->size) + std::string(chosen->name);
}

bool is_address(int family, std::string_view text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(family, std::string(text).c_str(), bytes.data()) == 1;
}

constexpr std::string_view kLettersAndDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

// Longer names of certificates are not read, see http/certificate_tls.cc.
constexpr std::size_t kCertificateNameBytesMax = 256;

bool holds_only(std::string_view text, std::string_view others) {
  return std::ranges::all_of(text, [&](char c) {
    return kLettersAndDigits.find(c) != std::string_view::npos ||
           others.find(c) != std::string_view::npos;
  });
}

bool is_dns_name(std::string_view text) {
  return !text.empty() && text.size() <= kCertificateNameBytesMax && holds_only(text, "-_.") &&
         !text.starts_with('.') && !text.ends_with('.') &&
         text.find("..") == std::string_view::npos;
}

// Without what lists are written with, and without what could pass for a wildcard.
bool is_plain_uri(std::string_view text) {
  const std::size_t colon = text.find(':');
  return colon != std::string_view::npos && colon > 0 && colon + 1 < text.size() &&
         text.size() <= kCertificateNameBytesMax && holds_only(text, "-._~:/?#@!$&()+;=%");
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  auto value = parse_with_unit(text, kDurations, kDurationMax);
  if (!value) value = parse_with_unit(text, std::array{kDay}, kDurationMax);
  if (!value) return {};
  return std::chrono::milliseconds(*value);
}

std::string duration_text(std::chrono::milliseconds duration) {
  return with_unit(duration.count(), kDurations);
}

std::optional<std::size_t> parse_bytes(std::string_view text) {
  const auto value = parse_with_unit(text, kSizes, kBytesMax);
  if (!value) return {};
  return static_cast<std::size_t>(*value);
}

std::string bytes_text(std::size_t bytes) {
  return with_unit(static_cast<std::int64_t>(bytes), kSizes);
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {};
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (!is_address(AF_INET6, host)) return {};
  } else if (host.find_first_of(":[]/@ ") != std::string_view::npos) {
    return {};
  }
  if (!port || host.empty()) return {};
  return Endpoint{std::string(host), *port};
}

std::string endpoint_text(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

bool is_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const auto bits = parse_number<std::uint8_t>(text.substr(slash + 1));
  const std::string address(text.substr(0, slash));
  std::array<std::uint8_t, sizeof(in6_addr)> bytes{};
  std::size_t size = sizeof(in_addr);
  if (inet_pton(AF_INET, address.c_str(), bytes.data()) != 1) {
    size = sizeof(in6_addr);
    if (inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return false;
  }
  if (!bits || *bits > size * 8) return false;
  for (std::size_t bit = *bits; bit < size * 8; ++bit) {
    if ((bytes[bit / 8] & (0x80U >> (bit % 8))) != 0) return false;
  }
  return true;
}

bool is_hold(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto is_id = [&](std::string_view id) { return !id.empty() && holds_only(id, "_-"); };
  return is_id(text.substr(0, slash)) && (slash == text.size() || is_id(text.substr(slash + 1)));
}

bool is_verifier_key(std::string_view text) {
  const std::size_t name = text.find('+');
  const std::size_t id = name == std::string_view::npos ? name : text.find('+', name + 1);
  if (id == std::string_view::npos || name == 0 || id != name + 9) return false;
  const std::string_view digits = text.substr(name + 1, 8);
  const std::string_view key = text.substr(id + 1);
  return text.find_first_of(" \t\r\n") == std::string_view::npos && !key.empty() &&
         digits.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         from_base64(key).has_value();
}

std::optional<CertificateApp> parse_certificate_app(std::string_view text) {
  constexpr std::string_view kDns = "DNS:";
  constexpr std::string_view kUri = "URI:";
  const std::size_t space = std::min(text.find(' '), text.size());
  const std::string_view name = text.substr(0, space);
  const std::string_view app = text.substr(std::min(space + 1, text.size()));
  const std::size_t slash = std::min(app.find('/'), app.size());
  const std::string_view tenant_id = app.substr(0, slash);
  const std::string_view app_id = app.substr(std::min(slash + 1, app.size()));
  if (!parse_uuid(tenant_id) || !parse_uuid(app_id)) return std::nullopt;
  const bool is_dns = name.starts_with(kDns);
  const bool is_usable = is_dns ? is_dns_name(name.substr(kDns.size()))
                                : name.starts_with(kUri) && is_plain_uri(name.substr(kUri.size()));
  if (!is_usable) return std::nullopt;
  return CertificateApp{.name = is_dns ? std::string(kDns) + ascii_lower(name.substr(kDns.size()))
                                       : std::string(name),
                        .tenant_id = ascii_lower(tenant_id),
                        .app_id = ascii_lower(app_id)};
}

std::string certificate_app_text(const CertificateApp& app) {
  return app.name + " " + app.tenant_id + "/" + app.app_id;
}

bool is_http_proxy(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  if (!text.starts_with(kScheme)) return false;
  const auto endpoint = parse_endpoint(text.substr(kScheme.size()));
  return endpoint && endpoint->port != 0 &&
         endpoint->host.find_first_of("?#\\%\"<>") == std::string::npos;
}

bool is_origin(std::string_view text) {
  const bool plain = text.starts_with("http://");
  if (!plain && !text.starts_with("https://")) return false;
  const std::string authority(text.substr(plain ? 7 : 8));
  const std::size_t bracket = authority.rfind(']');
  const bool has_port =
      authority.find(':', bracket == std::string::npos ? 0 : bracket) != std::string::npos;
  const auto endpoint = parse_endpoint(has_port ? authority : authority + ":443");
  if (!endpoint || endpoint->port == 0) return false;
  if (endpoint->host.find_first_of("?#\\%\"<>") != std::string::npos) return false;
  const std::string& host = endpoint->host;
  return !plain || host == "localhost" || host == "::1" ||
         (host.starts_with("127.") && is_address(AF_INET, host));
}

}  // namespace holdfast::config
