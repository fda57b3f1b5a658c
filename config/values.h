// The small texts that configuration values are written in. Pure functions.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace holdfast::config {

// A whole number and a unit, nothing between: 250ms, 5s, 10m, 24h, 90d. At most a hundred years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// In the largest unit that keeps it whole.
std::string duration_text(std::chrono::milliseconds duration);

// A whole number and a unit: 512B, 64KiB, 1MiB, 2GiB. At most 1024 GiB.
std::optional<std::size_t> parse_bytes(std::string_view text);
std::string bytes_text(std::size_t bytes);

// host:port, [2001:db8::1]:port.
std::optional<Endpoint> parse_endpoint(std::string_view text);
std::string endpoint_text(const Endpoint& endpoint);

// 10.0.0.0/8, 2001:db8::/32. Not 10.0.0.1/8: bits set after the prefix are nearly always a slip.
bool is_cidr(std::string_view text);

// https://host or https://host:port, without a path. Plain http only to this machine: it would show
// bearer tokens to the network.
bool is_origin(std::string_view text);

// An id, or two with a slash between; ids are letters, digits, hyphens and underscores.
bool is_hold(std::string_view text);

// The form of a C2SP verifier key, <name>+<8 hex digits>+<Base64>; whether its parts fit together
// is for whoever uses it to say.
bool is_verifier_key(std::string_view text);

// A name as certificates have it and an app, with one space between: DNS:billing.contoso.com
// TENANT/APP, URI:spiffe://contoso.com/billing TENANT/APP, of two GUIDs. No wildcards. In lower
// case but for URIs.
std::optional<CertificateApp> parse_certificate_app(std::string_view text);
std::string certificate_app_text(const CertificateApp& app);

// http://host:port, nothing else: no path, no user.
bool is_http_proxy(std::string_view text);

}  // namespace holdfast::config
